"""Makes mutants of a source text: small wrong changes, one at a time, that tests should detect."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from typing import Any

_PAIRS = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.BitAnd, ast.BitOr),
    (ast.And, ast.Or),
)
_OTHER: dict[type, Any] = {
    **{one: other for pair in _PAIRS for one, other in (pair, pair[::-1])},
    **{operator: ast.Mult for operator in (ast.FloorDiv, ast.Mod, ast.Pow)},
}
# Functions f for which x in place of f(x) is a likely mistake.
_LEFT_AWAY = {"stop_gradient", "relu", "sqrt", "square", "sign", "abs"}
_LONGEST = 80  # letters of the code before or after a change, in its name


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        line: line of the source, from 1.
        name: "function: before -> after". It stays the same as long as that code does.
        source: the whole text with the change, without comments.
    """

    line: int
    name: str
    source: str


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a module.

    Changed are operators, numbers and conditions; keyword arguments and calls are removed. Strings,
    annotations, decorators, imports and raised errors stay.
    """
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    found: dict[str, Mutant] = {}
    for function, owners, field, index in _places(tree, "module", ()):
        owner = owners[-1]
        node = _get(owner, field, index)
        shown = _shown([*owners[1:], node])
        before = _line(shown)
        for changed in _changes(node, owner):
            _set(owner, field, index, changed)
            after, text = _line(changed if shown is node else shown), ast.unparse(tree)
            _set(owner, field, index, node)
            name = f"{function}: {before} -> {after}"
            while name in found:
                name += "'"
            if text != plain:
                found[name] = Mutant(node.lineno, name, text)
    return list(found.values())


def _places(
    node: ast.AST, function: str, owners: tuple[ast.AST, ...]
) -> Iterator[tuple[str, tuple[ast.AST, ...], str, int | None]]:
    """(function, owners from the module on, field, index) of every node that may change."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        function = node.name if function == "module" else f"{function}.{node.name}"
    owners = (*owners, node)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _is_left_alone(child):
                continue
            if hasattr(child, "lineno"):
                yield function, owners, field, index
            yield from _places(child, function, owners)


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    return isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom))


def _changes(node: ast.AST, owner: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _OTHER:
            yield ast.Compare(node.left, [_OTHER[type(operator)]()], node.comparators)
        case ast.BinOp() if type(node.op) in _OTHER:
            yield ast.BinOp(node.left, _OTHER[type(node.op)](), node.right)
        case ast.AugAssign() if type(node.op) in _OTHER:
            yield ast.AugAssign(node.target, _OTHER[type(node.op)](), node.value)
        case ast.BoolOp():
            yield ast.BoolOp(_OTHER[type(node.op)](), node.values)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()) if getattr(owner, "arg", None) != "axis":
            yield ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield ast.Constant(2 * node.value or 1.0)
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Call():
            for keyword in node.keywords:
                if keyword.arg is not None:
                    others = [each for each in node.keywords if each is not keyword]
                    yield ast.Call(node.func, node.args, others)
            if len(node.args) == 1 and ast.unparse(node.func).split(".")[-1] in _LEFT_AWAY:
                yield node.args[0]
    is_test = isinstance(owner, (ast.If, ast.IfExp, ast.While)) and node is owner.test
    is_filter = isinstance(owner, ast.comprehension) and node in owner.ifs
    if (is_test or is_filter) and not _is_negated_elsewhere(node):
        yield ast.UnaryOp(ast.Not(), node)


def _is_negated_elsewhere(node: ast.AST) -> bool:
    operators = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
    return isinstance(node, ast.UnaryOp) or (
        isinstance(node, ast.Compare) and isinstance(node.ops[0], operators)
    )


def _shown(nodes: list[ast.AST]) -> ast.AST:
    """The outermost expression or statement around a node that is still short."""
    for node in nodes:
        if (
            isinstance(node, (ast.expr, ast.stmt))
            and not isinstance(node, ast.ClassDef)
            and len(_line(node)) <= _LONGEST
        ):
            return node
    return nodes[-1]


def _line(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _get(owner: ast.AST, field: str, index: int | None) -> Any:
    value = getattr(owner, field)
    return value if index is None else value[index]


def _set(owner: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(owner, field, node)
    else:
        getattr(owner, field)[index] = node
