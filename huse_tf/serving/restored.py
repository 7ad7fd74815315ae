"""Checks that the saver of a SavedModel restores every variable that a signature reads.

TF Serving runs the saver's restore op and then the graph. `tf.saved_model.load` restores the graph of
Python objects instead, so it also works when the restore op leaves a variable out.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping

import tensorflow as tf
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from huse_tf.errors import UserError

_INIT = "__saved_model_init_op"  # TensorFlow's own signature; fills tables
_VARIABLE = "VarHandleOp"
_SHOWN = 5


def refuse_unrestored(folder: pathlib.Path) -> None:
    """Raises UserError if a signature of the SavedModel in `folder` reads an unrestored variable."""
    left_out = unrestored(read_graph(folder))
    if left_out:
        names = ", ".join(left_out[:_SHOWN]) + (" ..." if len(left_out) > _SHOWN else "")
        raise UserError(
            f"{len(left_out)} variables of the model have no entry in its saver, so a server would fail "
            "with `Could not find variable`. Expected that the saver restores every variable that a "
            f"signature reads. Received, with no entry: {names}. Track each `tf.Variable` itself, not only "
            "the Keras object that holds it (use `variable.value` of each Keras weight)."
        )


def read_graph(folder: pathlib.Path) -> MetaGraphDef:
    """The graph of the SavedModel in `folder`, with its signatures and its saver.

    Raises:
        UserError: `folder` holds no SavedModel.
    """
    path = folder / "saved_model.pb"
    if not path.is_file():
        raise UserError(
            f"{str(folder)!r} is not an exported model: it has no saved_model.pb. Expected the folder of "
            "a version, such as saved_models/NAME/1."
        )
    return SavedModel.FromString(path.read_bytes()).meta_graphs[0]


def client_signatures(graph: MetaGraphDef) -> dict[str, SignatureDef]:
    """The signatures that a client may call, sorted by name."""
    return {name: each for name, each in sorted(graph.signature_def.items()) if name != _INIT}


def needs_tf_text(graph: MetaGraphDef) -> bool:
    """Whether the graph has an op that TensorFlow alone does not have."""
    nodes = [*graph.graph_def.node]
    for function in graph.graph_def.library.function:
        nodes += function.node_def
    functions = {each.signature.name for each in graph.graph_def.library.function}
    return any(
        not (node.op.startswith("_") or node.op in functions or hasattr(tf.raw_ops, node.op))
        for node in nodes
    )


def unrestored(graph: MetaGraphDef) -> list[str]:
    """Sorted names of the variables that a signature reads but the restore op does not assign."""
    nodes = {node.name: node for node in graph.graph_def.node}
    outputs = [
        tensor.name
        for signature in client_signatures(graph).values()
        for tensor in signature.outputs.values()
    ]
    return sorted(_variables(nodes, outputs) - _assigned(nodes, graph))


def _variables(nodes: Mapping[str, NodeDef], tensors: Iterable[str]) -> set[str]:
    """Names of all variables that the tensors are computed from."""
    seen: set[str] = set()
    waiting = [_node_name(tensor) for tensor in tensors]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [_node_name(tensor) for tensor in nodes[name].input]
    return {name for name in seen if nodes[name].op == _VARIABLE}


def _assigned(nodes: Mapping[str, NodeDef], graph: MetaGraphDef) -> set[str]:
    """Names of the variables that the restore op assigns.

    The restore op calls a function. Its inputs are variables; the function's body assigns them.
    """
    if not graph.saver_def.restore_op_name:
        return set()
    call = nodes[_node_name(graph.saver_def.restore_op_name)]
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    function = functions[call.attr["f"].func.name]
    targets = {node.input[0] for node in function.node_def if node.op == "AssignVariableOp"}
    arguments = function.signature.input_arg
    given = [_node_name(tensor) for tensor in call.input]
    return {
        name for name, argument in zip(given, arguments, strict=False) if argument.name in targets
    }


def _node_name(tensor: str) -> str:
    """NAME from a tensor `NAME:OUTPUT` or from a control input `^NAME`."""
    return tensor.lstrip("^").partition(":")[0]
