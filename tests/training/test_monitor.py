import pytest

from huse_tf.errors import UserError
from huse_tf.training.monitor import monitored, present

ACCURACIES = tuple(f"classification/{name}/accuracy" for name in ("fused", "image", "text"))
CROSSING = ("image_to_text/class/mean_average_precision", "text_to_image/class/recall_at_1")


def test_several_metrics_are_averaged():
    """(0.2 + 0.8) / 2 by hand."""
    metrics = {"image": 0.2, "text": 0.8, "fused": 1.0}
    assert monitored(metrics, ("image", "text")) == pytest.approx(0.5)


def test_metrics_of_a_missing_modality_become_those_of_the_other_one():
    both = dict.fromkeys(ACCURACIES, 0.5)
    images = {"classification/fused/accuracy": 0.4, "classification/image/accuracy": 0.8}
    texts = {"classification/fused/accuracy": 0.4, "classification/text/accuracy": 0.8}
    assert present(ACCURACIES, both) == ACCURACIES
    assert present(ACCURACIES, images) == ACCURACIES[:2]
    assert present(CROSSING, texts) == (
        "text_to_text/class/mean_average_precision",
        "text_to_text/class/recall_at_1",
    )
    assert monitored(images, ACCURACIES) == pytest.approx(0.6), "each counts once"
    pairs = {"pairs/accuracy": 0.5}
    assert present(("pairs/accuracy", "image_to_text"), pairs) == (
        "pairs/accuracy",
        "image_to_text",
    )


def test_an_unknown_metric_is_refused_even_if_a_modality_is_missing():
    with pytest.raises(UserError, match=r"classification/fused/acuracy.*'classification/fused/acc"):
        monitored({"classification/fused/accuracy": 0.4}, ("classification/fused/acuracy",))
    with pytest.raises(UserError, match="acuracy"):
        monitored({"classification/image/accuracy": 0.4}, ("classification/text/acuracy",))
