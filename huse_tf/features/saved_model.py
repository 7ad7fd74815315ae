"""Any SavedModel as an encoder of images or texts, from a folder or from TensorFlow Hub."""

from __future__ import annotations

import pathlib

import tensorflow as tf

from huse_tf.errors import UserError
from huse_tf.features import image_files
from huse_tf.features.encoder import Encoder
from huse_tf.files import sha256, sha256_file
from huse_tf.spec import FeatureSpec

# Height and width of the images for a model that accepts any size.
DEFAULT_SIZE = 224
CONTRACT = (
    "Expected a SavedModel with a signature serving_default that has one input ([batch] strings: "
    "texts or encoded images; or [batch, height, width, 3] float32 images in 0..1) and one "
    "output of shape [batch, dim], or several of which one is named 'default'."
)


class SavedModel(Encoder):
    """Strings -> [batch, dim] float32, by the signature serving_default of `saved_model:PATH`.

    If the signature takes strings, it gets the inputs unchanged. If it takes [batch, height, width, 3]
    floats, it gets decoded images in 0..1, as is usual on TensorFlow Hub.
    """

    takes_argument = True

    def __init__(self, spec: str) -> None:
        super().__init__(spec)
        folder = self._folder()
        # Referenced here, because the signature alone does not keep the variables alive.
        self._loaded = _load(folder)
        self._signature = self._loaded.signatures["serving_default"]
        self._input, self._size = _input(self._signature, spec)
        self._output, self._dim = _output(self._signature, spec)
        self._sha256 = _folder_sha256(folder)

    def _folder(self) -> pathlib.Path:
        return pathlib.Path(self.argument)

    @property
    def feature_spec(self) -> FeatureSpec:
        return FeatureSpec((self._dim,))

    def _identity(self) -> tuple[str, ...]:
        return (self._sha256, image_files.VERSION, "saved_model 1")

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        if self._size is None:
            return self._run(inputs)
        return self._run(image_files.decode(inputs, self._size) / 255.0)

    def encode_rows(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """As `Encoder.encode_rows`."""
        if self._size is None:
            return super().encode_rows(inputs)
        pixels, reasons = image_files.decode_each(inputs, self._size)
        return self._run(pixels / 255.0), reasons

    def _run(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._signature(**{self._input: inputs})[self._output], tf.float32)


class HubModel(SavedModel):
    """A `SavedModel` from TensorFlow Hub: `tf_hub:HANDLE`, downloaded once, or `tf_hub:PATH`."""

    def _folder(self) -> pathlib.Path:
        if pathlib.Path(self.argument).is_dir():
            return pathlib.Path(self.argument)
        try:
            import tensorflow_hub
        except ImportError as error:
            raise UserError(
                "tf_hub needs the package tensorflow-hub. Run: pip install 'huse_tf[hub]'. "
                f"Received: {error}."
            ) from error
        try:
            return pathlib.Path(tensorflow_hub.resolve(self.argument))
        # Downloads raise exceptions of urllib, tarfile and TensorFlow's file systems.
        except Exception as error:
            raise UserError(
                f"Cannot fetch {self.argument!r} from TensorFlow Hub. Expected a handle "
                "(https://tfhub.dev/... or https://www.kaggle.com/models/...), which needs a "
                f"network the first time, or a folder. Received: {type(error).__name__}: {error}"
            ) from error


def _load(folder: pathlib.Path) -> tf.Module:
    if not (folder / "saved_model.pb").is_file():
        raise UserError(f"{CONTRACT} Received: {str(folder)!r}, which holds no saved_model.pb.")
    loaded = tf.saved_model.load(str(folder))
    if "serving_default" not in loaded.signatures:
        names = ", ".join(loaded.signatures) or "none"
        raise UserError(f"{CONTRACT} Received: {str(folder)!r} with the signatures: {names}.")
    return loaded


def _input(
    signature: tf.types.experimental.ConcreteFunction, spec: str
) -> tuple[str, tuple[int, int] | None]:
    """Name of the input; (height, width) if it takes decoded images."""
    inputs = signature.structured_input_signature[1]
    if len(inputs) == 1:
        [(name, tensor)] = inputs.items()
        shape = tensor.shape
        if tensor.dtype == tf.string and shape.rank == 1:
            return name, None
        if tensor.dtype == tf.float32 and shape.rank == 4 and shape[3] == 3:
            return name, (shape[1] or DEFAULT_SIZE, shape[2] or DEFAULT_SIZE)
    raise UserError(f"{CONTRACT} Received: {spec!r} with the inputs {inputs}.")


def _output(signature: tf.types.experimental.ConcreteFunction, spec: str) -> tuple[str, int]:
    """Name and size of the features."""
    outputs = signature.structured_outputs
    name = next(iter(outputs)) if len(outputs) == 1 else "default"
    if name not in outputs or outputs[name].shape.rank != 2 or outputs[name].shape[1] is None:
        raise UserError(f"{CONTRACT} Received: {spec!r} with the outputs {outputs}.")
    return name, outputs[name].shape[1]


def _folder_sha256(folder: pathlib.Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256(*(part for f in files for part in (str(f.relative_to(folder)), sha256_file(f))))
