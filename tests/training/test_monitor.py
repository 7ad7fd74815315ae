import pytest

from huse_tf.errors import UserError
from huse_tf.training.monitor import BALANCED, monitored, present, refuse_unknown

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
    texts |= {
        "text_to_text/class/mean_average_precision": 0.5,
        "text_to_text/class/recall_at_1": 0.5,
    }
    assert present(ACCURACIES, both) == ACCURACIES
    assert present(ACCURACIES, images) == ACCURACIES[:2]
    assert present(CROSSING, texts) == (
        "text_to_text/class/mean_average_precision",
        "text_to_text/class/recall_at_1",
    )
    assert monitored(images, ACCURACIES) == pytest.approx(0.6), "each counts once"
    pairs = {"pairs/accuracy": 0.5}
    assert present(("pairs/accuracy", "pairs/auc"), pairs) == ("pairs/accuracy",)


def test_an_unknown_metric_is_refused_even_if_a_modality_is_missing():
    with pytest.raises(UserError, match=r"classification/fused/acuracy.*'classification/fused/acc"):
        monitored({"classification/fused/accuracy": 0.4}, ("classification/fused/acuracy",))
    with pytest.raises(UserError, match="acuracy"):
        monitored({"classification/image/accuracy": 0.4}, ("classification/text/acuracy",))


def balanced_metrics(right):
    """Six metrics of mean .35, and others of 1."""
    names = [f"classification/{name}/{right}" for name in ("image", "text")]
    for metric in ("class/mean_average_precision", "item/recall_at_10"):
        names += [f"image_to_text/{metric}", f"text_to_image/{metric}"]
    values = dict(zip(names, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6), strict=True))
    return {**values, f"classification/fused/{right}": 1.0, "image_to_image/item/recall_at_10": 1.0}


@pytest.mark.parametrize("right", ["accuracy", "hit_at_1"])
def test_balanced_is_the_mean_over_classes_and_single_products(right):
    metrics = balanced_metrics(right)
    refuse_unknown((BALANCED,), metrics)
    assert monitored(metrics, (BALANCED,)) == pytest.approx(0.35)
    del metrics["text_to_image/item/recall_at_10"]
    with pytest.raises(UserError, match="text_to_image/item/recall_at_10"):
        refuse_unknown((BALANCED,), metrics)


def test_what_the_items_cannot_define_is_left_out():
    """Texts alone, one a product: there is no other text of the product to find."""
    texts = {
        "classification/text/accuracy": 0.25,
        "text_to_text/class/mean_average_precision": 0.75,
    }
    assert present((BALANCED,), texts) == tuple(texts)
    assert monitored(texts, (BALANCED,)) == pytest.approx(0.5)
