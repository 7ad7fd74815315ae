"""All methods by name. Adding one is adding a file and a row here."""

from huse_tf.methods.base import Method
from huse_tf.methods.huse import Huse, HusePaper

METHODS: dict[str, type[Method]] = {method.name: method for method in (Huse, HusePaper)}
