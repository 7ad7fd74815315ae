"""Writes a Keras model of one input in the format of another runtime. Keras's `Model.export` does the work."""

from __future__ import annotations

import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from huse_tf.serving.formats import LITERT, LITERT_INT8, ONNX, OPENVINO
from huse_tf.serving.runtimes.quiet_openvino import quiet_openvino


def convert(
    model: keras.Model, form: str, folder: pathlib.Path, sample: np.ndarray | None = None
) -> pathlib.Path:
    """Writes a model.

    Args:
        model: of one input, and a dict of one output, whose key is the output's name in the file.
        form: one of `formats.RUNTIMES`.
        folder: takes the file `NAME.onnx`, `NAME.tflite`, `NAME_int8.tflite`, or `NAME.xml` with `NAME.bin`.
        sample: [n, ...] images from which int8 learns the range of each activation.

    Returns:
        The path of the file.
    """
    path = folder / f"{model.name}{_ENDINGS[form]}"
    if form == LITERT_INT8:
        _export_int8(model, path, sample)
    else:
        _EXPORTS[form](model, path)
    return path


# Of scaling, of the signed power and of the unit norm: in 8 bits they cost most of the accuracy and save nothing.
_IN_FLOATS = [
    *("ABS", "SIGN", "POW", "SQRT", "RSQRT", "MUL", "SUB", "DIV", "SUM", "MAXIMUM", "SQUARE"),
    "L2_NORMALIZATION",
]
_ENDINGS = {ONNX: ".onnx", LITERT: ".tflite", LITERT_INT8: "_int8.tflite", OPENVINO: ".xml"}


def _signature(model: keras.Model) -> list[tf.TensorSpec]:
    (given,) = model.inputs
    return [tf.TensorSpec(given.shape, given.dtype, given.name)]


def _export_onnx(model: keras.Model, path: pathlib.Path) -> None:
    # Without the signature Keras refuses a model that was never called.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of NumPy, for Keras's repair of tf2onnx
        model.export(str(path), format="onnx", verbose=False, input_signature=_signature(model))


def _export_openvino(model: keras.Model, path: pathlib.Path) -> None:
    with quiet_openvino():
        model.export(str(path), format="openvino", verbose=False, input_signature=_signature(model))


def _export_litert(model: keras.Model, path: pathlib.Path) -> None:
    model.export(str(path), format="litert", verbose=False, input_signature=_signature(model))


_EXPORTS: dict[str, Callable[[keras.Model, pathlib.Path], None]] = {
    ONNX: _export_onnx,
    LITERT: _export_litert,
    OPENVINO: _export_openvino,
}


def _export_int8(model: keras.Model, path: pathlib.Path, sample: np.ndarray | None) -> None:
    """Images: weights and activations in 8 bits. Token ids: weights in 8 bits, activations as they come.

    With the activations of a transformer in 8 bits too, its embeddings were useless (docs/guides/other_runtimes.md).
    """
    (given,) = model.inputs
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False, input_signature=_signature(model))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if np.issubdtype(given.dtype, np.integer):
            content = converter.convert()
        elif sample is None:
            raise ValueError("int8 needs a sample of images.")
        else:
            content = _in_8_bits(converter, given.name, sample)
    path.write_bytes(content)


def _in_8_bits(converter: tf.lite.TFLiteConverter, name: str, sample: np.ndarray) -> bytes:
    """The model with the layers of its networks in 8 bits, and all other operations in floats."""

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for row in sample:
            yield {name: row[np.newaxis]}

    sets, lite = tf.lite.OpsSet, tf.lite.experimental
    converter.representative_dataset = rows
    converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8, sets.TFLITE_BUILTINS]
    options = lite.QuantizationDebugOptions(denylisted_ops=_IN_FLOATS)
    with warnings.catch_warnings():
        # TensorFlow's own use of its older interpreter.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        debugger = lite.QuantizationDebugger(
            converter=converter, debug_dataset=rows, debug_options=options
        )
    return debugger.get_nondebug_quantized_model()
