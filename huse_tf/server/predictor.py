"""What gRPC and REST share: from a request for a version and a signature to its arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import grpc

from huse_tf.server.gate import Deadline
from huse_tf.server.limits import Arrays, Limits, Tensor
from huse_tf.server.metrics import Watched
from huse_tf.server.models import Models
from huse_tf.server.refusals import Refused, invalid
from huse_tf.server.version import Version
from huse_tf.server.warm_up import DEFAULT_SIGNATURE


@dataclasses.dataclass(frozen=True)
class Target:
    """What a request asks for.

    Attributes:
        name: of the model.
        signature: of the model; "" is the default one.
        number: of the version; None: the current one.
        label: in place of a number.
    """

    name: str
    signature: str = ""
    number: int | None = None
    label: str | None = None


class Predictor:
    """Answers requests from the versions of a model, within the limits."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models, self.limits = models, limits

    def predict(
        self,
        target: Target,
        read: Callable[[Mapping[str, Tensor]], Arrays],
        watched: Watched,
        deadline: Deadline,
        wanted: Sequence[str] = (),
    ) -> tuple[int, str, Arrays]:
        """Answers one request.

        Args:
            target: what is asked.
            read: makes the arrays from the request, given the inputs of the signature.
            watched: takes the signature and the number of rows.
            deadline: of the caller.
            wanted: outputs; all of them if empty.

        Returns:
            The version's number, the signature's name, and the outputs.

        Raises:
            Refused: the request cannot be answered.
        """
        deadline.check()
        with self.models.version(target.name, target.number, target.label) as version:
            signature = target.signature or DEFAULT_SIGNATURE
            given, told = _tensors(version, signature)
            watched.signature = signature
            unknown = [name for name in wanted if name not in told]
            if unknown:
                raise invalid(
                    f"The signature {signature!r} has no output {unknown[0][:100]!r}. Expected some of: "
                    f"{', '.join(sorted(told))}."
                )
            inputs = read(given)
            self.limits.check_values(inputs, given)
            first = next(iter(inputs.values()), None)
            watched.rows = len(first) if first is not None and first.ndim else 1
            deadline.check()
            outputs = version.ask(signature, inputs)
        return version.number, signature, {n: outputs[n] for n in (sorted(set(wanted)) or outputs)}


def _tensors(version: Version, signature: str) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    if signature not in version.tensors:
        raise UnknownSignature(signature, version.tensors)
    return version.tensors[signature]


class UnknownSignature(Refused):
    """The model has no such signature. TF Serving's gRPC and REST have different codes for it."""

    def __init__(self, signature: str, known: Mapping[str, object]) -> None:
        super().__init__(
            grpc.StatusCode.FAILED_PRECONDITION,
            f'Serving signature name: "{signature[:100]}" not found in signature def. Signatures: '
            f"{', '.join(sorted(known))}.",
            status=400,
        )
