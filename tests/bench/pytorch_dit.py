#!/usr/bin/env python3
"""The PyTorch baseline: trains a DiT as `gpumonth train` does each step, as fast as PyTorch does it on a CPU.

    python tests/bench/pytorch_dit.py --model configs/models/dit-s-2.toml --batch 8 --dtype bf16 --threads 2
    torchrun --nproc_per_node 2 tests/bench/pytorch_dit.py --ddp --threads 1 --model ... --batch 8

A step: noise and timesteps drawn, forward, mse + vb loss, backward, gradient norm clipped to 1, AdamW, EMA, on random
latents. Rank 0 prints one line of JSON. Run it through compare_pytorch.py, which sets the process up as well
(tcmalloc, thread affinity).
"""
import argparse
import contextlib
import json
import math
import os
import pathlib
import resource
import statistics
import sys
import time

import torch
from torch import distributed

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "reference"))
import diffusion  # noqa: E402
from config import forward_macs, load_config  # noqa: E402
from dit import DiT  # noqa: E402

CLIP_NORM, EMA_DECAY, LEARNING_RATE = 1.0, 0.9999, 1e-4


class FastLoss:
    """diffusion.training_loss with what depends on t alone tabulated in fp32, and the sums rearranged: the two means
    differ by a multiple of (noise - epsilon), and the likelihood is only evaluated for samples with t = 0."""

    def __init__(self):
        s = diffusion.Schedule()
        spread = s.log_variance_max - s.log_variance_min
        gap = (s.mean_from_start**2 * (1 / s.alpha_bar - 1)) * torch.exp(-torch.from_numpy(s.log_variance_min)).numpy()
        columns = [s.alpha_bar**0.5, (1 - s.alpha_bar) ** 0.5, spread, gap]
        self.schedule, self.table = s, torch.stack([torch.from_numpy(c).float() for c in columns])

    def columns(self, t, like):
        return self.table[:, t].reshape(4, -1, *[1] * (like.dim() - 1)).unbind()

    def add_noise(self, x_start, noise, t):
        signal, sigma, _, _ = self.columns(t, x_start)
        return signal * x_start + sigma * noise

    def __call__(self, prediction, x_start, x_t, noise, t):
        channels = x_start.shape[1]
        difference = noise - prediction[:, :channels]
        squared = difference.square()
        loss = squared.mean()
        if prediction.shape[1] == channels:
            return loss
        variance_channels = prediction[:, channels:]
        _, _, spread, gap = self.columns(t, x_start)
        ratio = (variance_channels + 1) * (-0.5 * spread)  # log of posterior variance / model variance
        kl = torch.addcmul(torch.exp(ratio) - 1 - ratio, squared.detach() * gap, torch.exp(ratio))
        bits = kl.flatten(1).mean(1) * (0.5 / math.log(2))
        first = t == 0
        if first.any():
            exact = diffusion.variational_bits(self.schedule, x_start[first], x_t[first], t[first],
                                               prediction[first, :channels], variance_channels[first])
            bits = bits.masked_scatter(first, exact)
        return loss + bits.mean()


class Trainer:
    def __init__(self, arguments, config):
        self.arguments, self.config = arguments, config
        torch.manual_seed(1)
        stream = torch.bfloat16 if arguments.dtype == "bf16" else None
        self.bare = DiT(config, fused=arguments.attention == "fused", stream=stream).initialize()
        self.parameters = list(self.bare.parameters())
        self.ema = [p.detach().clone() for p in self.parameters]
        self.model = self.bare
        if arguments.ddp:
            self.model = torch.nn.parallel.DistributedDataParallel(
                self.model, gradient_as_bucket_view=True, static_graph=not arguments.compile,
                bucket_cap_mb=arguments.bucket_mib)
            torch.manual_seed(2 + distributed.get_rank())
        if arguments.compile:  # around DDP, so that the graph is cut at its buckets and they overlap with backward
            self.model = torch.compile(self.model)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=LEARNING_RATE, weight_decay=0.0, fused=True)
        self.loss = FastLoss()
        self.latents = torch.randn(8, arguments.local_batch, *config.latent_shape)
        self.labels = torch.randint(config.num_classes, (8, arguments.local_batch))

    def autocast(self):
        bf16 = self.arguments.dtype == "bf16"
        return torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()

    def step(self, index):
        """One training step; seconds of forward, backward and optimizer."""
        start = time.perf_counter()
        x_start, y = self.latents[index % 8], self.labels[index % 8]
        noise = torch.randn_like(x_start)
        t = torch.randint(diffusion.STEPS, (x_start.shape[0],))
        x_t = self.loss.add_noise(x_start, noise, t)
        with self.autocast():
            prediction = self.model(x_t, t, y, drop_labels=True)
        loss = self.loss(prediction.float(), x_start, x_t, noise, t)
        forward = time.perf_counter()
        loss.backward()
        backward = time.perf_counter()
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP_NORM, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=not self.arguments.ddp)  # with DDP they stay views of its buckets
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, self.parameters, 1 - EMA_DECAY)
        end = time.perf_counter()
        return forward - start, backward - forward, end - backward, loss.item()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=pathlib.Path, help="TOML file with a [model] table")
    parser.add_argument("--batch", type=int, required=True, help="samples per step over all ranks")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--threads", type=int, default=2, help="per process")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    parser.add_argument("--attention", choices=("fused", "matmul"), default="fused",
                        help="scaled_dot_product_attention, or two batched products: for short sequences faster")
    parser.add_argument("--ddp", action="store_true", help="data-parallel over gloo; start it with torchrun")
    parser.add_argument("--bucket-mib", type=float, default=25, help="of DDP")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("highest")  # fp32 means fp32
    if arguments.ddp:
        distributed.init_process_group("gloo")
    ranks = distributed.get_world_size() if arguments.ddp else 1
    arguments.local_batch, rest = divmod(arguments.batch, ranks)
    if rest:
        sys.exit(f"--batch {arguments.batch} is not divisible by {ranks} ranks")
    config = load_config(arguments.model)
    trainer = Trainer(arguments, config)
    times = [trainer.step(i) for i in range(arguments.warmup + arguments.steps)][arguments.warmup:]
    seconds = [sum(t[:3]) for t in times]
    median = statistics.median(seconds)
    flops = 6 * forward_macs(config) * arguments.batch
    if not arguments.ddp or distributed.get_rank() == 0:
        print(json.dumps(dict(
            samples_per_s=arguments.batch / median, median_step_time_s=median, step_time_s=seconds,
            forward_s=statistics.median(t[0] for t in times), backward_s=statistics.median(t[1] for t in times),
            optimizer_s=statistics.median(t[2] for t in times), model_gflops=flops / median / 1e9,
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, last_loss=times[-1][3],
            ranks=ranks, torch=torch.__version__)), flush=True)
    if arguments.ddp:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
