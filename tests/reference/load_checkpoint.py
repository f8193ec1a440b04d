#!/usr/bin/env python3
"""Checkpoints go from gpumonth to PyTorch and back.

    python tests/reference/load_checkpoint.py --to-torch CKPT.h5 [--gpumonth build/cpu/gpumonth]
    python tests/reference/load_checkpoint.py --from-torch OUT.h5 --model MODEL.toml [--gpumonth ...]

--to-torch loads CKPT.h5 into the PyTorch DiT, name by name. --from-torch writes a freshly made PyTorch DiT as a
checkpoint. With --gpumonth, one batch then goes through both programs (`gpumonth probe` in fp32), and prediction,
loss and every gradient must agree to --tolerance in relative L2 norm; exit 1 where they do not.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import torch

from config import load_config, parse_config
from dit import DiT
from make_goldens import draw, loss_of, randomize, write


def load(path, model, group="model"):
    """The five lines; group "ema" has no pos_embed, which is not trained."""
    with h5py.File(path) as f:
        state = {name: torch.from_numpy(tensor[()]) for name, tensor in f[group].items()}
    model.load_state_dict({"pos_embed": model.pos_embed, **state}, strict=True)


def save(path, model):
    with h5py.File(path, "w") as f:
        for name, tensor in model.state_dict().items():
            f[f"model/{name}"] = tensor.float().numpy()
        f.attrs.update(step=np.int64(0), seed=np.uint64(0), config_toml=model.config.to_toml())


def relative_error(ours, theirs):
    return float(np.linalg.norm(ours.astype(np.float64) - theirs) / np.linalg.norm(theirs))


def compare(binary, checkpoint, model, tolerance):
    """The worst relative error of `gpumonth probe` against the PyTorch model in double; True where it is small."""
    batch = draw(model.config, 3, torch.Generator().manual_seed(1), t=[0, 417, 999])
    model = model.double()
    prediction, loss = loss_of(model, batch)
    loss.mean().backward()
    expected = {"prediction": prediction, "loss": loss,
                **{f"grad/{name}": p.grad for name, p in model.named_parameters() if p.grad.abs().max() > 0}}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: pathlib.Path(folder, name) for name in ("model.toml", "batch.h5", "out.h5")}
        files["model.toml"].write_text(model.config.to_toml())
        write(files["batch.h5"], batch)
        subprocess.run([binary, "probe", checkpoint, "--model", files["model.toml"], "--batch", files["batch.h5"],
                        "--out", files["out.h5"], "--dtype", "fp32"], check=True, stdout=subprocess.DEVNULL)
        with h5py.File(files["out.h5"]) as out:
            errors = {name: relative_error(out[name][()], e.detach().numpy()) for name, e in expected.items()
                      if np.linalg.norm(e.detach().numpy()) > 0}
    worst = max(errors, key=errors.get)
    print(f"{len(errors)} tensors compared; worst relative error {errors[worst]:.1e} ({worst})")
    return errors[worst] <= tolerance


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--to-torch", metavar="CKPT.h5", type=pathlib.Path)
    way.add_argument("--from-torch", metavar="OUT.h5", type=pathlib.Path)
    parser.add_argument("--model", metavar="MODEL.toml", type=pathlib.Path)
    parser.add_argument("--gpumonth", metavar="PROGRAM")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    checkpoint = arguments.to_torch or arguments.from_torch
    if arguments.model:
        config = load_config(arguments.model)
    elif arguments.to_torch:
        with h5py.File(checkpoint) as f:
            config = parse_config(f.attrs["config_toml"])
    else:
        parser.error("--from-torch needs --model")
    model = DiT(config)
    if arguments.to_torch:
        load(checkpoint, model)
    else:
        randomize(model.double(), torch.Generator().manual_seed(1))
        save(checkpoint, model)
    print(f"{checkpoint}: {sum(p.numel() for p in model.parameters()):,} parameters by name")
    if arguments.gpumonth:
        sys.exit(not compare(arguments.gpumonth, checkpoint, model, arguments.tolerance))


if __name__ == "__main__":
    main()
