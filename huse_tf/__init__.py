"""huse_tf: one embedding space for product images and texts that follows the class hierarchy.

The public names are loaded on first use, so `import huse_tf` and `--help` do not import TensorFlow.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Config": "huse_tf.config",
    "METHODS": "huse_tf.methods",
    "Taxonomy": "huse_tf.data.classes.taxonomy",
    "UserError": "huse_tf.errors",
    "evaluate_run": "huse_tf.jobs.evaluate",
    "export_run": "huse_tf.jobs.export",
    "from_dataframe": "huse_tf.data.readers.dataframe",
    "from_dataset": "huse_tf.data.readers.dataset",
    "quantization": "huse_tf.evaluation.quantization",
    "read_catalogue": "huse_tf.data.catalogue",
    "train_fused": "huse_tf.jobs.train_fused",
    "train_run": "huse_tf.jobs.train",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        module = importlib.import_module(_PUBLIC[name])
        return getattr(module, name, module)  # `quantization` is a module itself
    raise AttributeError(
        f"module 'huse_tf' has no attribute {name!r}; it offers: {sorted(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted(__all__)
