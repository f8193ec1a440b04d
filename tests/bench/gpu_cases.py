"""The cases of compare_pytorch_gpu.py: which models at which batch, and what fits."""
import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/reference"))
from config import forward_macs, load_config  # noqa: E402

WIDE_DEPTHS = (1, 2, 4)
WIDE_FRAMES = (1, 2, 4, 8, 16, 32, 64, 128)
WIDE_TOKENS = 8192  # per step at least: fewer would not fill a GPU


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    model: str        # below configs/models
    batch: int        # samples per step where it fits, else half of it, and so on
    steps: int        # measured
    keys: tuple = ()  # of [model], changed: (("depth", 2),)
    with_pytorch: bool = True

    @property
    def family(self):
        """Cases of one family take the PyTorch mode that was fastest on the first of them."""
        return self.name.split("-")[0]

    @property
    def config(self):
        return dataclasses.replace(load_config(ROOT / f"configs/models/{self.model}.toml"), **dict(self.keys))


def wide(depth, frames):
    """Blocks of the 20 B model at full width on 512 px; with PyTorch at a few points only, as it compiles each anew."""
    return Case(f"wide-d{depth}-f{frames}", "dit-20b", max(1, WIDE_TOKENS // (1024 * frames)), 12,
                (("depth", depth), ("frames", frames)), with_pytorch=depth == 2 and frames in (1, 8))


MAIN = (Case("xl2-256", "dit-xl-2", 128, 40), Case("xl2-512", "dit-xl-2-512", 32, 40), Case("b2-256", "dit-b-2", 256, 100),
        Case("s2-256", "dit-s-2", 256, 200))
WIDE = tuple(wide(depth, frames) for frames in WIDE_FRAMES for depth in WIDE_DEPTHS)
SMOKE = (Case("tiny", "dit-tiny", 4, 3), Case("tinywide-d1-f2", "dit-tiny-video", 2, 3, (("depth", 1), ("frames", 2))))
CASES = {case.name: case for case in MAIN + WIDE}


def select(names):
    """Cases by comma-separated name; `main`, `wide` and `all` are groups."""
    groups = {"main": MAIN, "wide": WIDE, "all": MAIN + WIDE, "smoke": SMOKE}
    chosen = []
    for name in names.split(","):
        if name not in groups and name not in CASES:
            raise KeyError(name)
        chosen += groups.get(name, (CASES.get(name),))
    return list(dict.fromkeys(chosen))


def train_flops(config):
    """Of one sample: backward is twice forward, 1 multiply-add is 2 FLOPs."""
    return 6 * forward_macs(config)


def least_squares(columns, values):
    """x of min |columns x - values| for one or two columns, by the normal equations."""
    if len(columns) == 1:
        (a,) = columns
        return (sum(p * v for p, v in zip(a, values)) / sum(p * p for p in a),)
    a, b = columns
    aa, ab, bb = (sum(p * q for p, q in zip(u, v)) for u, v in ((a, a), (a, b), (b, b)))
    av, bv = (sum(p * v for p, v in zip(u, values)) for u in (a, b))
    determinant = aa * bb - ab * ab
    return (av * bb - bv * ab) / determinant, (bv * aa - av * ab) / determinant


def fit_wide(compute, optimizer, batches, peak):
    """From seconds of forward and backward, and of the optimizer, by (depth, frames), and samples per step by frames:
    seconds of one layer and sample by its frames, from differences between depths, and their fit
    a frames + b frames^2 (matrix products and attention). The optimizer's time of a layer does not depend on frames."""
    layers = []
    for frames in sorted({f for _, f in compute}):
        depths = sorted(d for d, f in compute if f == frames)
        if len(depths) < 2:
            continue
        times, ones, batch = [compute[d, frames] for d in depths], [1] * len(depths), batches[frames]
        slope, rest = least_squares((depths, ones), times)
        update, _ = least_squares((depths, ones), [optimizer[d, frames] for d in depths])
        if slope <= 0:
            continue
        rate = (train_flops(wide(2, frames).config) - train_flops(wide(1, frames).config)) * batch / slope
        layers.append(dict(frames=frames, depths=depths, batch=batch, layer_s_per_sample=slope / batch, rest_s=rest,
                           worst_residual=max(abs(rest + slope * d - t) / t for d, t in zip(depths, times)),
                           optimizer_s_per_layer=update, layer_flops_per_s=rate, layer_mfu=rate / peak if peak else None))
    result = dict(layers=layers)
    if len(layers) >= 3:  # relative errors: each equation divided by its time
        t = [row["layer_s_per_sample"] for row in layers]
        frames = [row["frames"] for row in layers]
        a, b = least_squares(([f / s for f, s in zip(frames, t)], [f * f / s for f, s in zip(frames, t)]), [1] * len(t))
        result.update(layer_s_per_frame=a, layer_s_per_frame_squared=b,
                      worst_fit_error=max(abs(a * f + b * f * f - s) / s for f, s in zip(frames, t)))
    return result
