"""README and documentation: code blocks run as they stand, on a small part of the bundled catalogue.

The slow tests run Python blocks and the tutorial's commands. The quick ones give every command to the real flag
parser, and check links, error messages and lengths.
"""

import ast
import csv
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from own_project import install

ROOT = pathlib.Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = ROOT / "docs"
CATALOGUE = ROOT / "experiments" / "home_goods" / "catalogue.csv"
GENERATED = [DOCS / "reference", DOCS / "results" / "home_goods.md"]
PAGES = [README] + [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not any(page.is_relative_to(place) for place in GENERATED)
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
# Programs that a shell block may call without the test calling them, and why.
NOT_RUN = {
    "docker": "no TF Serving here; saved_models/README.md says so",
    "curl": "asks that server",
    "pip": "everything is installed here",
    "make": "its targets are checked below",
    "export": "sets a variable",
    "source": "the test has its own Python",
    "tensorboard": "is a server",
}
CLASSES = (
    "Furniture<Seating<Chair",
    "Furniture<Seating<Sofa",
    "Vehicle<Car",
    "Furniture<Table<Dining table",
)
CLIENT = "huse_tf.serving.client"  # in blocks that need a server
# Under another backend every command says this once its flags are parsed, and before it does anything.
PARSED = "Keras uses the wrong backend"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def without_server(page):
    return [block for block in blocks(page, "python") if CLIENT not in block]


def commands(page):
    """The lines of the shell blocks, continued ones joined, comments taken away."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def write_part(path, rows):
    """A catalogue of some rows of the bundled one, with their images."""
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    for row in rows:
        shutil.copy(CATALOGUE.parent / row["image"], path.parent / row["image"])
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return small_repository(tmp_path_factory.mktemp("readme"))


def small_repository(folder):
    """A folder like the repository after `make train`, and a shop of one's own beside it."""
    with open(CATALOGUE, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["classes"] in CLASSES]
    rows = [row for row in rows if row["image"].endswith("_0.jpg")]
    write_part(folder / "experiments/home_goods/catalogue.csv", rows)
    write_part(folder / "my_shop/catalogue.csv", rows[::2])
    write_part(folder / "new.csv", rows[1:12:2])
    shutil.copy(ROOT / "experiments/home_goods.flags", folder / "experiments")
    make_train = re.search(r"^train:.*\n\t\S+ (.+)$", (ROOT / "Makefile").read_text(), re.M)
    run(shlex.split(f"python {make_train[1]}"), folder)
    return folder


def run(words, folder):
    assert words[0] == "python"
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_shell_blocks_of_the_tutorial_run(home):
    """README's commands are among them."""
    ran = [words for words in commands(DOCS / "tutorial.md") if words[0] not in NOT_RUN]
    assert len(ran) >= 6
    assert all(words in ran for words in commands(README) if words[0] not in NOT_RUN)
    for words in ran:
        run(words, home)
    assert (home / "runs/new/report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if without_server(page)], ids=lambda page: page.name
)
def test_python_blocks_run(home, page):
    for number, block in enumerate(without_server(page)):
        run_block(block, number, home)


def run_block(block, number, folder):
    (folder / f"block{number}.py").write_text(block, encoding="utf-8")
    told = run(["python", f"block{number}.py"], folder)
    assert told.strip()
    return told


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem
)
def test_commands_are_parsed(page, tmp_path):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    site = tmp_path / "site"
    site.mkdir()
    # The guide to own methods speaks of a project outside this package.
    python_path = os.pathsep.join([str(ROOT), str(install(site))])
    for words in commands(page):
        if words[0] in NOT_RUN:
            continue
        if words[1].startswith(("experiments/", "benchmarks/")):  # a script of this repository
            assert (ROOT / words[1]).is_file(), words
            continue
        assert words[:2] == ["python", "-m"] and words[2].startswith("huse_tf."), words
        for word in words:
            if word.startswith("--flagfile=") and not word.startswith("--flagfile=experiments/"):
                made = tmp_path / word.partition("=")[2]  # by a command before
                made.parent.mkdir(parents=True, exist_ok=True)
                made.touch()
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=tmp_path,
            env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": python_path},
            capture_output=True,
            text=True,
            check=False,
        )
        told = done.stdout if words[-1] == "--help" else done.stderr
        expected = "flags:" if words[-1] == "--help" else PARSED
        assert expected in told, f"{shlex.join(words)}\n{done.stderr}"


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {words[1] for page in PAGES for words in commands(page) if words[0] == "make"}
    assert named <= targets
    assert {"train", "test"} <= named
    assert "docs" in targets


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").split()) < 900


def test_the_csv_example_is_what_the_reader_reads(tmp_path):
    """Its images replaced by real ones; three rows of two products, none rejected."""
    from huse_tf.data.catalogue import read_catalogue
    from huse_tf.sections import DataConfig

    (tmp_path / "images").mkdir()
    (block,) = blocks(DOCS / "tutorial.md", "csv")
    images = sorted((CATALOGUE.parent / "images").iterdir())
    for row, image in zip(csv.DictReader(block.splitlines()), images, strict=False):
        shutil.copy(image, tmp_path / row["image"])
    (tmp_path / "catalogue.csv").write_text(block, encoding="utf-8")
    config = DataConfig(catalogue=str(tmp_path / "catalogue.csv"))
    catalogue = read_catalogue(config, tmp_path / "spool")
    assert catalogue.rejected.empty
    assert catalogue.items["product_id"].nunique() == 2


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings(page):
    """`make docs` checks the same of the site; this needs no MkDocs, and checks README too."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", prose):
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if any(target.is_relative_to(generated) for generated in GENERATED):
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", [*PAGES, ROOT / "ARCHITECTURE.md"], ids=lambda page: page.stem)
def test_files_that_pages_name_exist(page):
    named = re.findall(
        r"`((?:huse_tf/)?[a-z_]+/[a-z_/0-9]+\.py)`", page.read_text(encoding="utf-8")
    )
    for name in named:
        places = [ROOT, ROOT / "huse_tf", ROOT / "tests/examples_outside"]
        assert any((place / name).is_file() for place in places), name


def anchors(page):
    """The ids that Python-Markdown gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    plain = (
        re.sub(r"[^\w\s-]", "", heading.encode("ascii", "ignore").decode()) for heading in headings
    )
    return {re.sub(r"[-\s]+", "-", heading.strip().lower()) for heading in plain}


def test_error_messages_are_those_of_the_code():
    """Each heading of the page on errors is made of the words of one message, in their order."""
    messages = [
        text
        for path in (ROOT / "huse_tf").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and re.search(r"Error$|^unknown_name$|warning$", ast.unparse(node.func))
        and (text := words_of(node))
    ]
    messages.append("Unknown … Expected one of: …")  # errors.unknown_name builds it of parts
    asked = re.findall(r"^### `(.+)`$", (DOCS / "faq.md").read_text(encoding="utf-8"), re.M)
    assert len(asked) >= 30
    for heading in asked:
        pattern = ".*".join(re.escape(part.strip()) for part in heading.split("…"))
        assert any(re.search(pattern, message) for message in messages), heading


def words_of(call):
    """The constant words of a call's arguments."""
    parts = (n for argument in call.args for n in ast.walk(argument) if isinstance(n, ast.Constant))
    places = sorted(parts, key=lambda node: (node.lineno, node.col_offset))
    return " ".join("".join(f"{node.value}\0" for node in places).replace("\0", " ").split())
