"""results.json of compare_pytorch_gpu.py as a page of Markdown for docs/measurements/."""
import statistics
import sys

from gpu_cases import ROOT
from config import tomllib

GIB = 1 << 30


def hardware_of(device_name):
    """The [hardware] table that has this device name; None: it is not known, and never gets another one's."""
    for file in sorted((ROOT / "configs/hardware").glob("*.toml")):
        table = tomllib.loads(file.read_text())["hardware"]
        if device_name.strip().lower() in [name.strip().lower() for name in table.get("device_names", "").split("|")]:
            return table
    return None


def number(value, form, scale=1.0):
    return "n/a" if value is None else format(value * scale, form)


def side(row, name, peak, hardware_clock=None):
    """Figures of one side over its pairs; None where it did not run. `hardware_clock`: MHz, at which `peak` is reached."""
    runs = [pair[name] for pair in row["pairs"] if name in pair]
    if not runs:
        return None
    seconds = statistics.median(run["median_step_time_s"] for run in runs)
    flops_per_s = row["train_flops_per_sample"] * row["batch"] / seconds
    known = lambda key: [run[key] for run in runs if run.get(key) is not None]
    power = statistics.median(known("busy_power_w")) if known("busy_power_w") else None
    clock = statistics.median(known("busy_sm_clock_mhz")) if known("busy_sm_clock_mhz") else None
    held = hardware_clock / clock if hardware_clock and clock else None
    return dict(mfu_at_clock=flops_per_s / peak * held if peak and held else None, step_s=seconds, samples_per_s=row["batch"] / seconds, tflops=flops_per_s / 1e12,
                mfu=flops_per_s / peak if peak else None, memory=max(known("peak_memory_bytes"), default=None),
                power_w=power, clock_mhz=clock)


def side_rows(results, peak):
    clock = (results.get("hardware") or {}).get("peak_sm_clock_mhz")
    for name, row in results["cases"].items():
        for label in ("gpumonth", "pytorch"):
            figures = side(row, label, peak, clock)
            if figures:
                yield name, row, label, figures


def main_table(results, peak):
    lines = ["| case | batch | side | ms/step | samples/s | TFLOP/s | MFU, % | peak memory, GiB | power, W | "
             "SM clock, MHz | MFU at that clock, % |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, row, label, f in side_rows(results, peak):
        label = f"PyTorch `{row['pytorch_mode']}`" if label == "pytorch" else label
        lines.append(f"| {name} | {row['batch']} | {label} | {f['step_s'] * 1e3:.2f} | {f['samples_per_s']:.2f} | "
                     f"{f['tflops']:.1f} | {number(f['mfu'], '.1f', 100)} | {number(f['memory'], '.1f', 1 / GIB)} | "
                     f"{number(f['power_w'], '.0f')} | {number(f['clock_mhz'], '.0f')} | "
                     f"{number(f['mfu_at_clock'], '.1f', 100)} |")
    return lines


def ratio_table(results):
    rows = [(name, [pair["ratio"] for pair in row["pairs"] if "ratio" in pair])
            for name, row in results["cases"].items()]
    lines = ["| case | PyTorch's time / gpumonth's, median of pairs | lowest | highest | pairs |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {statistics.median(r):.3f} | {min(r):.3f} | {max(r):.3f} | {len(r)} |" for name, r in rows if r]
    return lines if len(lines) > 2 else []


def wide_table(fit):
    if not fit.get("layers"):
        return []
    lines = ["Time of one layer (forward and backward; width 6144, 48 heads, 512 px) from differences between depths; the "
             "rest is forward and backward besides the layers, the optimizer's time is that of one layer.", "",
             "| latent frames | batch | depths | ms per layer and sample | TFLOP/s of the layer | MFU of the layer, % | "
             "rest, ms | optimizer, ms | worst residual, % |", "|---|---|---|---|---|---|---|---|---|"]
    for row in fit["layers"]:
        lines.append(f"| {row['frames']} | {row['batch']} | {', '.join(map(str, row['depths']))} | "
                     f"{row['layer_s_per_sample'] * 1e3:.3f} | {row['layer_flops_per_s'] / 1e12:.1f} | "
                     f"{number(row['layer_mfu'], '.1f', 100)} | {row['rest_s'] * 1e3:.2f} | "
                     f"{row['optimizer_s_per_layer'] * 1e3:.2f} | {row['worst_residual'] * 100:.1f} |")
    if "layer_s_per_frame" in fit:
        lines += ["", f"Fit: one layer and sample takes {fit['layer_s_per_frame'] * 1e3:.3f} ms x frames + "
                  f"{fit['layer_s_per_frame_squared'] * 1e6:.3f} us x frames^2 "
                  f"(worst error {fit['worst_fit_error'] * 100:.1f} %)."]
    return lines


def notes(results):
    lines = []
    for name, row in results["cases"].items():
        if reason := row.get("skipped") or row.get("failure"):
            lines.append(f"- {name}: {reason.splitlines()[-1][:300]}")
        if not reason and not row["pairs"]:
            lines.append(f"- {name}: not run yet")
        skips = [pair["pytorch"].get("cudagraph_skips") for pair in row["pairs"] if "pytorch" in pair]
        if any(skips) and "-tree-" in row.get("pytorch_mode", ""):
            lines.append(f"- {name}: torch.compile left out {max(skips)} CUDA graphs")
    for family, race in results["modes"].items():
        times = ", ".join(f"{mode} {s * 1e3:.2f}" for mode, s in race["seconds"].items())
        lines.append(f"- PyTorch modes on {race['case']}, ms/step: {times}"
                     + "".join(f"; {mode} failed" for mode in race["failed"]))
    return lines


def markdown(results):
    hardware, gpu = results.get("hardware"), results["gpu"]
    peak = hardware["peak_flops_per_s"] if hardware else None
    denominator = (f"{peak / 1e12:.1f} TFLOP/s dense bf16 ({hardware['source']})" if hardware else
                   "unknown for this device: no MFU is given")
    torch = next((pair["pytorch"] for row in results["cases"].values() for pair in row["pairs"] if "pytorch" in pair), {})
    lines = [*(["**A smoke test of the scripts on a CPU: it measures nothing.**", ""] if results["smoke_test"] else []),
             f"{gpu.get('name', 'unknown GPU')}, driver {gpu.get('driver', 'unknown')}, power limit "
             f"{gpu.get('power_limit_w', '?')} W; {results['machine']['cpu']}; PyTorch {torch.get('torch', 'not run')}, "
             f"CUDA {torch.get('cuda', '?')}, cuDNN {torch.get('cudnn', '?')}. bf16, one GPU, "
             f"{', '.join(results['dates'][:1])}. Peak: {denominator}. Memory, power and clock by nvidia-smi, the same "
             "for both sides.", "", *main_table(results, peak)]
    for part in (ratio_table(results), wide_table(results["wide_fit"]), notes(results)):
        lines += ["", *part] if part else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import json
    sys.stdout.write(markdown(json.load(open(sys.argv[1]))))
