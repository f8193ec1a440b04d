#!/usr/bin/env python3
"""Writes tests/golden/: small DiTs with random weights, what PyTorch makes of them, and ten training steps.

    python tests/reference/make_goldens.py [--out tests/golden]

Everything is computed in double from inputs and weights that fp32 holds exactly, and stored in fp32, so that the
files are right to fp32's last bit, whatever order sums are taken in.
"""
import argparse
import math
import pathlib
import platform
import sys

import h5py
import numpy as np
import torch

import diffusion
from config import ModelConfig
from dit import DiT

CASES = {
    "image": ModelConfig(input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=2, num_heads=2,
                         num_classes=10),
    "image-no-sigma": ModelConfig(input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=1, num_heads=4,
                                  num_classes=10, learn_sigma=False),
    "image-odd": ModelConfig(input_size=12, patch_size=4, in_channels=3, hidden_size=48, depth=1, num_heads=3,
                             mlp_ratio=2.5, num_classes=7, class_dropout_prob=0.0),
    "video": ModelConfig(input_size=8, patch_size=2, in_channels=4, hidden_size=48, depth=2, num_heads=4,
                         num_classes=10, frames=4, temporal_patch_size=2),
}
SEED = 20240301
TRAIN_CASE, TRAIN_STEPS, TRAIN_BATCH = "image", 10, 4
OPTIMIZER = dict(learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.01, clip_norm=1.0,
                 ema_decay=0.99)


def randomize(model, generator):
    """Weights of a network in the middle of its training: nothing is zero, so that every gradient is there."""
    for name, p in model.named_parameters():
        fan_in = p[0].numel() if p.dim() > 1 else 1
        scale = 0.1 if p.dim() == 1 else 0.5 if "embedding_table" in name else 1 / math.sqrt(fan_in)
        p.data = (scale * torch.randn(p.shape, generator=generator, dtype=torch.float64)).float().double()
    return model


def draw(config, n, generator, t=None):
    """n samples; the last one has the null label, where the model has one."""
    normal = lambda: torch.randn(n, *config.latent_shape, generator=generator, dtype=torch.float64).float().double()
    y = torch.randint(config.num_classes, (n,), generator=generator)
    if config.class_dropout_prob > 0:
        y[-1] = config.num_classes
    t = torch.tensor(t) if t else torch.randint(diffusion.STEPS, (n,), generator=generator)
    return dict(x_start=normal(), noise=normal(), t=t, y=y)


def loss_of(model, batch):
    schedule = diffusion.Schedule()
    x_t = diffusion.add_noise(schedule, batch["x_start"], batch["noise"], batch["t"])
    prediction = model(x_t, batch["t"], batch["y"])
    return prediction, diffusion.training_loss(schedule, prediction, batch["x_start"], x_t, batch["noise"], batch["t"])


def write(path, datasets, attributes=None):
    with h5py.File(path, "w") as f:
        for name, value in datasets.items():
            value = value.detach().numpy()
            f[name] = value.astype(np.float32 if value.dtype.kind == "f" else np.int32)
        for key, value in {**(attributes or {}), "made_by": made_by()}.items():
            f.attrs[key] = value


def made_by():
    return (f"tests/reference/{pathlib.Path(sys.argv[0]).name}, Python {platform.python_version()}, PyTorch {torch.__version__}, "
            f"NumPy {np.__version__}, h5py {h5py.__version__}")


def named(prefix, tensors):
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def write_case(folder, config, generator):
    folder.mkdir(parents=True, exist_ok=True)
    model = randomize(DiT(config).double(), generator)
    batch = draw(config, 3, generator, t=[0, 417, 999])
    prediction, loss = loss_of(model, batch)
    loss.mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(g.abs().max() > 0 for g in gradients.values())
    (folder / "model.toml").write_text(config.to_toml())
    write(folder / "checkpoint.h5", named("model", model.state_dict()),
          dict(step=np.int64(0), seed=np.uint64(SEED), config_toml=config.to_toml()))
    write(folder / "batch.h5", batch)
    write(folder / "expected.h5", {"prediction": prediction, "loss": loss, **named("grad", gradients)})
    return model


def write_training(folder, model, generator):
    """Ten steps of what the trainer does after the gradient: clip, AdamW, EMA, each as PyTorch does it."""
    o, parameters = OPTIMIZER, dict(model.named_parameters())
    ema = {name: p.detach().clone() for name, p in parameters.items()}
    optimizer = torch.optim.AdamW(parameters.values(), lr=o["learning_rate"], betas=(o["beta1"], o["beta2"]),
                                  eps=o["epsilon"], weight_decay=o["weight_decay"])
    batches, losses, norms = [], [], []
    for _ in range(TRAIN_STEPS):
        batches.append(draw(model.config, TRAIN_BATCH, generator))
        optimizer.zero_grad()
        loss = loss_of(model, batches[-1])[1].mean()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters.values(), o["clip_norm"]))
        optimizer.step()
        losses.append(loss)
        for name, p in parameters.items():
            ema[name].lerp_(p.detach(), 1 - o["ema_decay"])
    inputs = {key: torch.stack([b[key] for b in batches]) for key in batches[0]}
    write(folder / "train.h5", {**inputs, "loss": torch.stack(losses), "grad_norm": torch.stack(norms),
                                **named("model", parameters), **named("ema", ema)}, o)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "golden")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    for index, (name, config) in enumerate(CASES.items()):
        generator = torch.Generator().manual_seed(SEED + index)
        model = write_case(out / name, config, generator)
        if name == TRAIN_CASE:
            write_training(out / name, model, generator)
        print(f"{name}: {sum(f.stat().st_size for f in (out / name).iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
