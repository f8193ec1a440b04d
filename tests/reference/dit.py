"""The Diffusion Transformer in PyTorch, as an independent check on the C++ one.

Semantics and parameter names are those of github.com/facebookresearch/DiT (models.py; Peebles & Xie 2022), with the
timm layers that it imports. Beyond the reference: latents of video, (N, C, F, H, W), with patches (pt, p, p), tokens
in the order (time, row, column) and full attention over all of them; see model::position_embedding().
"""
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

FREQUENCIES = 256  # width of the timestep's sin-cos embedding


def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


class PatchEmbed(nn.Module):
    """(N, C, [F,] H, W) -> (N, T, h): a convolution whose stride is its kernel."""

    def __init__(self, config):
        super().__init__()
        p, pt = config.patch_size, config.temporal_patch_size
        conv, kernel = (nn.Conv3d, (pt, p, p)) if config.is_video else (nn.Conv2d, (p, p))
        self.proj = conv(config.in_channels, config.hidden_size, kernel_size=kernel, stride=kernel)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class TimestepEmbedder(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, t):
        # In double: at t = 999 a frequency rounded to fp32 already shifts the phase by 3e-5.
        half = FREQUENCIES // 2
        steps = torch.arange(half, dtype=torch.float64, device=t.device)
        angle = t[:, None].double() * torch.exp(-math.log(10000) * steps / half)
        return self.mlp(torch.cat([angle.cos(), angle.sin()], dim=1).to(self.mlp[0].weight.dtype))


class LabelEmbedder(nn.Module):
    """A table of labels; its last row is the null label, there only if labels are ever dropped."""

    def __init__(self, config):
        super().__init__()
        self.dropout, self.null_label = config.class_dropout_prob, config.num_classes
        self.embedding_table = nn.Embedding(config.num_classes + (self.dropout > 0), config.hidden_size)

    def forward(self, y, drop):
        if drop and self.dropout > 0:
            y = torch.where(torch.rand(y.shape, device=y.device) < self.dropout, self.null_label, y)
        return self.embedding_table(y)


class Attention(nn.Module):
    def __init__(self, hidden_size, num_heads, fused):
        super().__init__()
        self.num_heads, self.fused = num_heads, fused
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x):
        n, tokens, h = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.num_heads, h // self.num_heads).permute(2, 0, 3, 1, 4)
        if self.fused:
            o = functional.scaled_dot_product_attention(q, k, v)
        else:
            o = self.attend(q, k, v)
        return self.proj(o.transpose(1, 2).reshape(n, tokens, h))

    @staticmethod
    def attend(q, k, v):
        """(N, H, T, d) each; softmax keeps its input's type, which autocast would widen to fp32."""
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
        with torch.autocast("cpu", enabled=False):
            weights = torch.softmax(scores, dim=-1)
        return weights @ v


class Mlp(nn.Module):
    def __init__(self, hidden_size, inner):
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, inner)
        self.fc2 = nn.Linear(inner, hidden_size)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """adaLN-Zero: the condition gives shift, scale and gate of attention, then of the MLP."""

    def __init__(self, config, fused):
        super().__init__()
        h = config.hidden_size
        self.norm1 = nn.LayerNorm(h, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(h, config.num_heads, fused)
        self.norm2 = nn.LayerNorm(h, eps=1e-6, elementwise_affine=False)
        self.mlp = Mlp(h, int(h * config.mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(h, 6 * h))

    def forward(self, x, c):
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate_a[:, None] * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        return x + gate_m[:, None] * self.mlp(modulate(self.norm2(x), shift_m, scale_m))


class FinalLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        h, volume = config.hidden_size, config.temporal_patch_size * config.patch_size**2
        self.norm_final = nn.LayerNorm(h, eps=1e-6, elementwise_affine=False)
        self.linear = nn.Linear(h, volume * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(h, 2 * h))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class DiT(nn.Module):
    """`fused` takes PyTorch's fused attention; without it every product of the model is a plain matmul.
    `stream` is the type of the tokens between blocks, where it is not that of the weights."""

    def __init__(self, config, fused=False, stream=None):
        super().__init__()
        self.config, self.stream = config, stream
        self.x_embedder = PatchEmbed(config)
        self.t_embedder = TimestepEmbedder(config.hidden_size)
        self.y_embedder = LabelEmbedder(config)
        positions = torch.empty(1, config.tokens, config.hidden_size)
        if not positions.is_meta:  # there, a long video's table would fill the memory for nothing
            positions.copy_(torch.from_numpy(position_embedding(config)))
        self.register_buffer("pos_embed", positions)
        self.blocks = nn.ModuleList(Block(config, fused) for _ in range(config.depth))
        self.final_layer = FinalLayer(config)

    def unpatchify(self, x):
        """(N, T, pt p p c) -> (N, c, [F,] H, W)."""
        k = self.config
        c, p, pt, g = k.out_channels, k.patch_size, k.temporal_patch_size, k.grid
        x = x.view(-1, k.time_grid, g, g, pt, p, p, c).permute(0, 7, 1, 4, 2, 5, 3, 6)
        return x.reshape(x.shape[0], c, *k.latent_shape[1:])

    def forward(self, x, t, y, drop_labels=False):
        """x (N, C, [F,] H, W), t (N) and y (N) integers -> (N, C_out, [F,] H, W)."""
        x = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(y, drop_labels)
        if self.stream:
            x, c = x.to(self.stream), c.to(self.stream)
        for block in self.blocks:
            x = block(x, c)
        return self.unpatchify(self.final_layer(x, c))

    def initialize(self):
        """The reference's start: Xavier, small embeddings, zero gates and zero output."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        proj = self.x_embedder.proj.weight
        bound = math.sqrt(6 / (proj[0].numel() + proj.shape[0]))
        nn.init.uniform_(proj, -bound, bound)
        for weight in (self.y_embedder.embedding_table.weight, self.t_embedder.mlp[0].weight,
                       self.t_embedder.mlp[2].weight):
            nn.init.normal_(weight, std=0.02)
        for zero in [b.adaLN_modulation[1] for b in self.blocks] + [self.final_layer.adaLN_modulation[1],
                                                                    self.final_layer.linear]:
            nn.init.zeros_(zero.weight)
            nn.init.zeros_(zero.bias)
        return self


def sincos_1d(width, positions):
    """(M) -> (M, width): sines of width/2 frequencies 10000^(-2i/width), then their cosines."""
    angle = np.outer(positions, 10000.0 ** (-np.arange(width // 2) / (width / 2)))
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


def position_embedding(config):
    """(T, h) in double, tokens in the order (time, row, column).

    Image: the first h/2 columns encode the column of the patch, the rest its row (the reference's order).
    Video: the first h_t = 2 floor(h/8) columns encode time in one dimension, the other h - h_t, which 4 must divide,
    encode space like an image of that width.
    """
    h, g, frames = config.hidden_size, config.grid, config.time_grid
    h_time = 2 * (h // 8) if config.is_video else 0
    h_space = h - h_time
    if h_space % 4:
        raise ValueError(f"hidden_size {h}: {h_space} columns are left for space, not a multiple of 4")
    time, row, column = (a.reshape(-1) for a in np.meshgrid(*(np.arange(n) for n in (frames, g, g)), indexing="ij"))
    space = [sincos_1d(h_space // 2, column), sincos_1d(h_space // 2, row)]
    return np.concatenate(([sincos_1d(h_time, time)] if config.is_video else []) + space, axis=1)
