"""Checks every import of the package against the rules of ARCHITECTURE.md."""

import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "huse_tf"
# All rooms may import these modules. They import only each other.
GROUND = {
    "distribute",
    "errors",
    "files",
    "keys",
    "lazy",
    "locks",
    "plugins",
    "run_folder",
    "seals",
    "sections",
    "settings",
    "spec",
}
# Room -> the rooms that it may import beside itself and the ground floor.
MAY_IMPORT = {
    "pages": set(),
    "data.table": set(),
    "data.images": set(),
    "data.classes": set(),
    "data.splits": {"data.table", "data.images", "data.classes"},
    "data.shards": {"data.classes"},
    "data.readers": {"data.table", "data.shards"},
    "data": {
        "data.table",
        "data.images",
        "data.classes",
        "data.splits",
        "data.readers",
    },
    "data.summary": {"data", "data.table", "data.classes", "data.splits", "pages"},
    "features": {"data.table", "data.classes"},
    "towers": set(),
    "heads": set(),
    "models": {"towers"},
    "losses": set(),
    "changes": {"data", "data.table"},
    "methods": {"changes", "data", "features", "heads", "losses", "models", "towers"},
    "training": {"data", "losses"},
    "evaluation": {"changes", "data.classes", "models", "pages"},
    "serving": {"data.classes", "features", "models"},
    "server": {"serving"},
    "serving.client": set(),
    "config": {"methods"},
    "cli": {"config", "methods"},
    "jobs": {
        "changes",
        "config",
        "data",
        "data.classes",
        "data.images",
        "data.readers",
        "data.shards",
        "data.splits",
        "data.summary",
        "data.table",
        "evaluation",
        "features",
        "heads",
        "methods",
        "models",
        "serving",
        "training",
    },
    "commands": {"cli", "config", "jobs", "server", "serving"},
}


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")} | {
    "": PACKAGE / "__init__.py"
}


def room_of(module):
    """The room of a module: the longest room name that its own name begins with."""
    if module in GROUND:
        return "ground"
    names = [room for room in MAY_IMPORT if module == room or module.startswith(room + ".")]
    return max(names, key=len) if names else "commands"


def imports(path):
    """Modules of the package that a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "huse_tf":
            module = node.module.removeprefix("huse_tf").lstrip(".")
            names = {f"{module}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {name if name in MODULES else module for name in names}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {
                name.removeprefix("huse_tf.") for name in names if name.startswith("huse_tf.")
            }
    return found - {""}


IMPORTS = {module: imports(path) for module, path in MODULES.items() if module}


@pytest.mark.parametrize("module", sorted(IMPORTS))
def test_a_module_imports_what_its_room_may(module):
    room = room_of(module)
    allowed = {room, "ground"} | MAY_IMPORT.get(room, set())
    wrong = {name for name in IMPORTS[module] if room_of(name) not in allowed}
    assert not wrong, f"{module} of {room} imports {sorted(wrong)}"


def test_rooms_form_no_circle():
    """Together with `test_a_module_imports_what_its_room_may`, no import runs upward."""
    graphlib.TopologicalSorter(MAY_IMPORT).prepare()


def test_modules_form_no_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_every_rule_is_used():
    """Rules that no import needs must be removed."""
    used = {(room_of(module), room_of(name)) for module, names in IMPORTS.items() for name in names}
    spare = [
        (room, to) for room, rooms in MAY_IMPORT.items() for to in rooms if (room, to) not in used
    ]
    assert not spare


def test_architecture_lists_the_rules():
    """The table of ARCHITECTURE.md has a row for each room with the rooms that it may import."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    told = {room: set(re.findall(r"`([\w.]+)`", rooms)) for room, rooms in rows}
    assert told == MAY_IMPORT
    ground = re.search(r"^The ground floor: (.*?)\.\n", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", ground[1])) == GROUND


def test_only_one_file_knows_replicas():
    for path in PACKAGE.rglob("*.py"):
        if path.name != "distribute.py":
            text = path.read_text(encoding="utf-8")
            assert "get_replica_context" not in text, path
            assert "strategy.run" not in text, path


@pytest.mark.parametrize(
    "command",
    ["train", "tune", "evaluate", "export", "prepare", "compare", "check_export", "serve"],
)
def test_help_does_not_wait_for_tensorflow(command):
    script = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('huse_tf.{command}', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'pandas', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ("--model" if command in ("check_export", "serve") else "--run_dir") in done.stdout


def test_test_files_have_different_names():
    """pytest cannot collect two of one name, and each alone passes."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
