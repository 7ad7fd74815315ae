"""Every loader that an exported model is tried in, in fresh processes, against Python's."""

import itertools
import pathlib

from huse_tf.serving.check import C_LOADER, PYTHON_LOADER, ask
from huse_tf.serving.compare import compare
from huse_tf.serving.questions import questions
from huse_tf.serving.restored import read_graph

SESSION_LOADER = "session_loader"
CLI_LOADER = "cli_loader"


def answers_of_all(folder, monkeypatch, cli_signatures=None):
    """(questions, {loader: answers}). The command-line loader gets the whole rows only, each anew.

    Args:
        cli_signatures: which it is asked; None for all.
    """
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parent))
    asked = questions(read_graph(folder))
    answers = {
        loader: ask(loader, folder, asked) for loader in (C_LOADER, PYTHON_LOADER, SESSION_LOADER)
    }
    whole = [each.about == "two rows" for each in asked]
    if cli_signatures:
        pairs = zip(whole, asked, strict=True)
        whole = [is_whole and each.signature in cli_signatures for is_whole, each in pairs]
    found = iter(ask(CLI_LOADER, folder, list(itertools.compress(asked, whole))))
    answers[CLI_LOADER] = [next(found) if is_whole else None for is_whole in whole]
    return asked, answers


def assert_all_answer_alike(kind, asked, answers):
    """Prints a line for each signature, with the largest difference of each loader's numbers."""
    differences = {}
    for loader in (C_LOADER, SESSION_LOADER, CLI_LOADER):
        for question, found, expected in zip(
            asked, answers[loader], answers[PYTHON_LOADER], strict=True
        ):
            if found is not None:
                difference, problem = compare(question, found, expected)
                assert not problem, f"{loader}, {question.signature}, {question.about}: {problem}"
                row = differences.setdefault(question.signature, {})
                row[loader] = max(row.get(loader, 0), difference)
    for name, row in differences.items():
        figures = ", ".join(f"{key.rpartition('.')[2]} {value:.1e}" for key, value in row.items())
        print(f"{kind:28} {name:16} {figures}")
    return differences
