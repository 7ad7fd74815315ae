"""Two loaders for tests beside those of the library, and the comparison of answers."""

import pathlib

from huse_tf.serving.compare import compare_answers

LOADERS = str(pathlib.Path(__file__).parent)  # for PYTHONPATH
SESSION_LOADER = "session_loader"
CLI_LOADER = "cli_loader"


def differences_by_signature(asked, found, expected):
    """Signature -> largest difference between numbers. Fails if two answers differ."""
    differences = {}
    for question, *answers in zip(asked, found, expected, strict=True):
        difference, problem = compare_answers(question, *answers)
        assert not problem, f"{question.signature}, {question.about}: {problem}"
        name = question.signature
        differences[name] = max(differences.get(name, 0), difference)
    return differences
