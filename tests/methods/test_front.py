"""What stands before the towers, by method: each has its own paper's front, or says that it is ours."""

import pytest

from huse_tf.methods import METHODS
from huse_tf.settings import leaves

OURS = (0.3, 0.5)  # of HUSE on small catalogues
PLAIN = (0.0, 1.0)
FRONTS = {
    **dict.fromkeys(("huse", "huse_p", "modality_weights"), OURS),
    "huse_plus": (0.2, 0.5),
    # The HUSE paper compares these on HUSE's own towers.
    **dict.fromkeys(("separate", "triplet", "cme", "adamine", "devise_star", "hie"), OURS),
    **dict.fromkeys(("vse_pp", "clip", "siglip"), OURS),
    **dict.fromkeys(("huse_paper", "deep_cca", "devise", "dscmr", "late_fusion"), PLAIN),
}
OF_OTHERS = sorted(set(FRONTS) - {"huse", "huse_paper", "huse_plus", "huse_p", "modality_weights"})


def test_the_front_of_each_method():
    found = {
        name: (leaves(method)["input_dropout"].default, leaves(method)["image_power"].default)
        for name, method in METHODS.items()
        if {"input_dropout", "image_power"} <= set(leaves(method))
    }
    assert found == FRONTS


@pytest.mark.parametrize("name", OF_OTHERS)
def test_who_borrows_our_front_says_so(name):
    says = "front are ours" in METHODS[name].__doc__ or "front is ours" in METHODS[name].__doc__
    assert says == (FRONTS[name] == OURS)


@pytest.mark.parametrize("name", ["deep_cca", "dscmr"])
def test_towers_of_other_papers_drop_nothing(name):
    assert leaves(METHODS[name])["dropout"].default == 0
