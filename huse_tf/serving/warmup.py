"""Warm-up requests: TF Serving answers them before a new version takes its first real request.

The first request to a signature makes TensorFlow prepare its graph, which takes many times as long as the answer. See
https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from huse_tf.serving.canary import EXTRA
from huse_tf.serving.exchange import Question

WARMUP = "tf_serving_warmup_requests"  # TF Serving's name; it reads at most 1000 records


def write_warmup(folder: pathlib.Path, name: str, asked: Sequence[Question]) -> None:
    """Writes a TFRecord file with a `PredictionLog` for each question into the SavedModel in `folder`.

    Args:
        folder: the SavedModel's folder.
        name: the model's name, as a server has it.
        asked: at most 1000 requests that the model answers without an error. One error fails a server's load.
    """
    path = folder / EXTRA / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for question in asked:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = question.signature
            for key, array in question.inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
            writer.write(log.SerializeToString(deterministic=True))
