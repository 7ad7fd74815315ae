"""Templates of Markdown files, in which every value is plain text, whatever it holds."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import jinja2

# What Markdown or HTML gives a meaning within a line, links without brackets included. CommonMark reads a numeric
# reference as the character itself. An underscore within a word is plain text.
_MEANING = re.compile(
    r"[\\`*{}\[\]<>#|~&$@^]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<!\w)www\.", re.IGNORECASE
)


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def escape(value: Any) -> str:
    """A value as one line of text, none of which is read as Markdown or HTML.

    Examples:
        >>> escape("a|b <b>`x`</b>\\nc")
        'a&#124;b &#60;b&#62;&#96;x&#96;&#60;/b&#62; c'
        >>> escape(Markdown("**a**"))
        '**a**'
    """
    if isinstance(value, Markdown):
        return value
    line = "".join(char if char.isprintable() else " " for char in str(value))
    return _MEANING.sub(lambda found: "".join(f"&#{ord(char)};" for char in found[0]), line)


def code(value: Any) -> Markdown:
    """A value as a span of code. Within a table, and with any content.

    Examples:
        >>> code("a|b`c")
        '<code>a&#124;b&#96;c</code>'
        >>> code("embed_text")
        '`embed_text`'
    """
    if re.fullmatch(r"[\w./:-]+", str(value), re.ASCII):
        return Markdown(f"`{value}`")
    return Markdown(f"<code>{escape(value)}</code>")


def environment(folder: pathlib.Path) -> jinja2.Environment:
    """A Jinja environment of Markdown templates.

    Every value goes through `escape`; the filter `code` makes it a span of code. An undefined name in a template is
    an error.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=False,
        finalize=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["code"] = code
    return made
