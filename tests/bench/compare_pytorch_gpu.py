#!/usr/bin/env python3
"""gpumonth against PyTorch on one GPU: both train the same DiT in bf16, in turn, each in processes of its own.

    python tests/bench/compare_pytorch_gpu.py --gpumonth build/cuda/gpumonth --out runs/bench-gpu [--budget-s 540]
        [--cases main] [--pairs 3]

Every pair runs gpumonth and then PyTorch (the next pair the other way round). A run's figure is its median steady step;
a case's ratio is the median over pairs, with the range. The PyTorch side (pytorch_dit_gpu.py) has torch.compile
max-autotune, CUDA graphs, cuDNN attention, fused AdamW and foreach EMA; several modes are tried once per family of
cases, and the fastest is compared. Both sides take the same batch: where it does not fit, half of it, and so on.
MFU is model FLOPs over the datasheet's dense bf16 peak of configs/hardware; n/a for a device that is not there.

Cases: main = xl2-256, xl2-512, b2-256, s2-256. wide = blocks of the 20 B model's width (6144, 48 heads) at depth 1, 2 and 4
with as many latent frames as fit: gpumonth alone but for two points; time per layer and frame is fitted from differences.

Everything is kept in --out: results.json, table.md, runs/ with each run's log and output. What is in results.json is not
run again, so that a budget of seconds may be spread over several calls; exit status 75 says that some is left.

The two sides differ in their data: gpumonth draws its moving shapes on the host, copies them to the GPU and writes its run
log; PyTorch takes random latents that lie on the GPU.
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import gpu_watch  # noqa: E402
from gpu_cases import CASES, ROOT, fit_wide, select, train_flops  # noqa: E402
from gpu_table import hardware_of, markdown  # noqa: E402
from side_by_side import RunFailed, machine, run_pair  # noqa: E402

WARMUP = 10
MODES = ("masters-whole-cudnn", "autocast-whole-cudnn", "masters-tree-cudnn", "masters-whole-flash")
FALLBACK = "autocast-plain-any"  # where none of them runs
FITS = 0.92  # share of the GPU's memory that the estimated buffers may take
TIME_IS_UP = 75
# The last lines of `gpumonth train`, which need no HDF5 to be read; milliseconds.
SUMMARY = re.compile(r"= data ([\d.]+) \+ forward ([\d.]+) \+ backward ([\d.]+) \+ exposed communication ([\d.]+) "
                     r"\+ optimizer ([\d.]+)")


class TimeIsUp(Exception):
    pass


class OutOfMemory(RunFailed):
    pass


class Bench:
    def __init__(self, arguments):
        self.arguments, self.out = arguments, arguments.out
        self.smoke = arguments.device == "cpu"
        self.deadline = time.monotonic() + arguments.budget_s
        self.took_s = {}  # the last duration of each kind of run
        self.out.mkdir(parents=True, exist_ok=True)
        self.file = self.out / "results.json"
        self.gpu = gpu_watch.describe()
        self.hardware = hardware_of(self.gpu.get("name", ""))
        if self.file.exists():
            self.results = json.loads(self.file.read_text())
            before, now = self.results["gpu"].get("name"), self.gpu.get("name")
            if before != now:
                sys.exit(f"{self.file} was measured on {before}, this is {now}: give another --out")
        else:
            self.results = dict(gpu=self.gpu, machine=machine(), smoke_test=self.smoke, modes={}, cases={})
        now = datetime.datetime.now(datetime.timezone.utc).isoformat("T", "seconds")
        self.results.setdefault("dates", []).append(now)

    # -- running -------------------------------------------------------------------------------------------------------

    def run(self, kind, command, log, environment=None):
        """Runs a command with its output in `log`; returns its standard output and what the GPU did meanwhile."""
        left = self.deadline - time.monotonic()
        if left < self.took_s.get(kind, 20):
            raise TimeIsUp
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        try:
            with gpu_watch.GpuWatch() as watch:
                done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=left,
                                      env={**os.environ, **(environment or {})})
        except subprocess.TimeoutExpired:
            raise TimeIsUp from None
        self.took_s[kind] = time.monotonic() - started
        log.write_text(f"$ {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
        if done.returncode:
            tail = (done.stderr or done.stdout)[-1500:]
            error = OutOfMemory if "out of memory" in (done.stdout + done.stderr).lower() else RunFailed
            raise error(f"{' '.join(map(str, command))}\nended with {done.returncode}, output in {log}: {tail}")
        return done.stdout, watch.result

    def gpumonth(self, case, batch, name, steps=None):
        steps = steps or case.steps
        folder = self.out / "runs" / case.name / name
        config = folder.with_suffix(".toml")
        config.parent.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.h5"):  # of a run that the time budget cut off
            old.unlink()
        config.write_text(
            f'[model]\nfrom = "{self.model_file(case)}"\n'
            f'[run]\nname = "{case.name}"\ndirectory = "{folder}"\nsteps = {WARMUP + steps}\n'
            f'backend = "{self.arguments.device}"\ndtype = "bf16"\n[batch]\nglobal = {batch}\n'
            f"[log]\nsteady_after = {WARMUP}\n[checkpoint]\nat_end = false\n")
        binary, scenario = self.arguments.gpumonth, ROOT / "configs/scenarios/dit-xl-2-256.toml"
        said, watched = self.run("gpumonth", [binary, "train", config, *self.arguments.set], folder.with_suffix(".log"))
        (log,) = folder.glob("*.h5")
        text, _ = self.run("budget", [binary, "budget", scenario, "--runs", log, "--json"],
                           folder.with_suffix(".budget.json"))
        (figures,) = json.loads(text)["runs"]
        parts = SUMMARY.search(said)
        if not parts:
            raise RunFailed(f"{folder.with_suffix('.log')} has no line of a mean step: gpumonth train prints another summary now")
        parts = dict(zip(("data_s", "forward_s", "backward_s", "exposed_comm_s", "optimizer_s"),
                         (float(ms) * 1e-3 for ms in parts.groups())))
        return dict(median_step_time_s=figures["step_median_s"], **parts, step_p5_s=figures["step_p5_s"],
                    step_p95_s=figures["step_p95_s"], mfu_of_log=figures.get("mfu"),
                    log=str(log.relative_to(self.out)), **watched)

    def pytorch(self, case, batch, mode, name, steps=None):
        log = self.out / "runs" / case.name / f"{name}.log"
        # The compiled code is kept: the first run of a shape compiles for minutes, the next ones load it.
        cache = {"TORCHINDUCTOR_CACHE_DIR": str(self.out / "inductor-cache"), "TORCHINDUCTOR_FX_GRAPH_CACHE": "1"}
        command = [self.arguments.python, ROOT / "tests/bench/pytorch_dit_gpu.py", "--model", self.model_file(case),
                   "--batch", batch, "--mode", mode, "--steps", steps or case.steps, "--warmup", WARMUP,
                   "--device", self.arguments.device, "--products", self.arguments.products]
        text, watched = self.run(f"pytorch-{case.name}", command, log, cache)
        result = json.loads(text.strip().splitlines()[-1])
        seconds = sorted(result.pop("step_time_s"))
        rest = len(seconds) // 20
        return {**result, "step_p5_s": seconds[rest], "step_p95_s": seconds[-1 - rest], **watched}

    def model_file(self, case):
        file = (self.out / "models" / f"{case.name}.toml").resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(case.config.to_toml())
        return file

    # -- one case ------------------------------------------------------------------------------------------------------

    def estimated_bytes(self, case, batch):
        command = [self.arguments.gpumonth, "flops", self.model_file(case), "--batch", batch, "--json"]
        text, _ = self.run("flops", command, self.out / "runs" / case.name / "flops.json")
        return json.loads(text)["bytes_per_rank"]["total"]

    def batch_that_fits(self, case, batch):
        """By gpumonth's own estimate; 0: not even one sample."""
        if not self.gpu.get("memory_mib", "").isdigit():
            return batch
        memory = int(self.gpu["memory_mib"]) * gpu_watch.MIB
        while batch > 0 and self.estimated_bytes(case, batch) > FITS * memory:
            batch //= 2
        return batch

    def pick_mode(self, case, batch):
        """The fastest mode in one short run each; kept per family."""
        if self.arguments.pytorch_mode != "auto":
            return self.arguments.pytorch_mode
        race = self.results["modes"].setdefault(case.family, dict(case=case.name, seconds={}, failed={}))
        if "fastest" not in race:
            for mode in [*MODES, FALLBACK]:
                if mode in race["seconds"] or mode in race["failed"] or (mode == FALLBACK and race["seconds"]):
                    continue
                try:
                    race["seconds"][mode] = self.pytorch(case, batch, mode, f"mode-{mode}", 10)["median_step_time_s"]
                    print(f"  {case.name}: PyTorch {mode} {race['seconds'][mode] * 1e3:.2f} ms/step", flush=True)
                except OutOfMemory:
                    raise
                except RunFailed as failure:
                    race["failed"][mode] = str(failure)[-400:]
                    print(f"  {case.name}: PyTorch {mode} is out of the race: {str(failure)[-300:]}", flush=True)
                self.save()
            if not race["seconds"]:
                raise RunFailed(f"no PyTorch mode runs: {race['failed']}")
            race["fastest"] = min(race["seconds"], key=race["seconds"].get)
        return race["fastest"]

    def case(self, case):
        row = self.results["cases"].setdefault(case.name, dict(batch=case.batch, pairs=[], **describe(case)))
        if row.get("skipped"):
            return
        if not row["pairs"]:
            row["batch"] = self.batch_that_fits(case, row["batch"])
            if row["batch"] == 0:
                row["skipped"] = "does not fit by gpumonth's estimate"
                print(f"{case.name}: {row['skipped']}", flush=True)
                return
        while True:
            try:
                return self.pairs(case, row)
            except OutOfMemory as failure:
                self.results["modes"].pop(case.family, None)
                row.update(batch=row["batch"] // 2, pairs=[])
                print(f"  {case.name}: out of memory, batch {row['batch']} now: {str(failure)[-200:]}", flush=True)
                if row["batch"] == 0:
                    row["skipped"] = "out of memory with one sample"
                    return

    def pairs(self, case, row):
        batch = row["batch"]
        if not case.with_pytorch:
            if not row["pairs"]:
                row["pairs"].append(dict(gpumonth=self.gpumonth(case, batch, "gpumonth")))
                self.report(case, row["pairs"][-1], batch)
            return
        mode = row["pytorch_mode"] = self.pick_mode(case, batch)
        for index in range(len(row["pairs"]), self.arguments.pairs):
            # Half a pair is no use: the other half might be measured on another day.
            if self.deadline - time.monotonic() < sum(self.took_s.get(k, 20) for k in ("gpumonth", f"pytorch-{case.name}")):
                raise TimeIsUp
            pair = run_pair({"gpumonth": lambda: self.gpumonth(case, batch, f"pair{index + 1}-gpumonth"),
                             "pytorch": lambda: self.pytorch(case, batch, mode, f"pair{index + 1}-pytorch")}, index)
            row["pairs"].append(pair)
            self.save()
            self.report(case, pair, batch)

    def report(self, case, pair, batch):
        seconds = {side: pair[side]["median_step_time_s"] for side in ("gpumonth", "pytorch") if side in pair}
        parts = [f"{side} {s * 1e3:.2f} ms/step, {batch / s:.1f} samples/s" for side, s in seconds.items()]
        ratio = f", ratio {pair['ratio']:.3f}" if "ratio" in pair else ""
        print(f"  {case.name}, batch {batch}: {'; '.join(parts)}{ratio}", flush=True)

    # -- results -------------------------------------------------------------------------------------------------------

    def save(self):
        peak = self.hardware["peak_flops_per_s"] if self.hardware else None
        wide = {name: row for name, row in self.results["cases"].items() if name.startswith("wide-") and row["pairs"]}
        # Depths of one length can be subtracted only at the same batch: that of the shallowest.
        batches = {row["frames"]: row["batch"] for row in sorted(wide.values(), key=lambda row: -row["depth"])}
        runs = {(row["depth"], row["frames"]): row["pairs"][0]["gpumonth"] for row in wide.values()
                if row["batch"] == batches[row["frames"]]}
        self.results["wide_fit"] = fit_wide({at: run["forward_s"] + run["backward_s"] for at, run in runs.items()},
                                            {at: run["optimizer_s"] for at, run in runs.items()}, batches, peak)
        self.results["hardware"] = self.hardware
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.results, indent=1))
        temporary.replace(self.file)
        (self.out / "table.md").write_text(markdown(self.results))

    def all(self, cases):
        status = 0
        for case in cases:
            print(f"{case.name}", flush=True)
            try:
                self.case(case)
            except TimeIsUp:
                print(f"the {self.arguments.budget_s:.0f} s are over; the same command goes on", flush=True)
                status = TIME_IS_UP
                break
            except RunFailed as failure:
                print(f"{case.name} failed: {failure}", file=sys.stderr, flush=True)
                self.results["cases"][case.name]["failure"] = str(failure)[-1500:]
                status = 1
            else:
                self.results["cases"][case.name].pop("failure", None)
            self.save()
        self.save()
        print(f"\n{markdown(self.results)}\n{self.file}")
        return status


def describe(case):
    config = case.config
    return dict(model=case.model, depth=config.depth, frames=config.frames, tokens=config.tokens,
                hidden_size=config.hidden_size, train_flops_per_sample=train_flops(config))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpumonth", required=True, type=pathlib.Path, help="the gpumonth program")
    parser.add_argument("--out", required=True, type=pathlib.Path,
                        help="folder; one with results of this GPU is gone on with")
    parser.add_argument("--cases", default="all",
                        help="comma-separated names, or main, wide, all; default: %(default)s")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--budget-s", type=float, default=1e6, help="stop after this many seconds and say so")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--pytorch-mode", default="auto", help="auto: the fastest of " + ", ".join(MODES))
    parser.add_argument("--products", choices=("aten", "all"), default="aten",
                        help="what torch.compile may take for matrix products: ATen's (cuBLAS), or Triton's and others "
                             "too, which it compiles and times for many minutes; default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="of gpumonth train, in addition")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda",
                        help="cpu: a smoke test of the scripts that measures nothing; only with --cases smoke")
    arguments = parser.parse_args()
    try:
        cases = select(arguments.cases)
    except KeyError as unknown:
        parser.error(f"unknown case {unknown}; one of main, wide, all, {', '.join(CASES)}")
    if (arguments.device == "cpu") != (arguments.cases == "smoke"):
        parser.error("--device cpu and --cases smoke go together")
    if arguments.pairs < 1:
        parser.error("--pairs: at least 1")
    arguments.gpumonth = arguments.gpumonth.resolve()
    arguments.out = arguments.out.resolve()
    arguments.set = [word for assignment in arguments.set for word in ("--set", assignment)]
    return arguments, cases


def main():
    arguments, cases = parse_arguments()
    sys.exit(Bench(arguments).all(cases))


if __name__ == "__main__":
    main()
