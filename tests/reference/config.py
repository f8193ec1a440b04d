"""Model configurations as the binary reads them: the [model] table of a TOML file."""
import dataclasses
import pathlib

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10 and older: `pip install tomli`, or the copy that pip itself brings
    try:
        import tomli as tomllib
    except ModuleNotFoundError:
        from pip._vendor import tomli as tomllib


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Constructor arguments of the reference DiT, and two for video (frames, temporal_patch_size)."""

    input_size: int = 32
    patch_size: int = 2
    in_channels: int = 4
    hidden_size: int = 1152
    depth: int = 28
    num_heads: int = 16
    mlp_ratio: float = 4.0
    class_dropout_prob: float = 0.1
    num_classes: int = 1000
    learn_sigma: bool = True
    frames: int = 1
    temporal_patch_size: int = 1

    @property
    def is_video(self):
        return self.frames > 1 or self.temporal_patch_size > 1

    @property
    def grid(self):
        return self.input_size // self.patch_size

    @property
    def time_grid(self):
        return self.frames // self.temporal_patch_size

    @property
    def tokens(self):
        return self.time_grid * self.grid**2

    @property
    def out_channels(self):
        return self.in_channels * (2 if self.learn_sigma else 1)

    @property
    def latent_shape(self):
        """(C, H, W), or (C, F, H, W) for video."""
        space = (self.input_size, self.input_size)
        return (self.in_channels, *((self.frames,) if self.is_video else ()), *space)

    def to_toml(self):
        rows = [f"{key} = {str(value).lower()}" for key, value in dataclasses.asdict(self).items()]
        return "[model]\n" + "\n".join(rows) + "\n"


def _model_table(path):
    path = pathlib.Path(path)
    table = dict(tomllib.loads(path.read_text()).get("model", {}))
    base = table.pop("from", "")
    return {**(_model_table(path.parent / base) if base else {}), **table}


def load_config(path):
    """The [model] table of a model or run file; `from` names a file whose keys come first."""
    return ModelConfig(**_model_table(path))


def parse_config(text):
    """The [model] table of TOML text, such as a checkpoint's config_toml (`from` is already resolved there)."""
    table = dict(tomllib.loads(text)["model"])
    table.pop("from", None)
    return ModelConfig(**table)


def forward_macs(config):
    """Multiply-adds of one sample's forward pass; check_flops.py holds it against PyTorch's count."""
    h, tokens = config.hidden_size, config.tokens
    volume = config.temporal_patch_size * config.patch_size**2
    mlp = int(h * config.mlp_ratio)
    block = tokens * (4 * h * h + 2 * h * mlp) + 2 * tokens**2 * h + 6 * h * h
    ends = tokens * h * volume * (config.in_channels + config.out_channels) + 2 * h * h
    return config.depth * block + ends + 256 * h + h * h
