"""Typed settings <-> absl flags <-> JSON. Nothing here imports TensorFlow, so `--help` is quick.

Every field of a section is one flag of the same name; its `help` is the flag's help. The fields of
the chosen method are flags too. What a flag says wins over what a method's preset says, which wins
over the defaults below.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import types
import typing
from typing import Any, Literal

from absl import flags

from huse_tf.errors import UserError, unknown_name
from huse_tf.methods import METHODS
from huse_tf.methods.base import Method, setting

flags.disclaim_key_flags()  # flags belong to the command that asks for them, for its --help


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The catalogue: where it lies, what its columns mean, how it is split."""

    catalogue: str = setting("", "The catalogue, a CSV file with one row per picture.")
    image_root: str = setting(
        "", "Folder that picture paths are relative to. Default: the catalogue's folder."
    )
    image_column: str = setting(
        "image", "Column with the path of the picture, relative to the image root."
    )
    product_column: str = setting(
        "product_id",
        "Column that names the product. Without such a column, rows of equal text are one product.",
    )
    text_columns: tuple[str, ...] = setting(
        ("name", "description"),
        "Columns with text, joined in this order. The first one is the title.",
    )
    class_column: str = setting("classes", "Column with the class path.")
    class_separator: str = setting("<", "What stands between the levels of a class path.")
    delimiter: str = setting(",", "What stands between the columns of the CSV.")
    max_rejected_share: float = setting(
        0.05, "Refuse to train when more than this share of the rows was rejected."
    )
    max_image_bytes: int = setting(20_000_000, "Reject picture files larger than this many bytes.")
    max_image_pixels: int = setting(
        50_000_000, "Reject pictures with more pixels than this (decompression bombs)."
    )
    validation_fraction: float = setting(
        0.15, "Share of the product groups used to tune and to stop."
    )
    test_fraction: float = setting(
        0.15, "Share of the product groups held out for the final figures."
    )
    split_seed: int = setting(0, "Seed of the split into training, validation and test.")


@dataclasses.dataclass(frozen=True)
class FeatureConfig:
    """Frozen encoders and their cache."""

    image_encoder: str = setting(
        "efficientnet_lite0", "Image encoder; see README, section Encoders."
    )
    text_encoder: str = setting(
        "minilm",
        "Text encoder; join several with +, e.g. bert_last4:minilm+tfidf. word_cnn is trained with the tower.",
    )
    class_encoder: str = setting("minilm", "Text encoder of the class names, for the class graph.")
    class_graph: Literal["name", "path", "tree"] = setting(
        "name",
        "Distance of two classes: cosine of their names' embeddings, of their whole paths' (levels "
        "embedded and combined), or Wu-Palmer distance in the tree.",
    )
    cache_dir: str = setting(".cache/huse_tf", "Folder of the feature cache.")
    encoder_batch_size: int = setting(32, "Pictures or texts a forward pass of an encoder.")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Optimisation, the run folder, and when to stop."""

    run_dir: str = setting(
        "", "Folder of this run; a run that lies there unfinished goes on. Default: runs/NAME."
    )
    seed: int = setting(0, "Seed of initial weights, dropout and shuffling.")
    strategy: Literal["auto", "one", "mirrored"] = setting(
        "auto",
        "tf.distribute strategy: one device, all local devices, or whichever fits this machine.",
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "adagrad", "lamb"] = setting(
        "adam", "Keras optimizer."
    )
    learning_rate: float = setting(3e-4, "Learning rate.")
    momentum: float = setting(0.0, "Momentum, for rmsprop and sgd.")
    batch_size: int = setting(256, "Items a step, over all replicas together.")
    epochs: int = setting(60, "Passes over the training items at most.")
    max_steps: int = setting(
        0, "Steps at most; 0 leaves it to --epochs, otherwise --epochs is ignored."
    )
    patience: int = setting(
        10, "Stop after this many epochs without a better --monitor; 0 never stops early."
    )
    monitor: str = setting(
        "classification/fused/accuracy",
        "Validation metric (higher is better) that picks the best checkpoint.",
    )
    checkpoint_every_steps: int = setting(
        0, "Checkpoint within epochs too, every so many steps; 0: at epoch ends only."
    )


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What is measured and shown."""

    recall_at: tuple[int, ...] = setting((1, 5, 10), "Cut-offs of recall at k.")
    precision_at: tuple[int, ...] = setting((2, 5, 10), "Cut-offs of hierarchical precision at k.")
    query_chunk: int = setting(
        512, "Queries scored at once; bounds the memory of retrieval metrics."
    )
    report_queries: int = setting(8, "Queries shown in the report's retrieval grid, per task.")


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Where the SavedModel goes."""

    export_dir: str = setting("saved_models", "Folder of the exported models.")
    export_name: str = setting(
        "", "Name of the exported model. Default: the name of the run folder."
    )
    export_version: int = setting(0, "Version number; 0 takes the next free one.")


SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "features": FeatureConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "export": ExportConfig,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    data: DataConfig = DataConfig()
    features: FeatureConfig = FeatureConfig()
    method: Method = dataclasses.field(default_factory=lambda: METHODS["huse"]())
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    export: ExportConfig = ExportConfig()

    @classmethod
    def from_preset(cls, method: type[Method]) -> Config:
        """The defaults, with what `method` brings along for the other sections."""
        sections = {}
        for name, section in SECTIONS.items():
            fields = {field.name for field in dataclasses.fields(section)}
            sections[name] = section(**{n: v for n, v in method.preset.items() if n in fields})
        return cls(method=method(), **sections)

    def to_json(self) -> str:
        tree: dict[str, Any] = {name: dataclasses.asdict(getattr(self, name)) for name in SECTIONS}
        tree["method"] = {"name": self.method.name, **dataclasses.asdict(self.method)}
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        tree = json.loads(text)
        method = dict(tree["method"])
        sections = {name: _build(section, tree[name]) for name, section in SECTIONS.items()}
        return cls(method=_build(METHODS[method.pop("name")], method), **sections)

    def to_flagfile(self) -> str:
        """All settings as `--name=value` lines, good as a `--flagfile`."""
        lines = [f"--method={self.method.name}"]
        for name in SECTIONS:
            lines += flag_lines(getattr(self, name))
        return "\n".join([*lines, *flag_lines(self.method)]) + "\n"


def flag_lines(section: Any) -> list[str]:
    """The settings of one section, or of a method, as `--name=value`."""
    lines = []
    for field in dataclasses.fields(section):
        value = getattr(section, field.name)
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        lines.append(f"--{field.name}={str(value).lower() if isinstance(value, bool) else value}")
    return lines


def _build(kind: type, values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    for name in values:
        if name not in known:
            raise unknown_name(f"setting of {kind.__name__}", name, known)
    return kind(
        **{n: tuple(v) if typing.get_origin(hints[n]) is tuple else v for n, v in values.items()}
    )


def define_flags(*sections: str, method: bool = False) -> None:
    """Defines the flags of the named sections, and those of all methods if `method`."""
    for section in sections:
        for field in dataclasses.fields(SECTIONS[section]):
            _define(SECTIONS[section], field, f"[{section}] {field.metadata['help']}")
    if not method:
        return
    flags.DEFINE_enum("method", "huse", sorted(METHODS), "The method, or a preset of one.")
    for name, help in _method_fields().items():
        owner = next(m for m in METHODS.values() if name in {f.name for f in dataclasses.fields(m)})
        _define(owner, {f.name: f for f in dataclasses.fields(owner)}[name], help)


def _method_fields() -> dict[str, str]:
    """Each method field's help, with the methods that have it."""
    owners: dict[str, list[str]] = {}
    helps: dict[str, str] = {}
    for method in METHODS.values():
        for field in dataclasses.fields(method):
            owners.setdefault(field.name, []).append(method.name)
            helps[field.name] = field.metadata["help"]
    return {name: f"[{', '.join(owners[name])}] {helps[name]}" for name in helps}


def _define(kind: type, field: dataclasses.Field, help: str) -> None:
    hint = typing.get_type_hints(kind)[field.name]
    if typing.get_origin(hint) is Literal:
        flags.DEFINE_enum(field.name, field.default, list(typing.get_args(hint)), help)
    elif typing.get_origin(hint) is tuple:
        flags.DEFINE_list(field.name, [str(v) for v in field.default], help)
    elif isinstance(hint, types.UnionType):
        raise TypeError(
            f"{kind.__name__}.{field.name}: a setting has one plain type. Received: {hint}."
        )
    else:
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }
        define[hint](field.name, field.default, help)


def from_flags(base: Config | None = None, values: flags.FlagValues = flags.FLAGS) -> Config:
    """The settings that the parsed flags describe.

    Args:
        base: where settings come from that no flag gives (the config of a finished run). Without
            it: the defaults, under the method's preset.
        values: absl's parsed flags.
    """
    method_kind = (
        METHODS[values["method"].value] if "method" in values else type((base or Config()).method)
    )
    base = base or Config.from_preset(method_kind)
    sections = {name: _override(getattr(base, name), values) for name in SECTIONS}
    strangers = [
        name
        for name in _method_fields()
        if name in values
        and values[name].present
        and name not in {f.name for f in dataclasses.fields(method_kind)}
    ]
    if strangers:
        known = ", ".join(f.name for f in dataclasses.fields(method_kind))
        raise UserError(
            f"--{strangers[0]} is not a setting of method {method_kind.name!r}. Expected one of: {known}."
        )
    method = _override(base.method if type(base.method) is method_kind else method_kind(), values)
    return Config(method=method, **sections)


def _override(section: Any, values: flags.FlagValues) -> Any:
    hints = typing.get_type_hints(type(section))
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        if field.name in values and values[field.name].present:
            value = values[field.name].value
            if typing.get_origin(hints[field.name]) is tuple:
                item = typing.get_args(hints[field.name])[0]
                try:
                    value = tuple(item(v) for v in value)
                except ValueError as error:
                    raise UserError(
                        f"--{field.name} takes a comma-separated list of {item.__name__}. Received: {value}."
                    ) from error
            changes[field.name] = value
    return dataclasses.replace(section, **changes)


def save(config: Config, folder: pathlib.Path) -> None:
    """Writes `config.json` and `flags.txt` (usable as `--flagfile`) into a run folder."""
    from huse_tf.files import write_text

    write_text(folder / "config.json", config.to_json())
    write_text(folder / "flags.txt", config.to_flagfile())


def load(folder: pathlib.Path) -> Config:
    """The settings of the run that lies in `folder`."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(
            f"No run lies in {str(folder)!r}: it has no config.json. Expected the folder that "
            "`python -m huse_tf.train` named at its end."
        )
    return Config.from_json(path.read_text(encoding="utf-8"))
