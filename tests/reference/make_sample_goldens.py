#!/usr/bin/env python3
"""Writes tests/golden/CASE/samples.h5: ten steps of the reference's samplers from the checkpoint of that folder.

    python tests/reference/make_sample_goldens.py [--out tests/golden]

In double from weights and noise that fp32 holds exactly, as make_goldens.py.
"""
import argparse
import pathlib

import h5py
import numpy as np
import torch

import sampling
from config import load_config
from dit import DiT
from make_goldens import SEED, write

STEPS, GUIDANCE = 10, 4.0
CASES = {"image": [3, 10], "image-no-sigma": [0, 7], "image-odd": [6, 2], "video": [10, 5]}  # labels; 10 is the null label


def load(folder):
    config = load_config(folder / "model.toml")
    model = DiT(config).double()
    with h5py.File(folder / "checkpoint.h5") as f:
        model.load_state_dict({name: torch.from_numpy(f["model"][name][...]).double() for name in f["model"]})
    return config, model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "golden")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for index, (name, labels) in enumerate(CASES.items()):
        config, model = load(out / name)
        generator = torch.Generator().manual_seed(SEED + 100 + index)
        normal = lambda *shape: torch.randn(*shape, *config.latent_shape, generator=generator, dtype=torch.float64).float().double()
        y = torch.tensor(labels)
        begin, noise = normal(len(y)), normal(STEPS, len(y))
        data = dict(begin=begin, noise=noise[:-1], y=y)  # the last step adds none
        with torch.no_grad():
            for step in (sampling.p_sample, sampling.ddim_sample):
                for scale in (1.0, GUIDANCE) if config.class_dropout_prob > 0 else (1.0,):
                    key = ("ddpm" if step is sampling.p_sample else "ddim") + ("" if scale == 1 else "_guided")
                    data[key] = sampling.sample(model, step, STEPS, begin, noise, y, scale, config.num_classes)
        write(out / name / "samples.h5", data, dict(steps=np.int32(STEPS), guidance=GUIDANCE))
        print(name, {key: float(value.abs().max()) for key, value in data.items() if key.startswith("dd")})


if __name__ == "__main__":
    main()
