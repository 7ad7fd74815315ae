"""Templates, as all pages use them."""

from __future__ import annotations

import pathlib

import jinja2

from huse_tf.pages.thumbnails import thumbnail


def environment(folder: pathlib.Path) -> jinja2.Environment:
    """Reads templates from `folder` and from here.

    Whatever comes from data is escaped; a name that a template misspells is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, pathlib.Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thumbnail"] = thumbnail
    return environment
