"""The page of a study: the verdict, the trials, plain numbers on all axes."""

import re

from huse_tf.evaluation.tuning_page import TrialRow, write_tuning_page


def trial(number, value, best=False, **settings):
    settings = {"learning_rate": 0.001 * number, "image_layers": (512,) * number, **settings}
    told = {name: str(each) for name, each in settings.items()}
    state = "failed" if value is None else "complete"
    note = "Loss became nan." if value is None else ""
    return TrialRow(number, state, settings, told, value, 2, 3, 60.0, note, best)


def page(folder, *trials):
    write_tuning_page(
        folder / "page.html",
        trials,
        method="huse",
        catalogue="shop",
        count=4,
        monitor=("a/metric",),
        split_seed=7,
        best_flags="--method=huse",
        changed=["--learning_rate=0.002"],
        command="",
        versions={},
        ratios=["learning_rate"],
    )
    return (folder / "page.html").read_text(encoding="utf-8")


def test_how_far_the_best_is_ahead(tmp_path):
    """.75 against .5; the failed third trial has no value and says why."""
    html = page(tmp_path, trial(1, 0.5), trial(2, 0.75, best=True), trial(3, None))
    assert "Trial 2 is ahead of the settings that were given by 0.2500." in html
    assert "3 of 4 trials (2 complete, 1 failed), 3.0 minutes" in html
    assert "Trial 3 failed. Loss became nan." in html
    assert html.count("<svg") == 1, "two values say nothing about settings"


def test_the_given_settings_may_be_the_best_or_fail(tmp_path):
    assert "No trial beat the settings" in page(tmp_path, trial(1, 0.5, best=True), trial(2, 0.4))
    failed = page(tmp_path, trial(1, None), trial(2, 0.4, best=True))
    assert "given could not be trained" in failed


def test_axes_of_ratios_have_plain_numbers(tmp_path):
    trials = [trial(n, n / 10, best=n == 12, learning_rate=10.0**-n) for n in range(1, 13)]
    html = page(tmp_path, *trials)
    figure = html.split("<svg")[2]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", figure)
    assert {"learning_rate", "1e-12", "3.2e-07", "0.1"} <= set(texts), "the ends and their middle"
    assert not any("$" in text for text in texts)
