"""The training loss of the reference DiT, in plain steps: create_diffusion(timestep_respacing="").

1000 steps, linear betas, epsilon prediction; learned variance interpolates between the posterior's and beta in log
space (Nichol & Dhariwal 2021, "Improved DDPM", eq. 15). Per-sample loss = mse + vb, both means over a sample's
elements; vb in bits: KL(q(x_t-1 | x_t, x_0) || p(x_t-1 | x_t)) for t > 0, the negative log-likelihood of a Gaussian
discretised to 1/255 for t = 0. Its gradient reaches only the variance channels.
"""
import math

import numpy as np
import torch

STEPS = 1000


class Schedule:
    """Tables over t, in double."""

    def __init__(self):
        beta = np.linspace(1e-4, 0.02, STEPS, dtype=np.float64)
        self.alpha_bar = np.cumprod(1 - beta)
        previous = np.concatenate([[1.0], self.alpha_bar[:-1]])
        posterior_variance = beta * (1 - previous) / (1 - self.alpha_bar)
        posterior_variance[0] = posterior_variance[1]  # it is 0 at t = 0, and its logarithm is needed
        self.log_variance_min = np.log(posterior_variance)
        self.log_variance_max = np.log(beta)
        self.mean_from_start = beta * np.sqrt(previous) / (1 - self.alpha_bar)
        self.mean_from_noisy = (1 - previous) * np.sqrt(1 - beta) / (1 - self.alpha_bar)

    @staticmethod
    def at(table, t, like):
        return torch.from_numpy(table).to(like.device)[t].to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))


def add_noise(schedule, x_start, noise, t):
    """x_t of q(x_t | x_0)."""
    signal = schedule.at(np.sqrt(schedule.alpha_bar), t, x_start)
    return signal * x_start + schedule.at(np.sqrt(1 - schedule.alpha_bar), t, x_start) * noise


def normal_kl(mean1, log_variance1, mean2, log_variance2):
    ratio = log_variance1 - log_variance2
    return 0.5 * (ratio.exp() - 1 - ratio + (mean1 - mean2) ** 2 * torch.exp(-log_variance2))


def normal_cdf(x):
    """The reference's approximation by tanh (Page 1977)."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def discretized_log_likelihood(x, mean, log_scale):
    """log P of the bin x +- 1/255; the bins at the ends of [-1, 1] reach to infinity."""
    centred, inverse = x - mean, torch.exp(-log_scale)
    above, below = normal_cdf(inverse * (centred + 1 / 255)), normal_cdf(inverse * (centred - 1 / 255))
    probability = torch.where(x < -0.999, above, torch.where(x > 0.999, 1 - below, above - below))
    return torch.log(probability.clamp(min=1e-12))


def variational_bits(schedule, x_start, x_t, t, epsilon, variance_channels):
    """(N): the variational term, with the predicted mean frozen."""
    at = lambda table: schedule.at(table, t, x_t)
    fraction = (variance_channels + 1) / 2
    low, high = at(schedule.log_variance_min), at(schedule.log_variance_max)
    log_variance = fraction * high + (1 - fraction) * low
    alpha_bar = schedule.alpha_bar
    predicted_start = at(np.sqrt(1 / alpha_bar)) * x_t - at(np.sqrt(1 / alpha_bar - 1)) * epsilon.detach()
    posterior_mean = lambda start: at(schedule.mean_from_start) * start + at(schedule.mean_from_noisy) * x_t
    mean = posterior_mean(predicted_start)
    kl = normal_kl(posterior_mean(x_start), low, mean, log_variance)
    nll = -discretized_log_likelihood(x_start, mean, 0.5 * log_variance)
    bits = torch.where((t == 0).reshape(-1, *[1] * (x_t.dim() - 1)), nll, kl) / math.log(2)
    return bits.flatten(1).mean(1)


def training_loss(schedule, prediction, x_start, x_t, noise, t):
    """(N): mse + vb, or mse alone where the model does not predict variances."""
    channels = x_start.shape[1]
    epsilon = prediction[:, :channels]
    mse = ((noise - epsilon) ** 2).flatten(1).mean(1)
    if prediction.shape[1] == channels:
        return mse
    return mse + variational_bits(schedule, x_start, x_t, t, epsilon, prediction[:, channels:])
