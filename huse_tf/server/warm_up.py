"""Warm-up requests that lie in a version, as TF Serving reads them."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from huse_tf.errors import UserError
from huse_tf.server.canary import Ask
from huse_tf.server.limits import Limits, Tensors
from huse_tf.server.refusals import Refused
from huse_tf.server.tensor_protos import read_inputs
from huse_tf.serving.canary import EXTRA
from huse_tf.serving.warmup import WARMUP

DEFAULT_SIGNATURE = "serving_default"
_MOST = 1000  # as TF Serving has it


def warm_up(folder: pathlib.Path, tensors: Tensors, limits: Limits, ask: Ask) -> int:
    """Sends the requests of a TFRecord file of `PredictionLog`, if there is one.

    Returns:
        How many were sent. Logs of other calls than Predict are passed over.

    Raises:
        UserError: the file is damaged, or a request is refused.
    """
    path = folder / EXTRA / WARMUP
    if not path.is_file():
        return 0
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(_MOST).as_numpy_iterator():
            request = PredictionLog.FromString(record).predict_log.request
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            if request.inputs and name in tensors:
                ask(name, read_inputs(request.inputs, tensors[name][0], limits))
                count += 1
    except Refused as error:
        raise UserError(
            f"Warm-up request {count} of {path} was refused: {error.sentence}"
        ) from error
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged. Expected a TFRecord of PredictionLog.") from error
    return count
