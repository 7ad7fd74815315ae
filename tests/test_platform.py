"""The way from export to call (docs/guides/platform.md), run as it stands but for Docker."""

import contextlib
import re
import subprocess
import sys

import pytest
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from test_readme import CLIENT, DOCS, NOT_RUN, blocks, commands, run, run_block, small_repository


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return small_repository(tmp_path_factory.mktemp("platform"))


@pytest.mark.slow
def test_the_platform_story(home):
    """docs/guides/platform.md as it stands but for Docker, and the client in the guide to serving."""
    page = DOCS / "guides/platform.md"
    *before, serve = [words for words in commands(page) if words[0] not in NOT_RUN]
    for words in before:
        run(words, home)
    (config,) = blocks(page, "proto")
    [model] = text_format.Parse(config, ModelServerConfig()).model_config_list.config
    for version in model.model_version_policy.specific.versions:
        assert (home / "saved_models" / model.name / str(version) / "saved_model.pb").is_file()
    labels = ",".join(f"{label}:{model.version_labels[label]}" for label in ("stable", "canary"))
    assert serve[2:] == [
        "huse_tf.serve",
        f"--model=saved_models/{model.name}",
        f"--version_labels={labels}",
    ]
    asked = [
        block
        for name in ("platform", "serving")
        for block in blocks(DOCS / f"guides/{name}.md", "python")
    ]
    asked = [block for block in asked if CLIENT in block]
    assert len(asked) == 2
    with served(serve, home) as (port, rest_port):
        story, guide = (
            run_block(block.replace("8500", port).replace("8501", rest_port), number, home)
            for number, block in enumerate(asked)
        )
    for label in ("stable", "canary"):
        lines = [line for line in story.splitlines() if line.startswith(label)]
        assert [line.split()[1] for line in lines] == ["chair", "lantern", "nothing"] * 2
        assert (
            "ScoredClass(path=('" in lines[3]
            and "nothing: " in lines[2]
            and "nothing: " in lines[5]
        )
    assert len(guide.splitlines()) == 2 and "'lamp': 0." in guide


@contextlib.contextmanager
def served(words, folder):
    """The ports of gRPC and REST, as the command tells them, while it serves."""
    command = [sys.executable, *words[1:], "--port=0", "--rest_port=0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = ""
            while "Ready" not in told and (line := process.stdout.readline()):
                told += line
            assert "Ready" in told
            yield re.findall(r"(?:gRPC|REST) .*?:(\d+)", told)
        finally:
            process.terminate()
