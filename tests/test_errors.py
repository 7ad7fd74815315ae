import pytest

from huse_tf.errors import UserError, unknown_name


def test_user_errors_are_value_errors():
    assert issubclass(UserError, ValueError)


def test_an_unknown_name_lists_the_known_ones_sorted_and_suggests_the_nearest():
    error = unknown_name("optimizer", "adm", ["sgd", "adam"])
    assert isinstance(error, UserError)
    assert str(error) == (
        "Unknown optimizer. Expected one of: adam, sgd. Received: 'adm'. Did you mean 'adam'?"
    )


def test_no_suggestion_without_a_near_name():
    error = unknown_name("optimizer", "zzz", {"sgd": 1, "adam": 2})
    assert str(error) == "Unknown optimizer. Expected one of: adam, sgd. Received: 'zzz'."


@pytest.mark.parametrize("received", ["", "'quoted'", "größe"])
def test_the_received_name_is_shown_unchanged(received):
    assert f"Received: {received!r}." in str(unknown_name("class", received, ["a"]))


def test_known_names_may_be_an_iterator():
    assert "Did you mean 'chairs'" in str(unknown_name("class", "chair", iter(["chairs"])))
