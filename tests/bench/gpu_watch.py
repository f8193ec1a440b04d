"""What nvidia-smi says about one GPU while a run goes on: the same instrument for both sides of a comparison."""
import os
import pathlib
import statistics
import subprocess
import tempfile

FIELDS = ("memory.used", "power.draw", "clocks.sm", "temperature.gpu")
MIB = 1 << 20


def gpu_id():
    """What nvidia-smi takes for the GPU that programs of this environment see as the first."""
    return (os.environ.get("CUDA_VISIBLE_DEVICES") or "0").split(",")[0]


def smi(fields):
    return ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", "-i", gpu_id()]


def query(fields):
    """The values of one GPU as text; empty where nvidia-smi is absent or fails."""
    try:
        done = subprocess.run(smi(fields), capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    first = done.stdout.partition("\n")[0]
    return [value.strip() for value in first.split(",")] if done.returncode == 0 and first else []


def describe():
    values = query(("name", "memory.total", "driver_version", "power.limit", "uuid"))
    return dict(zip(("name", "memory_mib", "driver", "power_limit_w", "uuid"), values))


def numbers(line):
    """One row of nvidia-smi; [N/A] is None."""
    row = []
    for text in line.split(","):
        try:
            row.append(float(text))
        except ValueError:
            row.append(None)
    return row if len(row) == len(FIELDS) else None


def summarize(rows, idle_mib):
    """Peak memory less what was in use before; the rest as medians over the samples with the GPU at work."""
    memory = [row[0] for row in rows if row[0] is not None]
    power = [row[1] for row in rows if row[1] is not None]
    busy = [row for row in rows if row[1] is not None and row[1] >= 0.6 * max(power)]
    middle = lambda column: statistics.median(v) if (v := [row[column] for row in busy if row[column] is not None]) else None
    return dict(peak_memory_bytes=(max(memory) - idle_mib) * MIB if memory and idle_mib is not None else None,
                busy_power_w=middle(1), busy_sm_clock_mhz=middle(2), busy_temperature_c=middle(3))


class GpuWatch:
    """with GpuWatch() as watch: ...; watch.result is then a dict, its values None where unknown."""

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("w+", suffix=".csv")
        idle = query(("memory.used",))
        self.idle_mib = float(idle[0]) if idle and idle[0].replace(".", "").isdigit() else None
        try:
            self.process = subprocess.Popen([*smi(FIELDS), "-lms", "250"], stdout=self.file,
                                            stderr=subprocess.DEVNULL)
        except OSError:
            self.process = None
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()
        rows = [row for line in pathlib.Path(self.file.name).read_text().splitlines() if (row := numbers(line))]
        self.result = summarize(rows, self.idle_mib)
        self.file.close()
