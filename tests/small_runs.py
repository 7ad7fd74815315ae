"""A catalogue of tiny images with precomputed features, and the commands run on it in a process."""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import PIL.Image

from huse_tf.config import Config
from huse_tf.methods.huse import Huse
from huse_tf.sections import DataConfig, FeatureConfig, TrainingConfig
from huse_tf.settings import flat, replaced

CLASSES = ("home<seats<chairs", "home<seats<sofas", "lamps")
NOUNS = ("chair", "sofa", "lamp")
PRODUCTS = 8  # per class


def rows(products: int = PRODUCTS, images: int = 2) -> list[dict[str, str]]:
    """Products with their own word and several images each; products take turns in the classes."""
    return [
        {
            "product_id": f"p{product}",
            "image": f"images/{product}-{image}.png",
            "name": f"{NOUNS[product % 3]} word{product}",
            "description": "four legs" if product % 3 == 0 else "",
            "classes": CLASSES[product % 3],
        }
        for product in range(products * 3)
        for image in range(images)
    ]


def vector(index: int, row: dict[str, str]) -> np.ndarray:
    """[5] one-hot class, noise, and the number of the row in the catalogue."""
    one_hot = np.eye(4)[CLASSES.index(row["classes"]) if row["classes"] in CLASSES else 3]
    noise = np.random.default_rng(index).normal(0, 0.1, 4)
    return np.append(one_hot + noise, index / 100).astype(np.float32)


def write_catalogue(folder: pathlib.Path, table: Sequence[dict[str, str]]) -> DataConfig:
    """Writes the rows, an image for each, and `features.npz` with the vector of each."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "catalogue.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    for index, row in enumerate(table):
        path = folder / row["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels[:, :, 0] = 80 * (CLASSES.index(row["classes"]) if row["classes"] in CLASSES else 3)
        PIL.Image.fromarray(pixels).save(path)
    np.savez(
        folder / "features.npz",
        ids=np.array([row["image"] for row in table]),
        features=np.stack([vector(index, row) for index, row in enumerate(table)]),
    )
    return DataConfig(
        catalogue=str(folder / "catalogue.csv"), validation_fraction=0.25, test_fraction=0.25
    )


def settings(folder: pathlib.Path, table: Sequence[dict[str, str]] | None = None) -> Config:
    """The settings of a run of about a second on these rows, with all its files in `folder`."""
    data = write_catalogue(folder / "shop", table or rows())
    features = FeatureConfig(
        image_encoder=f"precomputed:{folder / 'shop' / 'features.npz'}",
        text_encoder="tfidf",
        class_graph="tree",
        cache_dir=str(folder / "cache"),
    )
    training = TrainingConfig(
        run_dir=str(folder / "run"), batch_size=8, epochs=3, learning_rate=1e-2, strategy="one"
    )
    config = Config(
        data=data,
        features=features,
        training=training,
        method=Huse.of(embedding_dim=8, image_layers=(16,), text_layers=(16,), classifier_norm=4.0),
    )
    return change(
        config,
        export_dir=str(folder / "exported"),
        export_check=False,
        refit="none",
        report_queries=2,
    )


def change(config: Config, **changes) -> Config:
    """The settings with some fields changed, of any section."""
    for name in ("data", "features", "method", "training", "evaluation", "export"):
        section = getattr(config, name)
        mine = {key: changes.pop(key) for key in list(changes) if key in flat(section)}
        config = dataclasses.replace(config, **{name: replaced(section, **mine)})
    if changes:
        raise ValueError(f"No such settings: {changes}")
    return config


def start(command: str, *arguments: str, folder: pathlib.Path) -> subprocess.Popen:
    """Starts `python -m huse_tf.COMMAND` in `folder`, as from a shell."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_"))}
    environment["PYTHONPATH"] = str(pathlib.Path(__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-m", f"huse_tf.{command}", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(command: str, *arguments: str, folder: pathlib.Path) -> subprocess.CompletedProcess:
    """Runs `python -m huse_tf.COMMAND` to its end."""
    process = start(command, *arguments, folder=folder)
    stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def flagfile(config: Config, folder: pathlib.Path) -> str:
    """Writes the settings to a file; returns `--flagfile=FILE`."""
    (folder / "settings.flags").write_text(config.to_flagfile(), encoding="utf-8")
    return f"--flagfile={folder / 'settings.flags'}"
