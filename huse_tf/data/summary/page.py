"""The summary of a catalogue as one self-contained HTML file, with images."""

from __future__ import annotations

import pathlib

from huse_tf import files
from huse_tf.data.summary.parts import Summary, Table, cell_text
from huse_tf.pages.environment import environment


def write_summary_page(path: pathlib.Path, summary: Summary) -> None:
    """Writes the summary as one HTML file without scripts and external resources.

    Raises:
        OSError: the image of a sample cannot be read.
    """
    pages = environment(pathlib.Path(__file__).parent)
    pages.filters["cell"] = cell_text
    pages.tests["table"] = lambda part: isinstance(part, Table)
    files.write_text(path, pages.get_template("summary.html").render(summary=summary))
