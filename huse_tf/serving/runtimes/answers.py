"""Loads a file of another runtime as a function, to check it and to measure it. Each runtime is imported late."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from huse_tf.serving.runtimes.quiet_openvino import quiet_openvino

Answer: TypeAlias = Callable[[np.ndarray], np.ndarray]


def load(path: pathlib.Path, threads: int = 0) -> Answer:
    """A function from a batch of inputs [batch, ...] to embeddings [batch, D] float32, on the CPU.

    Args:
        path: a file that `convert` wrote.
        threads: number of threads; 0 leaves it to the runtime.
    """
    return _LOADERS[path.suffix](path, threads)


def _onnx(path: pathlib.Path, threads: int) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # its warnings tell of no fault of the file
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda inputs: session.run(None, {given.name: inputs})[0]


def _litert(path: pathlib.Path, threads: int) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads or None)
    runner: Any = interpreter.get_signature_runner()
    (given,) = runner.get_input_details()
    (output,) = runner.get_output_details()
    return lambda inputs: runner(**{given: inputs})[output].copy()


def _openvino(path: pathlib.Path, threads: int) -> Answer:
    # Without the hint, a processor with bfloat16 computes in bfloat16.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    with quiet_openvino() as openvino:
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda inputs: compiled(inputs)[0].copy()


_LOADERS: dict[str, Callable[[pathlib.Path, int], Answer]] = {
    ".onnx": _onnx,
    ".tflite": _litert,
    ".xml": _openvino,
}
