#!/usr/bin/env python3
"""jobs/check_gpu.sh visit against a bundle of stand-ins: python3 tests/bench/test_visit.py

The stand-ins take no time and say what the real programs say, so what is tested is the script: the order, what is done again
and what is not, limits, the end of the visit, the table, the archive.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).parents[2]
ITEMS = ["doctor", "xl2-256", "quick", "wide-f32", "clip", "clip-share", "xl2-512", "b2-256", "s2-256", "wide-f8", "trace",
         "pytorch", "comm_nccl", "ranks", "replay", "wide-f128"]

# Says what `gpumonth` says, and writes down how it was called. A folder FAULTS/NAME makes a training of that name hang or fail.
GPUMONTH = r"""#!/usr/bin/env bash
echo "$*" >>"$CALLS"
value() { sed -n "s/.*--set $1=\([^ ]*\).*/\1/p" <<<"$all"; }
all=$*
case $1 in
  doctor) echo '{"compute_capability": "9.0"}' ;;
  train)
    name=$(value run.name) folder=$(value run.directory) steps=$(value run.steps)
    if [[ -e $FAULTS/$name-hangs ]]; then echo "step 1/9 and then nothing"; sleep 60 & wait; fi
    if [[ -e $FAULTS/$name-fails ]]; then echo "gpumonth: out of memory" >&2; exit 2; fi
    mkdir -p "$folder" && for i in $(seq "$steps"); do echo "0.5"; done >"$folder/run.h5"
    if [[ ${CUDA_INJECTION64_PATH:-} ]]; then
      echo "start_ns,end_ns,stream,graph,blocks,threads,registers,shared_bytes,name" >"$GPUTRACE_OUT"
      for i in $(seq 1 9); do printf '%s,%s,7,1,1,1,1,0,"%s"\n' ${i}000 ${i}300 adamw_kernel ${i}400 ${i}900 gemm; done >>"$GPUTRACE_OUT"
    fi
    echo "40 steady steps, mean 199.9 ms = data 0.1 + forward 60.0; 640.20 samples/s, 455700.0 GFLOP/s"
    echo "rank 0's GPU: 140.6 J a step, 1.098 J a sample; 692 W; 1500 MHz; power-limited 97 % of the time; MFU 46.1 % of 989.4 TFLOP/s, 56.2 % of the peak at the clock that was held (the datasheet's is at 1830 MHz)"
    ;;
  replay) directory=$(sed -n 's/.*--directory \([^ ]*\).*/\1/p' <<<"$all"); mkdir -p "$directory"; for i in $(seq 20); do echo 0.5; done >"$directory/run.h5"; echo "sleeps ended" ;;
esac
"""
MPIRUN = r"""#!/usr/bin/env bash
while [[ $1 == -* ]]; do case $1 in -n | --bind-to) shift 2 ;; *) shift ;; esac; done
exec "$@"
"""
H5DUMP = r"""#!/usr/bin/env bash
echo 'HDF5 { DATASET { DATA {'; sed 's/$/,/' "${@: -1}"; echo '} } }'
"""
NVIDIA_SMI = r"""#!/usr/bin/env bash
case "$*" in
  -L) echo 'GPU 0: NVIDIA H200 (UUID: GPU-1234)' ;;
  *memory.used*) echo 80000; echo 81920; exec sleep 60 ;;
esac
"""
PYTHON = r"""#!/usr/bin/env bash
echo "python $*" >>"$CALLS"
case "$*" in *gpu_trace_table*) exec REAL "$@" ;; *compare_pytorch*) echo "| xl2-256 | 1.250 |" ;; esac
"""


class Visit(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        base = pathlib.Path(self.folder.name)
        self.bundle, self.out, self.faults, self.calls = base / "bundle", base / "out", base / "faults", base / "calls"
        self.faults.mkdir()
        self.tools = base / "tools"
        for place, text in (("bundle/bin/gpumonth", GPUMONTH), ("bundle/bin/mpirun", MPIRUN), ("bundle/bin/h5dump", H5DUMP),
                            ("bundle/run-tests.sh", "exit 1\n"), ("tools/nvidia-smi", NVIDIA_SMI),
                            ("tools/python3", PYTHON.replace("REAL", sys.executable)),
                            ("bundle/tests/good", 'echo good >>"$CALLS"\n'), ("bundle/tests/bad", "exit 1\n"),
                            ("bundle/libexec/environment.sh", "find_cuda() { :; }\n"), ("bundle/lib/libgputrace.so", "")):
            file = base / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text if text.startswith("#!") else "#!/usr/bin/env bash\n" + text)
            file.chmod(0o755)
        for name in ("check_gpu", "visit_gpu", "bench_gpu", "mpi_env"):
            (self.bundle / "jobs").mkdir(exist_ok=True)
            shutil.copy(ROOT / f"jobs/{name}.sh", self.bundle / "jobs")
        (self.bundle / "tests/bench").mkdir()
        shutil.copy(ROOT / "tests/bench/gpu_trace_table.py", self.bundle / "tests/bench")
        cupti = base / "venv/lib/python3.12/site-packages/nvidia/cuda_cupti/lib/libcupti.so.13"
        cupti.parent.mkdir(parents=True)
        cupti.touch()
        self.manifest("good|cuda|gpu|300|-|tests/good", "slow|cuda|gpu,long|300|-|false", "ranks2|cuda|gpu-mpi|300|-|tests/good")
        self.environment = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", "CALLS": str(self.calls),
                            "FAULTS": str(self.faults), "VIRTUAL_ENV": str(base / "venv"),
                            "GPUMONTH_PYTHON": str(self.tools / "python3")}
        self.environment.pop("GPUMONTH_EMULATED_GPUS", None)

    def manifest(self, *lines):
        (self.bundle / "tests/manifest").write_text("\n".join(lines) + "\n")

    def visit(self, *options, percent=100, seconds=3000, direct=False):
        script = "visit_gpu.sh" if direct else "check_gpu.sh"
        command = [self.bundle / "jobs" / script, *options, "-o", self.out, "-t", str(seconds),
                   *(["-d", self.bundle] if direct else ["visit"])]
        environment = {**self.environment, "GPUMONTH_VISIT_LIMIT_PERCENT": str(percent)}
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, timeout=300)
        self.text = done.stdout + done.stderr
        return done.returncode

    def status(self, name):
        file = self.out / "visit" / f"{name}.status"
        return int(file.read_text().split()[0]) if file.exists() else None

    def trainings(self):
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.split("run.name=")[1].split()[0] for line in lines if "run.name=" in line]

    def test_everything_is_done_once_in_order_and_has_a_row(self):
        self.assertEqual(self.visit(), 0, "see below")
        self.assertEqual({name: self.status(name) for name in ITEMS}, dict.fromkeys(ITEMS, 0), self.text)
        main = ["xl2-256", "wide-f32", "clip", "clip-share", "xl2-512", "b2-256", "s2-256", "wide-f8", "trace", "wide-f128"]
        self.assertEqual(self.trainings(), main)
        table = (self.out / "visit.md").read_text()
        rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
        self.assertEqual(rows, ITEMS)
        self.assertRegex(table, r"xl2-256 \| \d+ \| done \| 199.9 \| 640.20 \| 46.1 \| 56.2 \| 1500 \| 692 \| 140.6 \| power \|( 80.0)? \|")  # no memory where the item was too fast
        self.assertIn("adamw_kernel", (self.out / "visit/trace.txt").read_text())
        calls = self.calls.read_text()
        self.assertEqual(calls.count("good"), 2)  # one test of one rank and one of two, none that is long
        self.assertIn("--pytorch-mode masters-whole-cudnn --products aten", calls)
        for part in ("depth=1", "frames=180", "batch.global=1"):
            self.assertIn(part, next(line for line in calls.splitlines() if "run.name=clip " in line))
        # Again: nothing is done.
        self.calls.unlink()
        self.assertEqual(self.visit(), 0)
        self.assertFalse(self.calls.exists(), self.text)

    def test_a_failure_does_not_end_the_visit_and_is_not_repeated(self):
        (self.faults / "clip-fails").touch()
        self.manifest("good|cuda|gpu|300|-|tests/good", "bad|cuda|gpu|300|-|tests/bad")
        self.assertEqual(self.visit(), 1)
        self.assertEqual((self.status("clip"), self.status("quick")), (2, 1))
        self.assertEqual(self.status("xl2-512"), 0)
        self.assertIn("FAILED with 2: gpumonth: out of memory", (self.out / "visit.md").read_text())
        before = len(self.trainings())
        self.assertEqual(self.visit(), 1)
        self.assertEqual(len(self.trainings()), before)
        (self.out / "visit/clip.status").unlink()
        (self.faults / "clip-fails").unlink()
        self.visit()
        self.assertEqual(self.trainings()[before:], ["clip"])

    def test_what_hangs_ends_at_its_limit_with_its_last_words(self):
        (self.faults / "b2-256-hangs").touch()
        started = time.monotonic()
        self.assertEqual(self.visit(percent=10), 1)  # 10 % of 45 s
        self.assertLess(time.monotonic() - started, 120)
        self.assertEqual(self.status("b2-256"), 137)
        self.assertEqual(self.status("s2-256"), 0)
        self.assertIn("not over at its limit; last words: step 1/9 and then nothing", (self.out / "visit.md").read_text())

    def test_the_end_of_the_visit_leaves_the_rest_to_the_next(self):
        (self.faults / "xl2-256-hangs").touch()
        self.assertEqual(self.visit(seconds=27), 75)  # doctor takes a second, xl2-256 is expected to fit and does not
        self.assertEqual(self.status("doctor"), 0)
        self.assertIsNone(self.status("xl2-256"))
        self.assertIn("| xl2-256 |  | left for another visit |", (self.out / "visit.md").read_text())
        (self.faults / "xl2-256-hangs").unlink()
        self.calls.unlink()
        self.assertEqual(self.visit(), 0, self.text)
        self.assertNotIn("doctor", self.calls.read_text())
        self.assertEqual(self.trainings()[0], "xl2-256")

    def test_the_archive_holds_the_results_of_every_item_that_ended(self):
        archive = pathlib.Path(self.folder.name) / "visit.tar.gz"
        (self.out / "visit/pytorch/inductor-cache").mkdir(parents=True)
        (self.out / "visit/pytorch/inductor-cache/big").touch()
        self.assertEqual(self.visit("-a", archive, direct=True), 0, self.text)
        with tarfile.open(archive) as file:
            names = file.getnames()
        self.assertIn("./visit/xl2-256/run.h5", names)
        self.assertIn("./visit.md", names)
        self.assertFalse([name for name in names if "inductor-cache" in name])
        # Elsewhere, from the archive: all is done.
        self.out = pathlib.Path(self.folder.name) / "elsewhere"
        self.out.mkdir()
        shutil.unpack_archive(archive, self.out)
        self.calls.unlink()
        self.assertEqual(self.visit(), 0)
        self.assertFalse(self.calls.exists(), self.text)

    def test_mistakes_in_the_call(self):
        for options in (("-t", "soon"), ("-a", "results.zip")):
            done = subprocess.run([self.bundle / "jobs/visit_gpu.sh", "-o", self.out, "-d", self.bundle, *options],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn(options[1], done.stderr)
        done = subprocess.run([self.bundle / "jobs/visit_gpu.sh"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("check_gpu.sh visit", done.stderr)


if __name__ == "__main__":
    unittest.main()
