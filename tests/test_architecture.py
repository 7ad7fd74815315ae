"""The arrows of ARCHITECTURE.md, kept by reading the imports."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "huse_tf"
# What a room may import of the others. Root modules (keys, errors, files, config) are free to all.
MAY_IMPORT = {
    "pages": {"pages"},
    "data": {"data"},
    "features": {"features", "methods.base", "data.taxonomy", "data.chosen", "data.text"},
    "towers": {"towers", "methods.base"},
    "models": {"models", "towers", "methods.base"},
    "heads": {"heads"},
    "losses": {"losses"},
    "methods": {
        "methods",
        "models",
        "towers",
        "heads",
        "losses",
        "training.objective",
        "training.adaptive_weights",
        "training.masking",
        "training.mismatches",
        "data.pipeline",
        "features.image_backbones",
        "features.bert",
    },
    "training": {
        "training",
        "losses.term",
        "methods.base",
        "data.pipeline",
        "data.query_ids",
        "data.text",
        "data.text_augmentation",
    },
    "evaluation": {"evaluation", "data.query_ids", "data.taxonomy", "models.inference"},
    "serving": {"serving", "models", "features.encoder", "data.taxonomy"},
}
FREE = {
    "pages",
    "keys",
    "errors",
    "files",
    "locks",
    "config",
    "distribute",
    "settings",
    "seals",
    "run_files",
}


def imports(path):
    """Dotted names below huse_tf that a file imports, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huse_tf"):
            module = node.module.removeprefix("huse_tf").lstrip(".")
            if module:
                yield module
            else:
                yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.removeprefix("huse_tf.")
                for alias in node.names
                if alias.name.startswith("huse_tf.")
            )


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_rooms_import_in_one_direction(room):
    for path in (PACKAGE / room).rglob("*.py"):
        for module in imports(path):
            allowed = module.split(".")[0] in FREE | {"__version__"} or any(
                module == name or module.startswith(name + ".") for name in MAY_IMPORT[room]
            )
            assert allowed, f"{path.relative_to(PACKAGE)} imports {module}"


def test_every_room_has_a_rule():
    rooms = {
        path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    assert rooms == set(MAY_IMPORT)


def test_replicas_are_known_to_one_file():
    for path in PACKAGE.rglob("*.py"):
        if path.name != "distribute.py":
            text = path.read_text(encoding="utf-8")
            assert "get_replica_context" not in text, path
            assert "strategy.run" not in text, path


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "export", "prepare", "compare", "check_export"]
)
def test_help_does_not_wait_for_tensorflow(command):
    script = (
        "import runpy, sys; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('huse_tf.{command}', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ("--model" if command == "check_export" else "--run_dir") in done.stdout
