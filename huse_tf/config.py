"""All settings, as frozen dataclasses, and their form as JSON and as a flag file.

Nothing here imports TensorFlow, so `--help` is quick. Every field is one flag (config_flags.py).
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, TypeVar

from huse_tf import keys, seals
from huse_tf.errors import UserError
from huse_tf.methods import METHODS, find_method, method_name
from huse_tf.methods.base import Method
from huse_tf.run_folder import RunFolder
from huse_tf.sections import (
    SECTIONS,
    DataConfig,
    EvaluationConfig,
    ExportConfig,
    FeatureConfig,
    TrainingConfig,
)
from huse_tf.settings import Settings, flat, leaves

_Kind = TypeVar("_Kind", bound=Settings)


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    features: FeatureConfig = dataclasses.field(default_factory=FeatureConfig)
    method: Method = dataclasses.field(default_factory=lambda: METHODS["huse"]())
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    export: ExportConfig = dataclasses.field(default_factory=ExportConfig)

    @property
    def fused_modalities(self) -> tuple[str, ...]:
        """The modalities that a model with a fusion head fuses, in its order."""
        texts = self.data.text_columns if self.features.encodes_fields else (keys.TEXT,)
        return (keys.IMAGE, *texts)

    @classmethod
    def from_preset(cls, method: type[Method]) -> Config:
        """The defaults, under the preset of `method`."""
        sections: dict[str, Any] = {}
        for name, section in SECTIONS.items():
            mine = {n: value for n, value in method.preset.items() if n in leaves(section)}
            sections[name] = section.of(**mine)
        return cls(method=method(), **sections)

    def to_json(self) -> str:
        tree: dict[str, Any] = {name: flat(getattr(self, name)) for name in SECTIONS}
        tree["method"] = {"name": method_name(type(self.method)), **flat(self.method)}
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Config:
        """The settings that `to_json` wrote.

        Raises:
            UserError: an unknown setting, or a method from outside the package that nobody asked for in
                this process (`plugins`).
        """
        tree = json.loads(text)
        method = dict(tree["method"])
        sections: dict[str, Any] = {
            name: _build(section, tree[name]) for name, section in SECTIONS.items()
        }
        return cls(method=_build(find_method(method.pop("name")), method), **sections)

    def to_flagfile(self) -> str:
        """All settings as `--name=value` lines, good as a `--flagfile`."""
        lines = [f"--method={method_name(type(self.method))}"]
        for name in SECTIONS:
            lines += flag_lines(getattr(self, name))
        return "\n".join([*lines, *flag_lines(self.method)]) + "\n"


def flag_lines(section: Settings) -> list[str]:
    """The settings of one section, or of a method, as `--name=value`."""
    lines = []
    for name, value in flat(section).items():
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        lines.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}")
    return lines


def _build(kind: type[_Kind], tree: dict[str, Any]) -> _Kind:
    """The settings of a JSON object, in which tuples are lists."""
    return kind.of(**{n: tuple(v) if isinstance(v, list) else v for n, v in tree.items()})


def save(config: Config, run: RunFolder) -> None:
    """Writes `config.json` and `flags.txt` (usable as `--flagfile`) into a run folder."""
    seals.write_text(run.config, config.to_json())
    seals.write_text(run.flags, config.to_flagfile())


def load(folder: str | os.PathLike[str]) -> Config:
    """The settings of the run that lies in `folder`.

    Raises:
        UserError: no run lies there, its settings are damaged, or it names a method from outside the
            package that nobody asked for (`plugins`).
    """
    run = RunFolder(folder)
    if not run.config.is_file():
        raise UserError(
            f"No run lies in {str(run)!r}: it has no config.json. Expected the folder that "
            "`python -m huse_tf.train` named at its end."
        )
    with run.reading(run.config):
        return Config.from_json(run.config.read_text(encoding="utf-8"))
