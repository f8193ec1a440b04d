"""What both comparisons with PyTorch share: pairs of runs in alternating order, and what the machine is."""
import os
import pathlib
import platform


class RunFailed(RuntimeError):
    pass


def run_pair(sides, index):
    """Runs both sides ({name: function that returns a dict with median_step_time_s}), every second pair the other way
    round, so that a machine whose speed drifts favours neither. Their results, and PyTorch's time over gpumonth's."""
    order = list(sides) if index % 2 == 0 else list(sides)[::-1]
    pair = {side: sides[side]() for side in order}
    pair["ratio"] = pair["pytorch"]["median_step_time_s"] / pair["gpumonth"]["median_step_time_s"]
    return pair


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return dict(cpu=name, cores=os.cpu_count(), kernel=platform.release(), python=platform.python_version())
