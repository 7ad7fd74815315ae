"""Clients of a served model, over gRPC or REST: products in, dataclasses out."""

from huse_tf.serving.client.answers import (
    ClassifiedProduct,
    ClassScores,
    Embedded,
    Matched,
    NameScores,
    ScoredClass,
    VersionStatus,
)
from huse_tf.serving.client.client import Client
from huse_tf.serving.client.errors import RowError, ServingError
from huse_tf.serving.client.products import Product
from huse_tf.serving.client.settings import ClientSettings

__all__ = [
    "ClassScores",
    "ClassifiedProduct",
    "Client",
    "ClientSettings",
    "Embedded",
    "Matched",
    "NameScores",
    "Product",
    "RowError",
    "ScoredClass",
    "ServingError",
    "VersionStatus",
]
