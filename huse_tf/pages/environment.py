"""The environment of all pages' templates."""

from __future__ import annotations

import pathlib

import jinja2

from huse_tf.pages.thumbnails import thumbnail


def environment(folder: pathlib.Path) -> jinja2.Environment:
    """A Jinja environment that reads templates from `folder` and from this package.

    Values are escaped. An undefined name in a template is an error. The filter `thumbnail` makes an image
    file a data URI.
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
