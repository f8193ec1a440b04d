#!/usr/bin/env python3
"""gpumonth against PyTorch on this machine's CPU: both train the same DiT, in turn, each in processes of its own.

    python tests/bench/compare_pytorch.py --gpumonth build/cpu/gpumonth --out comparison.json [--pairs 5]
        [--cases s2-bf16-1x2,...] [--steps 12]

Every pair runs gpumonth and then PyTorch (the next pair the other way round), so that a machine whose speed drifts
favours neither. A run's figure is its median steady step. PyTorch runs with tcmalloc, pinned threads and its fused
optimizer; eager and torch.compile, fused attention and batched products are each tried once per case, and the fastest
is compared. Peak memory is the largest resident set of one process, as the kernel counted it, for both.

--mkl-intel-path: the MKL inside PyTorch's wheel multiplies fp32 matrices on AMD processors by its AVX2 path, at about half
the speed of its AVX-512 path on Zen 5. The option preloads a function that makes MKL take the processor for Intel's: no
supported setting of PyTorch, but the upper bound of what it can do in fp32. It does nothing for bf16 (oneDNN).

The two sides differ in their data: gpumonth draws its moving shapes, PyTorch takes prepared random latents; gpumonth
writes its run log. The last column is gpumonth's model FLOP/s over the matrix product rate that it measures at its start, on
all ranks at once.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import h5py

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/reference"))
from config import forward_macs, load_config  # noqa: E402
from side_by_side import RunFailed, machine, run_pair  # noqa: E402

STEADY = 1  # /steps/phase
MODES = ("eager-fused", "eager-matmul", "compile-fused", "compile-matmul")
TCMALLOC = ("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", "/usr/lib/aarch64-linux-gnu/libtcmalloc_minimal.so.4")


@dataclasses.dataclass(frozen=True)
class Case:
    model: str
    batch: int
    dtype: str
    ranks: int
    threads: int

    @property
    def name(self):
        return f"{self.model.removeprefix('dit-').replace('-', '')}-{self.dtype}-{self.ranks}x{self.threads}"

    @property
    def file(self):
        return ROOT / f"configs/models/{self.model}.toml"


CASES = [Case(model, batch, dtype, ranks, threads) for model, batch in (("dit-s-2", 8), ("dit-b-4", 32))
         for dtype in ("bf16", "fp32") for ranks, threads in ((1, 2), (2, 1))]


def run(command, environment, folder):
    """Runs a command; its output and the peak resident set, bytes, of the largest process below it."""
    # A small parent of its own, so that the kernel's "largest child" is this command's and no earlier one's.
    watcher = ("import json,resource,subprocess,sys;r=subprocess.run(sys.argv[2:]).returncode;"
               "open(sys.argv[1],'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss));sys.exit(r)")
    peak = pathlib.Path(folder, "peak")
    done = subprocess.run([sys.executable, "-c", watcher, peak, *map(str, command)], capture_output=True, text=True,
                          env={**os.environ, **environment})
    if done.returncode:
        raise RunFailed(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout, int(peak.read_text()) * 1024


def run_gpumonth(binary, case, steps, warmup):
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "run.toml")
        config.write_text(
            f'[model]\nfrom = "{case.file.resolve()}"\n'
            f'[run]\nname = "bench"\ndirectory = "{folder}/out"\nsteps = {warmup + steps}\nbackend = "cpu"\n'
            f'dtype = "{case.dtype}"\nthreads = {case.threads}\n[batch]\nglobal = {case.batch}\n'
            f"[log]\nsteady_after = {warmup}\n[checkpoint]\nat_end = false\n")
        launch = ["mpirun", "--bind-to", "none", "-n", case.ranks] if case.ranks > 1 else []
        root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        _, peak = run([*launch, binary, "train", config], root, folder)
        (log,) = pathlib.Path(folder, "out").glob("*.h5")
        with h5py.File(log) as f:
            columns = f["steps"]
            steady = columns["phase"][()] == STEADY
            parts = {part: float(statistics.median(columns[part][steady])) for part in
                     ("data_s", "forward_s", "backward_s", "exposed_comm_s", "optimizer_s")}
            seconds = [float(s) for s in columns["step_time_s"][steady]]
            gemm = float(f.attrs["gemm_peak_flops_per_s"]) * case.ranks
    flops = 6 * forward_macs(load_config(case.file)) * case.batch
    return dict(gemm_flops_per_s=gemm, share_of_gemm=flops / statistics.median(seconds) / gemm,
                median_step_time_s=statistics.median(seconds), step_time_s=seconds, peak_rss_bytes=peak, **parts)


def build_mkl_shim(folder):
    """A library for LD_PRELOAD whose one function MKL asks whether the processor is Intel's."""
    source, library = pathlib.Path(folder, "shim.c"), pathlib.Path(folder, "shim.so")
    source.write_text("int mkl_serv_intel_cpu_true(void) { return 1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def run_pytorch(arguments, case, steps, warmup, mode):
    compiled, attention = mode.split("-")[0] == "compile", mode.split("-")[1]
    environment = {"OMP_NUM_THREADS": str(case.threads)}
    if case.ranks == 1:
        environment["GOMP_CPU_AFFINITY"] = f"0-{case.threads - 1}"
    preload = [library for library in TCMALLOC if os.path.exists(library)][:1]
    launch = [arguments.python]
    if case.ranks > 1:
        launch = [arguments.python, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", case.ranks]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.mkl_intel_path:
            preload.append(str(build_mkl_shim(folder)))
        environment["LD_PRELOAD"] = ":".join(preload)
        output, peak = run([*launch, ROOT / "tests/bench/pytorch_dit.py", "--model", case.file, "--batch", case.batch,
                            "--dtype", case.dtype, "--threads", case.threads, "--steps", steps, "--warmup", warmup,
                            "--attention", attention, *(["--ddp"] if case.ranks > 1 else []), *(["--compile"] if compiled else [])],
                           environment, folder)
    # torch.compile starts compilers; the trainer's own figure leaves them out.
    result = json.loads(output.strip().splitlines()[-1])
    return {**result, "peak_rss_bytes": result["peak_rss_bytes"] if compiled else peak}


def pick_mode(arguments, case):
    """The fastest of MODES in one short run of each."""
    if arguments.pytorch_mode != "auto":
        return arguments.pytorch_mode
    seconds = {}
    for mode in MODES:
        try:
            seconds[mode] = run_pytorch(arguments, case, max(4, arguments.steps // 2), 2,
                                        mode)["median_step_time_s"]
        except RunFailed as failure:
            if mode.startswith("eager"):
                raise
            print(f"{case.name}: {mode} is out of the race: {failure}", file=sys.stderr)
    print(f"{case.name}: PyTorch " + ", ".join(f"{mode} {s:.3f}" for mode, s in seconds.items()) + " s/step", flush=True)
    return min(seconds, key=seconds.get)


def compare(arguments, case):
    mode = pick_mode(arguments, case)
    sides = {"gpumonth": lambda: run_gpumonth(arguments.gpumonth, case, arguments.steps, arguments.warmup),
             "pytorch": lambda: run_pytorch(arguments, case, arguments.steps, arguments.warmup, mode)}
    pairs = []
    for index in range(arguments.pairs):
        pair = run_pair(sides, index)
        pairs.append(pair)
        print(f"  {case.name} pair {index + 1}/{arguments.pairs}: gpumonth "
              f"{pair['gpumonth']['median_step_time_s']:.3f} s/step, PyTorch "
              f"{pair['pytorch']['median_step_time_s']:.3f} s/step, ratio {pair['ratio']:.2f}", flush=True)
    return summarize(case, mode, pairs)


def summarize(case, mode, pairs):
    flops = 6 * forward_macs(load_config(case.file)) * case.batch
    row = dict(case=case.name, **dataclasses.asdict(case), pytorch_mode=mode,
               ratio=statistics.median(p["ratio"] for p in pairs), ratios=[p["ratio"] for p in pairs], pairs=pairs)
    row["share_of_gemm"] = statistics.median(p["gpumonth"]["share_of_gemm"] for p in pairs)
    for side in ("gpumonth", "pytorch"):
        seconds = statistics.median(p[side]["median_step_time_s"] for p in pairs)
        row[side] = dict(samples_per_s=case.batch / seconds, model_gflop_per_s=flops / seconds / 1e9,
                         peak_rss_bytes=max(p[side]["peak_rss_bytes"] for p in pairs))
    return row


def print_table(rows):
    print(f"\n{'case':14s} {'gpumonth':>19s} {'PyTorch':>19s} {'mode':>14s} {'ratio':>6s} {'range':>11s} "
          f"{'peak memory, GiB':>17s} {'gpumonth, %':>12s}")
    print(f"{'':14s} {'samples/s  GFLOP/s':>19s} {'samples/s  GFLOP/s':>19s} {'':>14s} {'':6s} {'of pairs':>11s} "
          f"{'gpumonth PyTorch':>17s} {'of GEMM rate':>12s}")
    for r in rows:
        sides = " ".join(f"{r[s]['samples_per_s']:10.2f} {r[s]['model_gflop_per_s']:8.0f}" for s in
                         ("gpumonth", "pytorch"))
        memory = " ".join(f"{r[s]['peak_rss_bytes'] / 2**30:8.2f}" for s in ("gpumonth", "pytorch"))
        print(f"{r['case']:14s} {sides} {r['pytorch_mode']:>14s} {r['ratio']:6.2f} "
              f"{min(r['ratios']):5.2f}-{max(r['ratios']):5.2f} {memory} {100 * r['share_of_gemm']:12.1f}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpumonth", required=True, type=pathlib.Path, help="the gpumonth program")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file for every figure; must not exist")
    parser.add_argument("--cases", default=",".join(c.name for c in CASES), help="comma-separated; default all:"
                        " %(default)s")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12, help="measured per run")
    parser.add_argument("--warmup", type=int, default=3, help="steps before them")
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--pytorch-mode", choices=("auto", *MODES), default="auto",
                        help="auto: the fastest of them")
    parser.add_argument("--mkl-intel-path", action="store_true", help="see above")
    arguments = parser.parse_args()
    known = {case.name: case for case in CASES}
    names = arguments.cases.split(",")
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown case {unknown[0]}; one of {', '.join(known)}")
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists; name another file or remove it")
    arguments.gpumonth = arguments.gpumonth.resolve()
    return arguments, [known[name] for name in names]


def main():
    arguments, cases = parse_arguments()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for case in cases:
        try:
            rows.append(compare(arguments, case))
        except RunFailed as failure:
            sys.exit(f"{case.name}: {failure}")
        arguments.out.write_text(json.dumps(dict(machine=machine(), mkl_intel_path=arguments.mkl_intel_path, cases=rows),
                                            indent=1))
    print_table(rows)


if __name__ == "__main__":
    main()
