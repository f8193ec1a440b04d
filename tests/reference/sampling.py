"""The reference DiT's samplers, in plain steps: create_diffusion(str(steps)), p_sample_loop and ddim_sample_loop with
eta 0, clip_denoised=False, and forward_with_cfg (facebookresearch/DiT, diffusion/ and models.py).

Noise is given: begin (N, ...), and noise (steps, N, ...), the first of which the first step adds.
"""
import numpy as np
import torch

from diffusion import STEPS

GUIDED_CHANNELS = 3


def space_timesteps(count, steps=STEPS):
    """One section; Python's round, halves to even."""
    stride = (steps - 1) / (count - 1)
    taken, at = [], 0.0
    for _ in range(count):
        taken.append(round(at))
        at += stride
    return sorted(set(taken))


class SpacedSchedule:
    """Tables over the steps that are taken, in double."""

    def __init__(self, count):
        full = np.cumprod(1 - np.linspace(1e-4, 0.02, STEPS, dtype=np.float64))
        self.timesteps = space_timesteps(count)
        betas, last = [], 1.0
        for t in self.timesteps:
            betas.append(1 - full[t] / last)
            last = full[t]
        self.betas = np.array(betas)
        alphas = 1 - self.betas
        self.alpha_bar = np.cumprod(alphas)
        self.alpha_bar_before = np.append(1.0, self.alpha_bar[:-1])
        self.posterior_variance = self.betas * (1 - self.alpha_bar_before) / (1 - self.alpha_bar)
        self.min_log = np.log(np.append(self.posterior_variance[1], self.posterior_variance[1:]))
        self.fixed_large = np.log(np.append(self.posterior_variance[1], self.betas[1:]))
        self.mean_of_start = self.betas * np.sqrt(self.alpha_bar_before) / (1 - self.alpha_bar)
        self.mean_of_x = (1 - self.alpha_bar_before) * np.sqrt(alphas) / (1 - self.alpha_bar)


def forward_with_cfg(model, x, t, y, scale):
    half = x[: len(x) // 2]
    output = model(torch.cat([half, half]), t, y)
    guided, rest = output[:, :GUIDED_CHANNELS], output[:, GUIDED_CHANNELS:]
    conditional, null = torch.split(guided, len(guided) // 2)
    mixed = null + scale * (conditional - null)
    return torch.cat([torch.cat([mixed, mixed]), rest], dim=1)


def p_mean_variance(s, i, x, output):
    """-> mean, log variance, predicted start."""
    channels = x.shape[1]
    if output.shape[1] == 2 * channels:
        epsilon, v = torch.split(output, channels, dim=1)
        fraction = (v + 1) / 2
        log_variance = fraction * np.log(s.betas[i]) + (1 - fraction) * s.min_log[i]
    else:
        epsilon, log_variance = output, torch.full_like(x, s.fixed_large[i])
    start = np.sqrt(1 / s.alpha_bar[i]) * x - np.sqrt(1 / s.alpha_bar[i] - 1) * epsilon
    return s.mean_of_start[i] * start + s.mean_of_x[i] * x, log_variance, start


def p_sample(s, i, x, output, noise):
    mean, log_variance, _ = p_mean_variance(s, i, x, output)
    return mean + (i != 0) * torch.exp(0.5 * log_variance) * noise


def ddim_sample(s, i, x, output, noise):
    _, _, start = p_mean_variance(s, i, x, output)
    epsilon = (np.sqrt(1 / s.alpha_bar[i]) * x - start) / np.sqrt(1 / s.alpha_bar[i] - 1)
    return start * np.sqrt(s.alpha_bar_before[i]) + np.sqrt(1 - s.alpha_bar_before[i]) * epsilon


def sample(model, step, steps, begin, noise, y, scale, null_label):
    """`step` is p_sample or ddim_sample; scale 1: no guidance, N rows; else 2N rows of which the first N are wanted."""
    s = SpacedSchedule(steps)
    x = begin
    if scale != 1:
        x, y = torch.cat([x, x]), torch.cat([y, torch.full_like(y, null_label)])
        noise = torch.cat([noise, noise.flip(0)], dim=1)  # the second half's does not matter
    for k, i in enumerate(reversed(range(steps))):
        t = torch.full((len(x),), s.timesteps[i])
        output = model(x, t, y) if scale == 1 else forward_with_cfg(model, x, t, y, scale)
        x = step(s, i, x, output, noise[k])
    return x[: len(begin)]
