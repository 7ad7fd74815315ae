"""What MkDocs does for this site beyond its configuration: generated pages, and formulas as MathML.

Generated, and so true after every change of the code:
    reference/*.md       one page for each room of the package, with all public modules in it
    reference/architecture.md and others  what lies elsewhere in the repository
    reference/flags.md   every flag of every command, as the commands' own --helpxml tells it
    results/home_goods.md  every table of the comparison, from its CSV file
"""

from __future__ import annotations

import ast
import csv
import html
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import latex2mathml.converter

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
PACKAGE = ROOT / "huse_tf"
# The rows of a table that matter most; the others are folded.
FIRST = (
    "huse",
    "huse_plus",
    "huse_p",
    "hie",
    "triplet",
    "late_fusion",
    "linear_probe",
    "devise",
    "dscmr:epochs=60",
    "cca",
    "frozen features",
)
LEVEL = 0.05  # of significance, as in the comparison

# Section of the settings -> its title. `train` has the flags of all of them.
_SECTIONS = {
    "data": "Data",
    "features": "Features",
    "training": "Training",
    "evaluation": "Evaluation",
    "export": "Export",
}
# Pages that lie elsewhere in the repository -> their title and file here.
_COPIES = {
    "ARCHITECTURE.md": ("Architecture", "architecture.md"),
    "saved_models/README.md": ("The exported model", "exported_model.md"),
    "deploy/README.md": ("Deploying", "deploying.md"),
    "experiments/home_goods/ATTRIBUTION.md": ("Attribution of the images", "attribution.md"),
}
_COMMANDS = ("train", "tune", "evaluate", "compare", "prepare", "export", "check_export", "serve")


def on_config(config: Any) -> Any:
    """Writes the generated pages, and adds the rooms to the navigation."""
    rooms = write_reference(DOCS / "reference")
    pages = write_copies(DOCS / "reference")
    write_flags(DOCS / "reference" / "flags.md")
    write_tables(DOCS / "results" / "home_goods.csv", DOCS / "results" / "home_goods.md")
    for entry in config.nav:
        if "Reference" in entry:
            found = {**pages, **rooms}.items()
            entry["Reference"] += [{name: f"reference/{file}"} for name, file in found]
    return config


def on_page_content(content: str, **_: Any) -> str:
    """Formulas, which arithmatex has marked, become MathML: it needs no script and no network."""

    def convert(match: re.Match[str]) -> str:
        formula = html.unescape(match["formula"])
        display = "block" if match["open"] == "[" else "inline"
        return latex2mathml.converter.convert(formula, display=display)

    pattern = (
        r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<formula>.*?)\\[)\]]</(?P=tag)>'
    )
    return re.sub(pattern, convert, content, flags=re.DOTALL)


# --- the API, a page a room -------------------------------------------------------------------


def write_reference(folder: pathlib.Path) -> dict[str, str]:
    """Writes a page for each room and one for the modules on the top level; title -> file name."""
    folder.mkdir(exist_ok=True)
    written = {}
    top = [path for path in sorted(PACKAGE.glob("*.py")) if _public(path)]
    pages = {"huse_tf": top}
    for room in sorted(path.parent for path in PACKAGE.glob("*/__init__.py")):
        pages[f"huse_tf.{room.name}"] = [p for p in sorted(room.rglob("*.py")) if _public(p)]
    for title, modules in pages.items():
        parts = [f"# {title}\n", _summary(PACKAGE / title.partition(".")[2] / "__init__.py")]
        if title == "huse_tf":
            parts.append(_public_names())
        parts += [f"## {_dotted(path)}\n\n::: {_dotted(path)}\n" for path in modules]
        file = f"{title.rpartition('.')[2]}.md"
        _write(folder / file, "\n".join(parts))
        written[title] = file
    others = {"flags.md", *(file for _, file in _COPIES.values())}
    for old in folder.glob("*.md"):
        if old.name not in {*written.values(), *others}:
            old.unlink()
    return written


def write_copies(folder: pathlib.Path) -> dict[str, str]:
    """Copies pages from elsewhere in the repository; of links to files that are no pages the text stays."""
    for source, (_, file) in _COPIES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        _write(folder / file, re.sub(r"\[([^\]]+)\]\((?!https?:)[\w./#-]+\)", r"\1", text))
    return dict(_COPIES.values())


def _public(path: pathlib.Path) -> bool:
    return not path.name.startswith("_")


def _dotted(path: pathlib.Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _summary(path: pathlib.Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return f"{text.partition(chr(10) + chr(10))[0]}\n"


def _public_names() -> str:
    """What `import huse_tf` offers, and where each is documented."""
    sys.path.insert(0, str(ROOT))
    try:
        import huse_tf
    finally:
        sys.path.pop(0)
    rows = ["| name | defined in |", "|---|---|"]
    for name, home in huse_tf._PUBLIC.items():
        link = f'<autoref identifier="{home}.{name}" optional><code>huse_tf.{name}</code></autoref>'
        rows.append(f"| {link} | `{home}` |")
    return "These names can be used after `import huse_tf`:\n\n" + "\n".join(rows) + "\n"


# --- flags ------------------------------------------------------------------------------------


def write_flags(path: pathlib.Path) -> None:
    """Writes one page with all flags, from what the commands themselves print."""
    general = _flags("train")
    names = [value.text or "" for value in general["method"].iter("enum_value")]
    parts = [
        "# Commands and flags\n",
        "Every setting is one flag. A flag wins over a method's preset, and a preset over the default. "
        "A run writes its settings to `flags.txt`, which is good as a `--flagfile`. This page is "
        "generated from the commands' own `--help`.\n",
    ]
    for command in _COMMANDS:
        own = {
            name: flag
            for name, flag in _flags(command).items()
            if not _meaning(flag).startswith("[")
        }
        usage = f"python -m huse_tf.{command}"
        parts += [f"## {usage}\n", _usage(command), _table(own.values())]
    shared = "The commands `train`, `tune`, `compare` and `prepare` take the flags of all sections and methods."
    parts += [
        f"{shared} `evaluate` takes those of *data* and *evaluation*, `export` those of *export*.\n"
    ]
    for section, title in _SECTIONS.items():
        found = [f for f in general.values() if _owner(f) == section]
        parts += [f"## {title}\n", _table(found, drop=f"[{section}] ")]
    parts += ["## Methods\n", "`--method=NAME --help` prints the flags of one method.\n"]
    for name in names:
        theirs = _flags("train", f"--method={name}")
        own_flags = [flag for flag in theirs.values() if _owner(flag) == name]
        presets = [
            f"`--{flag_name}={_default(flag)}`"
            for flag_name, flag in theirs.items()
            if _owner(flag) in _SECTIONS and _default(flag) != _default(general[flag_name])
        ]
        parts.append(f"### --method={name}\n")
        if presets:
            parts.append(f"Preset: {', '.join(presets)}.\n")
        parts.append(_table(own_flags, drop=f"[{name}] "))
    _write(path, "\n".join(parts))


def _flags(command: str, *arguments: str) -> dict[str, ElementTree.Element]:
    done = subprocess.run(
        [sys.executable, "-m", f"huse_tf.{command}", *arguments, "--helpxml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    flags = ElementTree.fromstring(done.stdout).iter("flag")
    return {f.findtext("name", ""): f for f in flags if f.findtext("key") == "yes"}


def _meaning(flag: ElementTree.Element) -> str:
    """Without the values that absl puts before it."""
    return re.sub(r"^<[^>]*>: ", "", flag.findtext("meaning", ""))


def _owner(flag: ElementTree.Element) -> str:
    match = re.match(r"\[([\w, ]+)\] ", _meaning(flag))
    return match[1] if match else ""


def _default(flag: ElementTree.Element) -> str:
    return (flag.findtext("default") or "").removeprefix("'").removesuffix("'")


def _usage(command: str) -> str:
    return _summary(PACKAGE / f"{command}.py")


def _table(flags: Iterable[ElementTree.Element], drop: str = "") -> str:
    """Rows of a definition table; HTML, so that meanings may hold any sign."""
    rows = []
    for flag in flags:
        default = _default(flag)
        meaning = _meaning(flag).removeprefix(drop)
        values = [value.text or "" for value in flag.iter("enum_value")]
        if values and len(values) < 12:
            meaning += f" One of: {', '.join(values)}."
        shown = f"<code>{html.escape(default)}</code>" if default else "–"
        rows.append(
            f"<tr><td><code>--{flag.findtext('name')}</code></td><td>{shown}</td>"
            f"<td>{html.escape(meaning)}</td></tr>"
        )
    if not rows:
        return "No flags of its own.\n"
    head = "<thead><tr><th>flag</th><th>default</th><th>meaning</th></tr></thead>"
    return f'<table class="flags">{head}<tbody>\n' + "\n".join(rows) + "\n</tbody></table>\n"


# --- tables of the comparison -----------------------------------------------------------------


def write_tables(source: pathlib.Path, path: pathlib.Path) -> None:
    """Writes all tables of a comparison's CSV file; of each the first rows, and the others folded."""
    with open(source, encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    titles: dict[str, dict[str, dict[str, str]]] = {}
    methods = list(dict.fromkeys(cell["method"] for cell in cells))
    for cell in cells:
        rows = titles.setdefault(cell["table"], {})
        rows.setdefault(cell["method"], {})[cell["column"]] = _cell(cell)
    parts = [
        "# All tables of the comparison\n",
        "[What to use](index.md) tells what they say, how they were measured, and with which command. "
        "Mean ± standard deviation over three seeds. Bold is the best mean of a column. A mean with ≈ is not "
        "significantly behind it. Ten methods stand open, the others are folded. "
        f"The same as a file: [{source.name}]({source.name}).\n",
    ]
    for title, table in titles.items():
        columns = list(dict.fromkeys(column for row in table.values() for column in row))
        rows = [(m, [table[m].get(c, "–") for c in columns]) for m in methods if m in table]
        parts.append(f"## {title}\n")
        parts.append(folded(["method", *columns], rows))
    _write(path, "\n".join(parts))


def folded(head: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> str:
    """A Markdown table of the first rows, and one of the others in a block that can be opened."""

    def table(some: Sequence[tuple[str, list[str]]]) -> str:
        lines = ["| " + " | ".join(head) + " |", "|---|" + "---|" * (len(head) - 1)]
        lines += [f"| {' | '.join([method_cell(name), *cells])} |" for name, cells in some]
        return "\n".join(lines) + "\n"

    shown = sorted((row for row in rows if row[0] in FIRST), key=lambda row: FIRST.index(row[0]))
    others = [row for row in rows if row[0] not in FIRST]
    text = table(shown)
    if others:
        summary = f"<summary>{len(others)} more methods and variants</summary>"
        text += f'\n<details markdown="1">{summary}\n\n{table(others)}\n</details>\n'
    return text


def method_cell(name: str) -> str:
    """A method or variant, each setting on a line of its own."""
    return "<br>".join(f"`{part}`" for part in re.split(r"(?=:\w+=)", name))


def _cell(cell: Mapping[str, str]) -> str:
    mean, spread = float(cell["mean"]), float(cell["spread"])
    if cell["metric"].startswith("cost/"):
        return f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}"
    text = f"{mean:.3f}&nbsp;±&nbsp;{spread:.3f}"
    if cell["best"] == "1":
        return f"**{text}**"
    return f"{text}&nbsp;≈" if cell["p_holm"] and float(cell["p_holm"]) >= LEVEL else text


def _write(path: pathlib.Path, text: str) -> None:
    """Only where something changed, so that `mkdocs serve` does not go on building for ever."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
