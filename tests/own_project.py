"""The project of tests/examples_outside, as pip would install it."""

from __future__ import annotations

import pathlib
import tomllib

PROJECT = pathlib.Path(__file__).parent / "examples_outside"


def install(site: pathlib.Path) -> pathlib.Path:
    """Makes `site` a folder for the Python path that holds the project with its entry points."""
    (site / "shop_search").symlink_to(PROJECT / "shop_search")
    info = site / "shop_search-1.0.dist-info"
    info.mkdir()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop_search\nVersion: 1.0\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site
