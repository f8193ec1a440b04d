#!/usr/bin/env python3
"""The PyTorch baseline on one GPU: trains a DiT as `gpumonth train` does each step, as fast as PyTorch does it.

    python tests/bench/pytorch_dit_gpu.py --model configs/models/dit-xl-2.toml --batch 64 --mode masters-whole-cudnn

A step: noise and timesteps drawn, forward, mse + vb loss, backward, gradient norm clipped to 1, fused AdamW, EMA, on random
latents that lie on the GPU already. Steps are timed by events; the host waits for none of them. Prints one line of JSON.
Run it through compare_pytorch_gpu.py, which tries the modes and keeps the fastest.

A mode is PRECISION-GRAPH-ATTENTION:
  autocast  fp32 weights, bf16 autocast                      masters  bf16 weights and gradients, fp32 masters and EMA
  whole     torch.compile max-autotune, and the whole step    tree     torch.compile max-autotune with its own CUDA graphs
            with its update in one CUDA graph                          of forward and backward
  plain     torch.compile max-autotune without CUDA graphs    eager    no torch.compile, no graph
  cudnn, flash, any                                           the only attention backend allowed; any: PyTorch's choice

--device cpu is a smoke test of this script and measures nothing.
"""
import argparse
import contextlib
import json
import math
import pathlib
import statistics
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from pytorch_dit import CLIP_NORM, EMA_DECAY, LEARNING_RATE, FastLoss, diffusion  # noqa: E402
from config import forward_macs, load_config  # noqa: E402
from dit import DiT  # noqa: E402

PRECISIONS, GRAPHS, ATTENTIONS = ("autocast", "masters"), ("whole", "tree", "plain", "eager"), ("cudnn", "flash", "any")
MODES = [f"{p}-{g}-{a}" for p in PRECISIONS for g in GRAPHS for a in ATTENTIONS]
BATCHES = 4  # of prepared latents


class GraphLoss(FastLoss):
    """FastLoss without the decision on the host, which a CUDA graph cannot hold: the likelihood of t = 0 is worked out
    for every sample, with the tables' first entries, and taken where t is 0."""

    def __init__(self, device):
        super().__init__()
        self.table = self.table.to(device)
        s = self.schedule
        self.first = [float(table[0]) for table in
                      (s.log_variance_min, s.log_variance_max, s.alpha_bar, s.mean_from_start, s.mean_from_noisy)]

    def first_bits(self, x_start, x_t, epsilon, variance_channels):
        low, high, alpha_bar, from_start, from_noisy = self.first
        fraction = (variance_channels + 1) / 2
        start = math.sqrt(1 / alpha_bar) * x_t - math.sqrt(1 / alpha_bar - 1) * epsilon.detach()
        mean = from_start * start + from_noisy * x_t
        log_scale = 0.5 * (fraction * high + (1 - fraction) * low)
        return -diffusion.discretized_log_likelihood(x_start, mean, log_scale).flatten(1).mean(1) / math.log(2)

    def __call__(self, prediction, x_start, x_t, noise, t):
        channels = x_start.shape[1]
        epsilon, variance_channels = prediction[:, :channels], prediction[:, channels:]
        squared = (noise - epsilon).square()
        if prediction.shape[1] == channels:
            return squared.mean()
        _, _, spread, gap = self.columns(t, x_start)
        ratio = (variance_channels + 1) * (-0.5 * spread)
        kl = torch.exp(ratio) - 1 - ratio + squared.detach() * gap * torch.exp(ratio)
        bits = kl.flatten(1).mean(1) * (0.5 / math.log(2))
        return squared.mean() + torch.where(t == 0, self.first_bits(x_start, x_t, epsilon, variance_channels), bits).mean()


class Trainer:
    def __init__(self, arguments, config):
        self.device = torch.device(arguments.device)
        self.precision, self.graph, attention = arguments.mode.split("-")
        self.on_gpu = self.device.type == "cuda"
        backends = {"cudnn": [SDPBackend.CUDNN_ATTENTION], "flash": [SDPBackend.FLASH_ATTENTION]}.get(attention)
        self.attention = lambda: sdpa_kernel(backends) if backends and self.on_gpu else contextlib.nullcontext()
        torch.manual_seed(1)
        stream = torch.bfloat16 if self.precision == "autocast" else None
        with self.device:
            self.model = DiT(config, fused=True, stream=stream).initialize()
        self.loss_of_prediction = GraphLoss(self.device)
        # What the optimizer works on; with bf16 weights a fp32 copy, and .grad of the copy is filled before each update.
        self.weights = list(self.model.parameters())
        self.masters = self.weights
        if self.precision == "masters":
            self.masters = [p.detach().clone() for p in self.weights]
            self.model.to(torch.bfloat16)
            self.weights = list(self.model.parameters())
            for master in self.masters:
                master.grad = torch.empty_like(master)
        self.ema = [p.detach().clone() for p in self.masters]
        self.optimizer = torch.optim.AdamW(self.masters, lr=LEARNING_RATE, weight_decay=0.0, fused=True,
                                           capturable=self.on_gpu)
        self.loss_of = self.compile(self.forward_loss)
        with self.device:
            self.latents = torch.randn(BATCHES, arguments.batch, *config.latent_shape)
            self.labels = torch.randint(config.num_classes, (BATCHES, arguments.batch))
        self.x_start, self.y = torch.empty_like(self.latents[0]), torch.empty_like(self.labels[0])
        self.cuda_graph = None

    def compile(self, function):
        if self.graph == "eager":
            return function
        if not self.on_gpu:
            return torch.compile(function)
        return torch.compile(function, mode="max-autotune" if self.graph == "tree" else "max-autotune-no-cudagraphs")

    def forward_loss(self, x_start, noise, t, y):
        x_t = self.loss_of_prediction.add_noise(x_start, noise, t)
        if self.precision == "masters":
            prediction = self.model(x_t.bfloat16(), t, y, drop_labels=True)
        else:
            # A cached cast would outlive the graph that made it.
            with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
                prediction = self.model(x_t, t, y, drop_labels=True)
        return self.loss_of_prediction(prediction.float(), x_start, x_t, noise, t)

    def train_on_inputs(self):
        """One training step on self.x_start, self.y; the loss, not yet waited for."""
        noise = torch.randn_like(self.x_start)
        t = torch.randint(diffusion.STEPS, self.y.shape, device=self.device)
        if self.graph == "tree" and self.on_gpu:
            torch.compiler.cudagraph_mark_step_begin()
        with self.attention():
            loss = self.loss_of(self.x_start, noise, t, self.y)
            loss.backward()
        self.update()
        return loss.detach()

    @torch.no_grad()
    def update(self):
        if self.precision == "masters":
            torch._foreach_copy_([m.grad for m in self.masters], [w.grad for w in self.weights])
        torch.nn.utils.clip_grad_norm_(self.masters, CLIP_NORM, foreach=True)
        self.optimizer.step()
        if self.precision == "masters":
            torch._foreach_copy_(self.weights, self.masters)
        for weight in self.weights:
            weight.grad = None
        torch._foreach_lerp_(self.ema, self.masters, 1 - EMA_DECAY)

    def capture(self):
        """Compiles and warms up on another stream, as CUDA graphs ask for, and records the whole step."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.train_on_inputs()
        torch.cuda.current_stream().wait_stream(stream)
        self.cuda_graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.cuda_graph):
            self.captured_loss = self.train_on_inputs()

    def step(self, index):
        self.x_start.copy_(self.latents[index % BATCHES])
        self.y.copy_(self.labels[index % BATCHES])
        if self.graph == "whole" and self.on_gpu:
            if self.cuda_graph is None:
                self.capture()
            self.cuda_graph.replay()
            return self.captured_loss
        return self.train_on_inputs()


def timed_steps(trainer, count, first):
    """Seconds of each step between events on the stream, so that the host never waits in between."""
    if not trainer.on_gpu:
        times = []
        for i in range(count):
            start = time.perf_counter()
            loss = trainer.step(first + i)
            times.append(time.perf_counter() - start)
        return times, float(loss)
    torch.cuda.synchronize()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    marks[0].record()
    for i in range(count):
        loss = trainer.step(first + i)
        marks[i + 1].record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) * 1e-3 for a, b in zip(marks, marks[1:])], float(loss)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=pathlib.Path, help="TOML file with a [model] table")
    parser.add_argument("--batch", type=int, required=True, help="samples per step")
    parser.add_argument("--mode", choices=MODES, default="masters-whole-cudnn", metavar="MODE")
    parser.add_argument("--steps", type=int, default=40, help="measured")
    parser.add_argument("--warmup", type=int, default=10, help="steps before them")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--products", choices=("aten", "all"), default="aten",
                        help="what max-autotune may take for matrix products; all: Triton's too, many minutes more")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    torch.set_float32_matmul_precision("high")
    if arguments.products == "aten":  # before anything is compiled
        import torch._inductor.config as inductor
        inductor.max_autotune_gemm_backends = "ATEN"
    config = load_config(arguments.model)
    trainer = Trainer(arguments, config)
    started = time.perf_counter()
    timed_steps(trainer, arguments.warmup, 0)
    warmup_s = time.perf_counter() - started
    seconds, loss = timed_steps(trainer, arguments.steps, arguments.warmup)
    if not math.isfinite(loss):
        sys.exit(f"the loss is {loss} after {arguments.warmup + arguments.steps} steps")
    median = statistics.median(seconds)
    skips = torch._dynamo.utils.counters["inductor"].get("cudagraph_skips", 0)
    result = dict(mode=arguments.mode, products=arguments.products, samples_per_s=arguments.batch / median, median_step_time_s=median,
                  step_time_s=seconds, flops_per_s=6 * forward_macs(config) * arguments.batch / median,
                  warmup_s=warmup_s, last_loss=loss, cudagraph_skips=skips, torch=torch.__version__)
    if trainer.on_gpu:
        result.update(allocated_bytes=torch.cuda.max_memory_allocated(), reserved_bytes=torch.cuda.max_memory_reserved(),
                      device_name=torch.cuda.get_device_name(), cuda=torch.version.cuda,
                      cudnn=torch.backends.cudnn.version())
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
