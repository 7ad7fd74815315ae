"""Metrics for Prometheus: requests, latencies, rows, and the versions with their states."""

from __future__ import annotations

import time
from collections.abc import Iterator

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from huse_tf.server.gate import Gate
from huse_tf.server.models import Models
from huse_tf.server.refusals import Refused

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_UNKNOWN = "unknown"  # in place of names that a caller makes up


class Metrics:
    """The metrics of one server.

    Args:
        name: of the model.
        models: its versions.
        gate: its requests.
    """

    def __init__(self, name: str, models: Models, gate: Gate) -> None:
        self._registry = CollectorRegistry()
        self._requests = prometheus_client.Counter(
            "huse_tf_requests",
            "Answered and refused requests.",
            ("api", "signature", "code"),
            registry=self._registry,
        )
        self._seconds = prometheus_client.Histogram(
            "huse_tf_request_seconds",
            "Time from a request to its answer.",
            ("api", "signature"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._rows = prometheus_client.Counter(
            "huse_tf_rows", "Rows that were answered.", ("signature",), registry=self._registry
        )
        self._registry.register(_Versions(name, models, gate))
        prometheus_client.ProcessCollector(registry=self._registry)

    def watch(self, api: str) -> Watched:
        """A request that begins now."""
        return Watched(self, api)

    def record(self, watched: Watched, code: str) -> None:
        signature = watched.signature or _UNKNOWN
        self._requests.labels(watched.api, signature, code).inc()
        self._seconds.labels(watched.api, signature).observe(time.monotonic() - watched.begin)
        if code == "OK":
            self._rows.labels(signature).inc(watched.rows)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return prometheus_client.generate_latest(self._registry)


class Watched:
    """One request. Its `with` block ends with the answer or the refusal.

    Attributes:
        signature: name of a signature that the model has; "" until it is known.
        rows: number of rows.
    """

    def __init__(self, metrics: Metrics, api: str) -> None:
        self._metrics, self.api = metrics, api
        self.signature, self.rows, self.begin = "", 0, time.monotonic()

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            code = "OK"
        else:
            code = error.code.name if isinstance(error, Refused) else "INTERNAL"
        self._metrics.record(self, code)


class _Versions(Collector):
    """The state of each version, and the number of requests in work."""

    def __init__(self, name: str, models: Models, gate: Gate) -> None:
        self._name, self._models, self._gate = name, models, gate

    def collect(self) -> Iterator[GaugeMetricFamily]:
        states = GaugeMetricFamily(
            "huse_tf_version_state",
            "1 for the state of each version.",
            labels=("model", "version", "state"),
        )
        for number, status in self._models.statuses(self._name).items():
            state = ModelVersionStatus.State.Name(status.state)
            states.add_metric((self._name, str(number), state), 1)
        yield states
        yield GaugeMetricFamily(
            "huse_tf_current_version",
            "The version that answers; 0: none.",
            value=self._models.current or 0,
        )
        yield GaugeMetricFamily(
            "huse_tf_refused_versions",
            "Versions in the folder that cannot be served.",
            value=len(self._models.refusals()),
        )
        yield GaugeMetricFamily(
            "huse_tf_requests_in_work", "Requests that are computed now.", value=self._gate.taken
        )
