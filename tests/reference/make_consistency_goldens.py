#!/usr/bin/env python3
"""Writes tests/golden/image/consistency.h5: the loss of consistency distillation (arXiv:2303.01469, algorithm 2; guided
as arXiv:2310.04378) on batch.h5 of that folder, its teacher and its student both checkpoint.h5, and the gradient of the
final layer.

    python tests/reference/make_consistency_goldens.py [--out tests/golden]

In NumPy and double, a DiT of its own in plain matrix products; it is held against /prediction of expected.h5 first.
"""
import argparse
import pathlib

import h5py
import numpy as np

GUIDANCE, SKIP, GUIDED_CHANNELS, HUBER = 4.0, 20, 3, 0.00054
WIDTH, PATCH, HEADS, DEPTH, CHANNELS, GRID, NULL = 32, 2, 2, 2, 4, 4, 10
ALPHA_BAR = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
SIGNAL, NOISE = np.sqrt(ALPHA_BAR), np.sqrt(1 - ALPHA_BAR)


def per_sample(values):
    return values[:, None, None, None]


def silu(x):
    return x / (1 + np.exp(-x))


def norm(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-6)


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


def linear(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def attention(w, name, x):
    n, tokens, h = x.shape
    q, k, v = linear(w, name + ".qkv", x).reshape(n, tokens, 3, HEADS, h // HEADS).transpose(2, 0, 3, 1, 4)
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(h // HEADS)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    out = weights / weights.sum(-1, keepdims=True) @ v
    return linear(w, name + ".proj", out.transpose(0, 2, 1, 3).reshape(n, tokens, h))


def mlp(w, name, x):
    u = linear(w, name + ".fc1", x)
    return linear(w, name + ".fc2", 0.5 * u * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3))))


def to_image(tokens):
    """(N, T, p p c) -> (N, c, H, W)"""
    n = len(tokens)
    x = tokens.reshape(n, GRID, GRID, PATCH, PATCH, -1).transpose(0, 5, 1, 3, 2, 4)
    return x.reshape(n, -1, GRID * PATCH, GRID * PATCH)


def to_tokens(image):
    """The reverse."""
    n, c = image.shape[:2]
    x = image.reshape(n, c, GRID, PATCH, GRID, PATCH).transpose(0, 2, 4, 3, 5, 1)
    return x.reshape(n, GRID * GRID, -1)


def network(w, x, t, y):
    """-> output (N, 2 C, H, W), and what the final linear layer reads."""
    n = len(x)
    patches = x.reshape(n, CHANNELS, GRID, PATCH, GRID, PATCH).transpose(0, 2, 4, 1, 3, 5).reshape(n, GRID * GRID, -1)
    proj = w["x_embedder.proj.weight"].reshape(WIDTH, -1)
    stream = patches @ proj.T + w["x_embedder.proj.bias"] + w["pos_embed"]
    angle = t[:, None] * np.exp(-np.log(10000) * np.arange(128) / 128)
    c = linear(w, "t_embedder.mlp.0", np.concatenate([np.cos(angle), np.sin(angle)], axis=1))
    c = linear(w, "t_embedder.mlp.2", silu(c)) + w["y_embedder.embedding_table.weight"][y]
    for layer in range(DEPTH):
        name = f"blocks.{layer}"
        a = np.split(linear(w, name + ".adaLN_modulation.1", silu(c)), 6, axis=1)
        stream = stream + a[2][:, None] * attention(w, name + ".attn", modulate(norm(stream), a[0], a[1]))
        stream = stream + a[5][:, None] * mlp(w, name + ".mlp", modulate(norm(stream), a[3], a[4]))
    shift, scale = np.split(linear(w, "final_layer.adaLN_modulation.1", silu(c)), 2, axis=1)
    last = modulate(norm(stream), shift, scale)
    return to_image(linear(w, "final_layer.linear", last)), last


def student(x, t, epsilon):
    """c_skip x_t + c_out x_0, and its derivative by epsilon."""
    skip, out = 0.25 / ((10 * t) ** 2 + 0.25), 10 * t / np.sqrt((10 * t) ** 2 + 0.25)
    x_0 = (x - per_sample(NOISE[t]) * epsilon) / per_sample(SIGNAL[t])
    return per_sample(skip) * x + per_sample(out) * x_0, -out * NOISE[t] / SIGNAL[t]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "golden")
    folder = parser.parse_args().out / "image"
    with h5py.File(folder / "checkpoint.h5") as f:
        w = {name: f["model"][name][...].astype(float) for name in f["model"]}
    with h5py.File(folder / "batch.h5") as f:
        x_0, noise, t, y = (f[name][...] for name in ("x_start", "noise", "t", "y"))
    x_t = per_sample(SIGNAL[t]) * x_0 + per_sample(NOISE[t]) * noise
    output, last = network(w, x_t, t, y)
    with h5py.File(folder / "expected.h5") as f:
        expected = f["prediction"][...]
    distance = np.linalg.norm(output - expected) / np.linalg.norm(expected)
    assert distance < 1e-6, distance

    epsilon, null = output[:, :CHANNELS].copy(), network(w, x_t, t, np.full_like(y, NULL))[0][:, :CHANNELS]
    teacher = epsilon.copy()
    teacher[:, :GUIDED_CHANNELS] = (null + GUIDANCE * (epsilon - null))[:, :GUIDED_CHANNELS]
    s = np.maximum(t - SKIP, 0)
    start = (x_t - per_sample(NOISE[t]) * teacher) / per_sample(SIGNAL[t])
    x_s = per_sample(SIGNAL[s]) * start + per_sample(NOISE[s]) * teacher
    x_s[s == t] = x_t[s == t]
    target = student(x_s, s, network(w, x_s, s, y)[0][:, :CHANNELS])[0]
    f, by_epsilon = student(x_t, t, epsilon)
    below = NOISE / SIGNAL
    weight = np.divide(1.0, below[t] - below[s], out=np.zeros(len(t)), where=s < t)
    square = ((f - target) ** 2).mean(axis=(1, 2, 3))
    root = np.sqrt(square + HUBER**2)
    slopes = {"l2": np.ones(len(t)), "pseudo_huber": 0.5 / root}
    losses = {"l2": weight * square, "pseudo_huber": weight * (root - HUBER)}
    values = x_0[0].size
    with h5py.File(folder / "consistency.h5", "w") as out:
        out.attrs.update(guidance=GUIDANCE, skip=np.int32(SKIP), made_by=f"NumPy {np.__version__}, h5py {h5py.__version__}")
        for metric, slope in slopes.items():
            d_epsilon = per_sample(slope * weight * by_epsilon * 2 / values / len(t)) * (f - target)
            gradient = to_tokens(np.concatenate([d_epsilon, np.zeros_like(d_epsilon)], axis=1))
            out[metric + "/loss"] = losses[metric]
            out[metric + "/final_layer.linear.bias"] = gradient.sum(axis=(0, 1)).astype(np.float32)
            out[metric + "/final_layer.linear.weight"] = np.einsum("ntc,nth->ch", gradient, last).astype(np.float32)
    print("prediction within", distance, losses)


if __name__ == "__main__":
    main()
