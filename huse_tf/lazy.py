"""Imports that wait until a name is used, so that `--help` does not load TensorFlow.

A room lists its public names once, in its `__init__.py`, as imports for type checkers:

    if TYPE_CHECKING:
        from huse_tf.losses.semantic_graph import SemanticGraph as SemanticGraph

    __getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)

Then `losses.SemanticGraph` imports that file when it is first used (PEP 562).
"""

from __future__ import annotations

import ast
import importlib
import pathlib
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package with the names of its `if TYPE_CHECKING:`.

    Args:
        package: `__name__` of the package.
        file: `__file__` of its `__init__.py`.
    """
    tree = ast.parse(pathlib.Path(file).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    modules = {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(modules[name]), name)

    def __dir__() -> list[str]:
        return sorted(modules)

    return __getattr__, __dir__, sorted(modules)


class _Module(types.ModuleType):
    """A module that is imported when an attribute of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import keras as keras
else:
    keras = _Module("keras")
