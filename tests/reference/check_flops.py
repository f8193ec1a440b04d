#!/usr/bin/env python3
"""Compares `gpumonth flops --json` with PyTorch's own count of the same model's operations.

    python tests/reference/check_flops.py build/cpu/gpumonth [configs/models/*.toml]

PyTorch counts while the model runs on the meta device (shapes, no numbers), so that every size works. Forward and
parameters must agree exactly. Backward: PyTorch counts twice the forward, less the gradients with respect to the two
inputs that need none (the timestep's frequencies; the latents' is asked for here), which gpumonth's convention keeps.
"""
import argparse
import json
import pathlib
import subprocess
import sys

import torch
from torch.utils.flop_counter import FlopCounterMode

from config import load_config
from dit import FREQUENCIES, DiT


def pytorch_counts(config):
    """(parameters, forward FLOPs, forward + backward FLOPs) of one sample."""
    with torch.device("meta"):
        model = DiT(config)
        x = torch.empty(1, *config.latent_shape, requires_grad=True)
        index = torch.zeros(1, dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        prediction = model(x, index, index)
    with FlopCounterMode(display=False) as backward:
        prediction.sum().backward()
    forward = forward.get_total_flops()
    return sum(p.numel() for p in model.parameters()), forward, forward + backward.get_total_flops()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="the gpumonth program")
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).parents[2]
    failed = 0
    for path in arguments.models or sorted((root / "configs/models").glob("*.toml")):
        config = load_config(path)
        ours = json.loads(subprocess.run([arguments.binary, "flops", path, "--json"], check=True,
                                         capture_output=True, text=True).stdout)
        params, forward, train = pytorch_counts(config)
        expected = dict(params=params, tokens=config.tokens, forward_flops_per_sample=forward,
                        forward_macs_per_sample=forward // 2,
                        train_flops_per_sample=train + 2 * FREQUENCIES * config.hidden_size)
        wrong = {key: (ours.get(key), value) for key, value in expected.items() if ours.get(key) != value}
        failed += bool(wrong)
        print(f"{path.stem:24s} {params / 1e6:9.1f} M parameters {forward / 2e9:12.2f} GMAC forward "
              + (f"DIFFERS (gpumonth, PyTorch): {wrong}" if wrong else "equal"), flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
