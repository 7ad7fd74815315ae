"""Whether a server restores what a SavedModel's signatures read.

TF Serving restores a model by the saver's restore op, and then runs its graph. `tf.saved_model.load`
goes by the graph of Python objects, and so hides variables that the restore op leaves out.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping

from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from huse_tf.errors import UserError

_INIT = "__saved_model_init_op"  # TensorFlow's own: fills tables, before anyone asks
_VARIABLE = "VarHandleOp"
_SHOWN = 5


def refuse_unrestored(folder: pathlib.Path) -> None:
    """Raises UserError where a signature of the SavedModel in `folder` reads what is not restored."""
    left_out = unrestored(read_graph(folder))
    if left_out:
        names = ", ".join(left_out[:_SHOWN]) + (" ..." if len(left_out) > _SHOWN else "")
        raise UserError(
            f"{len(left_out)} variables of the model have no entry that its saver restores, so no server "
            "could answer: it would end in `Could not find variable`. Expected every variable that a "
            "signature reads to be tracked itself, as `tf.Variable`, and not only through a Keras object "
            f"(`variable.value` of each of a Keras model's weights). Received, without an entry: {names}."
        )


def read_graph(folder: pathlib.Path) -> MetaGraphDef:
    """The one graph of the SavedModel in `folder`, with its signatures and its saver.

    Raises:
        UserError: there is none.
    """
    path = folder / "saved_model.pb"
    if not path.is_file():
        raise UserError(
            f"No exported model lies in {str(folder)!r}: it has no saved_model.pb. Expected the folder "
            "of a version, such as saved_models/NAME/1."
        )
    return SavedModel.FromString(path.read_bytes()).meta_graphs[0]


def client_signatures(graph: MetaGraphDef) -> dict[str, SignatureDef]:
    """Those that a client may call, by name, sorted."""
    return {name: each for name, each in sorted(graph.signature_def.items()) if name != _INIT}


def unrestored(graph: MetaGraphDef) -> list[str]:
    """Names of the variables that some signature reads and the restore op does not assign, sorted."""
    nodes = {node.name: node for node in graph.graph_def.node}
    outputs = [
        tensor.name
        for signature in client_signatures(graph).values()
        for tensor in signature.outputs.values()
    ]
    return sorted(_variables(nodes, outputs) - _assigned(nodes, graph))


def _variables(nodes: Mapping[str, NodeDef], tensors: Iterable[str]) -> set[str]:
    """The variables that these tensors are made from, directly or not."""
    seen: set[str] = set()
    waiting = [_node_name(tensor) for tensor in tensors]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [_node_name(tensor) for tensor in nodes[name].input]
    return {name for name in seen if nodes[name].op == _VARIABLE}


def _assigned(nodes: Mapping[str, NodeDef], graph: MetaGraphDef) -> set[str]:
    """The inputs of the restore op, a call of a function, to which this function assigns values."""
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
    """Of a tensor `NAME:OUTPUT`, or of an input of a node, `^NAME` where it only waits for it."""
    return tensor.lstrip("^").partition(":")[0]
