"""The part of KServe's InferenceService (serving.kserve.io/v1beta1) that deploy/kserve.yaml uses, as a JSON schema.

No package on PyPI holds KServe's own schema and fits this project's pins, so the names of the fields are written out after KServe's API
reference. A model is a container with more fields; the container's are Kubernetes' own.
"""

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string", "minLength": 1}


def schema(container):
    """The schema, given that of a Kubernetes container (a dict with `properties`)."""
    model = {
        "modelFormat": {
            "type": "object",
            "properties": {"name": {"enum": ["tensorflow"]}, "version": {"enum": ["1", "2"]}},
            "required": ["name"],
            "additionalProperties": False,
        },
        "runtime": _TEXT,
        "runtimeVersion": _TEXT,
        "protocolVersion": {"enum": ["v1", "grpc-v1"]},
        "storageUri": {"type": "string", "pattern": r"^(pvc|s3|gs|hdfs|https?)://.+"},
    }
    predictor = {
        "minReplicas": _COUNT,
        "maxReplicas": _COUNT,
        "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
        "scaleTarget": _COUNT,
        "canaryTrafficPercent": {**_COUNT, "maximum": 100},
        "model": {
            "type": "object",
            "properties": {**container["properties"], **model},
            "required": ["modelFormat", "storageUri"],
            "additionalProperties": False,
        },
    }
    return _object(
        apiVersion={"const": "serving.kserve.io/v1beta1"},
        kind={"const": "InferenceService"},
        metadata={"type": "object", "required": ["name"]},
        spec=_object(
            predictor={"type": "object", "properties": predictor, "additionalProperties": False}
        ),
    )


def _object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
