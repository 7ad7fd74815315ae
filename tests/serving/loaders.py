"""Loaders beside the library's own that exported models are tried in, and how answers are compared."""

import pathlib

from huse_tf.serving.compare import compare_answers

LOADERS = str(pathlib.Path(__file__).parent)  # where the modules below are found, for PYTHONPATH
SESSION_LOADER = "session_loader"
CLI_LOADER = "cli_loader"


def differences_by_signature(asked, found, expected):
    """The largest difference of a number of each signature; every answer must be the same."""
    differences = {}
    for question, *answers in zip(asked, found, expected, strict=True):
        difference, problem = compare_answers(question, *answers)
        assert not problem, f"{question.signature}, {question.about}: {problem}"
        name = question.signature
        differences[name] = max(differences.get(name, 0), difference)
    return differences
