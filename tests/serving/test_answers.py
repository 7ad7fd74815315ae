import numpy as np
import pytest

from huse_tf.serving.compare import compare_answers
from huse_tf.serving.exchange import (
    Answer,
    Question,
    read_answers,
    read_questions,
    write_answers,
    write_questions,
)

ASKED = Question("classify", "two rows", {}, {}, {})


def answer(scores, classes=None):
    outputs = {"scores": np.array(scores, np.float32)}
    if classes is not None:
        outputs["classes"] = np.array([[name.encode() for name in row] for row in classes], object)
    return Answer(outputs)


@pytest.mark.parametrize(
    ("found", "expected", "difference", "problem"),
    [
        (answer([[1, 2]]), answer([[1, 2]]), 0, ""),
        (answer([[0.5]]), answer([[0.5000005]]), 5e-7, ""),
        (answer([[0.5]]), answer([[0.501]]), 1e-3, "scores differs by 1.0e-03"),
        (answer([[np.nan]]), answer([[np.nan]]), 0, ""),
        (answer([[np.nan]]), answer([[1]]), np.nan, "scores differs by nan"),
        (answer([[1, 2]]), answer([[1], [2]]), 0, "scores is float32 (1, 2), not float32 (2, 1)"),
        (answer([[2, 1]], [["a", "b"]]), answer([[2, 1]], [["a", "b"]]), 0, ""),
        (answer([[2, 1]], [["b", "a"]]), answer([[2, 1]], [["a", "b"]]), 0, "classes differ"),
        # Classes of equal scores may swap; the last one may be a class that the other answer left out.
        (answer([[1, 1]], [["b", "a"]]), answer([[1, 1]], [["a", "b"]]), 0, ""),
        (answer([[2, 1]], [["a", "c"]]), answer([[2, 1]], [["a", "b"]]), 0, ""),
        (answer([[2, 1]], [["c", "a"]]), answer([[2, 1]], [["a", "b"]]), 0, "classes differ"),
        (answer([[1, 1]], [["a", "a"]]), answer([[1, 1]], [["a", "b"]]), 0, "classes differ"),
        (answer([[0, 0]], [["", ""]]), answer([[0, 0]], [["", ""]]), 0, ""),  # of a row that failed
        (
            Answer({}, 9, "not found"),
            answer([[1]]),
            0,
            "error 9 (not found), where Python has an an",
        ),
        (Answer({}, 3, "this"), Answer({}, 3, "that"), 0, "refused, in Python too: this"),
    ],
)
def test_differences_between_answers_are_found_and_described(found, expected, difference, problem):
    got, words = compare_answers(ASKED, found, expected)
    assert got == pytest.approx(difference, nan_ok=True, rel=0.2)
    assert words.startswith(problem) if problem else not words


def test_scores_of_levels_and_of_acceptance_follow_their_classes():
    """Classes of equal scores may swap, and their levels with them."""

    def leveled(classes, levels, accepted=True):
        found = answer([[1, 1]], [classes])
        more = {"level_scores": np.array([levels], np.float32), "accepted": np.array([accepted])}
        return Answer(found.outputs | more)

    ours, swapped = leveled("ab", [[1, 0.5], [1, 0.2]]), leveled("ba", [[1, 0.2], [1, 0.5]])
    assert compare_answers(ASKED, swapped, ours) == (0, "")
    assert compare_answers(
        ASKED, leveled("bc", [[1, 0.2], [9, 9]]), leveled("ba", [[1, 0.2], [1, 0]])
    ) == (0, "")
    assert (
        "level_scores differs"
        in compare_answers(ASKED, leveled("ab", [[1, 0.2], [1, 0.5]]), ours)[1]
    )
    refused = leveled("ab", [[1, 0.5], [1, 0.2]], accepted=False)
    assert compare_answers(ASKED, refused, ours)[1] == "accepted differs by 1.0e+00"


def test_the_tolerance_is_also_that_of_classes_that_swap():
    found, expected = answer([[0.502, 0.5]], [["b", "a"]]), answer([[0.501, 0.5]], [["a", "b"]])
    assert compare_answers(ASKED, found, expected, 2e-3)[1] == ""
    assert compare_answers(ASKED, found, expected, 5e-4)[1] == "scores differs by 1.0e-03"


def test_both_loaders_must_refuse_with_the_same_code():
    question = ASKED._replace(refusable=True)
    assert compare_answers(question, Answer({}, 3, "x"), Answer({}, 3, "y")) == (0.0, "")
    assert (
        "where Python has error 3"
        in compare_answers(question, Answer({}, 9, "x"), Answer({}, 3, ""))[1]
    )
    assert (
        "where Python has error 3" in compare_answers(question, answer([[1]]), Answer({}, 3, ""))[1]
    )


def test_questions_and_answers_survive_the_files(tmp_path):
    """Bytes that end with zeros, empty arrays, NaN, and exact floats."""
    arrays = {
        "bytes": np.array([b"\x00a\x00", b""], object),
        "none": np.zeros((0, 3), np.float32),
        "floats": np.array([[0.1, np.nan, 1e-38]], np.float32),
        "ids": np.array([[1, 2]], np.int32),
    }
    write_questions(tmp_path / "q", [ASKED._replace(inputs={"bytes": arrays["bytes"]})])
    write_answers(tmp_path / "a", [Answer(arrays), Answer({}, 3, "größe")])
    assert read_questions(tmp_path / "q")[0].inputs["bytes"].tolist() == [b"\x00a\x00", b""]
    found, refused = read_answers(tmp_path / "a")
    assert refused == Answer({}, 3, "größe")
    for name, array in arrays.items():
        assert found.outputs[name].dtype == array.dtype
        np.testing.assert_array_equal(found.outputs[name], array)
