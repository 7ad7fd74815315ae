"""A SavedModel in a session of its own, whose memory is free again when the session is closed.

TensorFlow joins the rows of requests that wait at the same time (its batch op), so there is no queue of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from huse_tf.server.limits import Arrays, Tensor, Tensors
from huse_tf.server.server_settings import ServerSettings

v1 = tf.compat.v1
_TRAILING_SHAPES = 64  # queues of a signature; requests of further shapes are computed alone
_Run = Callable[..., list[np.ndarray]]


class Engine:
    """The signatures of the SavedModel in `folder`.

    Args:
        folder: of the version.
        settings: how requests are joined.

    Attributes:
        tensors: the inputs and the outputs of each signature, by name.

    Raises:
        tf.errors.OpError, OSError, ValueError: the folder holds no SavedModel that this TensorFlow can load.
    """

    def __init__(self, folder: pathlib.Path, settings: ServerSettings) -> None:
        self._settings = settings
        self._graph = tf.Graph()
        self._session = v1.Session(graph=self._graph, config=_config())
        self._lock = threading.Lock()  # for changes of the graph
        with self._graph.as_default():
            model = tf.saved_model.load(str(folder))
            self._session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            self._functions = dict(model.signatures)
            self._model = model  # holds the tables
        self.tensors: Tensors = {name: _tensors(each) for name, each in self._functions.items()}
        self._alone: dict[str, _Run] = {}
        self._joined: dict[tuple[Any, ...], _Run | None] = {}

    def __call__(self, signature: str, inputs: Arrays) -> Arrays:
        """Answers a request; requests of several threads are computed together.

        Requests are joined if they have equally many rows in every input, and equal other sizes. If a joined
        batch fails, each of its requests is computed alone, so that a request fails only by its own fault.

        Args:
            signature: its name.
            inputs: of the signature's types and shapes.

        Raises:
            tf.errors.OpError: the model refuses the request, or fails.
        """
        rows = self._rows(signature, inputs)
        most = self._settings.max_batch_size
        if not rows:
            return self._run_alone(signature, inputs)
        if rows >= most:
            return self._run_parts(signature, inputs, rows)
        with contextlib.suppress(tf.errors.OpError):
            run = self._joining(signature, inputs)
            if run is not None:
                return self._named(signature, run(*_in_order(inputs)))
        return self._run_alone(signature, inputs)

    def close(self) -> None:
        """Frees the memory. No request may run any more."""
        self._session.close()
        self._functions, self._model, self._alone, self._joined = {}, None, {}, {}
        del self._graph, self._session
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # only glibc has it
            ctypes.CDLL(None).malloc_trim(0)

    def _rows(self, signature: str, inputs: Arrays) -> int:
        """The number of rows if all inputs and outputs have rows, as many in all inputs; else 0."""
        given, told = self.tensors[signature]
        if not all(tensor.has_rows for tensor in (*given.values(), *told.values())):
            return 0
        sizes = {array.shape[0] for array in inputs.values()}
        return sizes.pop() if len(sizes) == 1 else 0

    def _run_parts(self, signature: str, inputs: Arrays, rows: int) -> Arrays:
        """Large requests are batches already. Parts bound the memory that they take."""
        size = max(self._settings.max_batch_size, 32)
        parts = [
            self._run_alone(
                signature, {name: array[row : row + size] for name, array in inputs.items()}
            )
            for row in range(0, rows, size)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run_alone(self, signature: str, inputs: Arrays) -> Arrays:
        with self._lock:
            if signature not in self._alone:
                self._alone[signature] = self._build(signature, None)
            run = self._alone[signature]
        return self._named(signature, run(*_in_order(inputs)))

    def _joining(self, signature: str, inputs: Arrays) -> _Run | None:
        """What joins requests with these sizes, or None if there are too many different sizes."""
        sizes = tuple(array.shape[1:] for array in _in_order(inputs))
        key = (signature, sizes)
        with self._lock:
            if key not in self._joined:
                mine = sum(name == signature for name, _ in self._joined)
                if mine >= _TRAILING_SHAPES:
                    return None
                self._joined[key] = self._build(signature, f"{signature}/{sizes}")
            return self._joined[key]

    def _build(self, signature: str, queue: str | None) -> _Run:
        """Adds the nodes of a signature to the graph; of one that joins requests, if it has a queue."""
        function, (given, told) = self._functions[signature], self.tensors[signature]
        names, outputs = sorted(given), sorted(told)

        def compute(*values: tf.Tensor) -> list[tf.Tensor]:
            answers = function(**dict(zip(names, values, strict=True)))
            return [answers[name] for name in outputs]

        with self._graph.as_default():
            feeds = [v1.placeholder(given[name].dtype, given[name].shape) for name in names]
            fetches = compute(*feeds) if queue is None else self._batched(compute, feeds, queue)
            return self._session.make_callable(fetches, feeds)

    def _batched(
        self, compute: Callable[..., list[tf.Tensor]], feeds: list[tf.Tensor], queue: str
    ) -> list[tf.Tensor]:
        """`tf.nondifferentiable_batch_function`, with one pool of threads for all queues of this session."""
        settings = self._settings
        function = tf.function(compute, autograph=False).get_concrete_function(
            *[tf.TensorSpec(feed.shape, feed.dtype) for feed in feeds]
        )
        return tf.raw_ops.BatchFunction(
            in_tensors=feeds,
            captured_tensors=function.captured_inputs,
            f=function,
            num_batch_threads=settings.num_batch_threads or len(os.sched_getaffinity(0)),
            max_batch_size=settings.max_batch_size,
            batch_timeout_micros=settings.batch_timeout_micros,
            max_enqueued_batches=settings.max_requests,
            Tout=[output.dtype for output in function.outputs],
            shared_name="requests",
            batching_queue=queue,
        )

    def _named(self, signature: str, values: list[np.ndarray]) -> Arrays:
        return dict(zip(sorted(self.tensors[signature][1]), values, strict=True))


def _config() -> tf.compat.v1.ConfigProto:
    """Without the optimizer of graphs: it works anew for each queue and each number of images of a product.

    On the bundled model the first request of a new number took 7 s with it and 2.7 s without, and later ones were no
    slower without it.
    """
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def _in_order(inputs: Arrays) -> list[np.ndarray]:
    return [inputs[name] for name in sorted(inputs)]


def _tensors(function: Any) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    given, told = function.structured_input_signature[1], function.structured_outputs
    return {n: _tensor(each) for n, each in given.items()}, {n: _tensor(e) for n, e in told.items()}


def _tensor(spec: tf.TensorSpec) -> Tensor:
    shape = spec.shape
    return Tensor(spec.dtype, None if shape.rank is None else tuple(shape.as_list()))
