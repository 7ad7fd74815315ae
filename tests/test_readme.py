"""The README's code blocks, run as they stand, on a small part of the bundled catalogue."""

import csv
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CATALOGUE = ROOT / "experiments" / "home_goods" / "catalogue.csv"
# Programs that a shell block may call without the test calling them, and why.
NOT_RUN = {
    "docker": "no TF Serving here; saved_models/README.md says so",
    "curl": "asks that server",
    "make": "its targets are checked below",
    "tensorboard": "is a server",
}
CLASSES = (
    "Furniture<Seating<Chair",
    "Furniture<Seating<Sofa",
    "Vehicle<Car",
    "Furniture<Table<Dining table",
)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def commands():
    """The lines of the shell blocks, continued ones joined, comments taken away."""
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def write_part(path, rows):
    """A catalogue of some rows of the bundled one, with their pictures."""
    (path.parent / "images").mkdir(parents=True, exist_ok=True)
    for row in rows:
        shutil.copy(CATALOGUE.parent / row["image"], path.parent / row["image"])
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder like the repository after `make train`, and a shop of one's own beside it."""
    folder = tmp_path_factory.mktemp("readme")
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
def test_shell_blocks_run(home):
    ran = 0
    for words in commands():
        if words[0] not in NOT_RUN:
            run(words, home)
            ran += 1
    assert ran >= 4
    assert (home / "runs/new/report.html").exists()


@pytest.mark.slow
def test_python_blocks_run(home):
    assert len(blocks("python")) >= 3
    for number, block in enumerate(blocks("python")):
        (home / f"block{number}.py").write_text(block, encoding="utf-8")
        assert run(["python", f"block{number}.py"], home).strip()


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {words[1] for words in commands() if words[0] == "make"}
    assert named <= targets
    assert {"train", "test"} <= named


def test_the_csv_example_is_what_the_reader_reads(tmp_path):
    """Its pictures replaced by real ones; three rows of two products, none rejected."""
    from huse_tf.data.catalogue import read_catalogue
    from huse_tf.sections import DataConfig

    (tmp_path / "images").mkdir()
    (block,) = blocks("csv")
    pictures = sorted((CATALOGUE.parent / "images").iterdir())
    for row, picture in zip(csv.DictReader(block.splitlines()), pictures, strict=False):
        shutil.copy(picture, tmp_path / row["image"])
    (tmp_path / "catalogue.csv").write_text(block, encoding="utf-8")
    config = DataConfig(catalogue=str(tmp_path / "catalogue.csv"))
    catalogue = read_catalogue(config, tmp_path / "spool")
    assert catalogue.rejected.empty
    assert catalogue.items["product_id"].nunique() == 2


def test_links_lead_to_files():
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", prose):
        assert (ROOT / link).exists(), link
