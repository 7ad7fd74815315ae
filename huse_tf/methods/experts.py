"""The part of a method that pools its towers' class scores with regressions on the features."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from huse_tf import keys, models
from huse_tf.errors import UserError
from huse_tf.lazy import keras
from huse_tf.settings import Settings, setting
from huse_tf.spec import DataSpec

_BOTH = "both"
_GRID = (1.0, 10.0, 100.0, 1000.0)  # coarse: the pool weighs what the penalty does not settle


def c_setting(column: str) -> Any:
    """A field for the penalty of a regression on one column of features."""
    return setting(
        0.0,
        f"Inverse strength of the penalty (scikit-learn's C) of the regression on {column}; 0: the value "
        "that is best on the validation items.",
        minimum=0,
    )


def _pool_setting(scores: str, experts: str) -> Any:
    return setting(
        (),
        f"Weights of the experts in the class scores of {scores}: {experts}. Empty: those under which the "
        "validation items are most likely.",
        minimum=0,
    )


@dataclasses.dataclass(frozen=True)
class LinearExperts(Settings):
    """Logistic regressions beside the towers, solved for when these are trained (`models.pooled_logits`)."""

    linear_experts: bool = setting(
        True,
        "Pool the towers' class scores with logistic regressions on frozen features, weighted on the validation "
        "items. Without effect where an encoder is trained along.",
    )
    image_c: float = c_setting("the image")
    text_c: float = c_setting("the text")
    both_c: float = c_setting("both")
    image_pool: tuple[float, ...] = _pool_setting("the image", "tower, regression")
    text_pool: tuple[float, ...] = _pool_setting("the text", "tower, regression")
    both_pool: tuple[float, ...] = _pool_setting(
        "both",
        "tower and regression of the image, tower and regression of the text, regression on both",
    )

    def join(self, spec: DataSpec) -> bool:
        """Whether the model has them.

        Raises:
            UserError: a pool has another number of weights than it has experts.
        """
        for column, given in self._pools.items():
            count = len(models.POOLS[column])
            if given and len(given) != count:
                raise UserError(
                    f"--{column}_pool needs a weight for each expert. Expected {count} numbers, or none. "
                    f"Received: {','.join(map(str, given))}."
                )
        return self.linear_experts and models.takes_experts(spec)

    def settle(
        self,
        model: keras.Model,
        image_power: float,
        train: Mapping[str, Any],
        validation: Mapping[str, Any],
    ) -> LinearExperts:
        """With the penalties and weights that are best on the validation items; the model gets them.

        Args:
            model: trained.
            image_power: signed power of the image features.
            train, validation: items by key, with masks, weights and labels.
        """
        classes = model.output[keys.IMAGE_LOGITS].shape[-1]
        validation = _of_known_classes(train, validation)
        c = {
            column: value or models.choose_c(train, validation, column, classes, image_power, _GRID)
            for column, value in self._c.items()
        }
        models.set_feature_probes(model, train, c, image_power)
        found = models.choose_pools(model, validation)
        pools = {column: tuple(given) or found[column] for column, given in self._pools.items()}
        models.set_pools(model, pools)
        return dataclasses.replace(
            self,
            image_c=c[keys.IMAGE],
            text_c=c[keys.TEXT],
            both_c=c[_BOTH],
            image_pool=pools[keys.IMAGE],
            text_pool=pools[keys.TEXT],
            both_pool=pools[_BOTH],
        )

    def refit(self, model: keras.Model, image_power: float, train: Mapping[str, Any]) -> None:
        """Solves for the regressions anew and sets the weights, once both are settled."""
        if all(self._pools.values()):
            models.set_feature_probes(model, train, self._c, image_power)
            models.set_pools(model, self._pools)

    @property
    def _c(self) -> dict[str, float]:
        return {keys.IMAGE: self.image_c, keys.TEXT: self.text_c, _BOTH: self.both_c}

    @property
    def _pools(self) -> dict[str, tuple[float, ...]]:
        return {keys.IMAGE: self.image_pool, keys.TEXT: self.text_pool, _BOTH: self.both_pool}


def _of_known_classes(train: Mapping[str, Any], validation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The validation items whose class has training items: no regression can find the others."""
    if keys.LABEL not in validation:
        return validation
    known = np.isin(validation[keys.LABEL], train[keys.LABEL])
    return {key: values[known] for key, values in validation.items()}
