import pytest
from absl import app

from huse_tf import command_line
from huse_tf.errors import UserError


@pytest.fixture
def outcome(monkeypatch, capsys):
    """What running a command ends with: exit status and what it wrote to stderr."""

    def run(error):
        def command(values):
            raise error

        monkeypatch.setattr(command_line.config_flags, "define_flags", lambda *a, **k: None)
        monkeypatch.setattr(command_line, "quiet_logs", lambda: None)
        monkeypatch.setattr(app, "run", lambda main: main(["program"]))
        with pytest.raises(SystemExit) as stop:
            command_line.run(command)
        return stop.value.code, capsys.readouterr().err

    return run


def test_what_the_user_can_mend_is_a_sentence(outcome):
    status, text = outcome(UserError("Wrong. Received: 3."))
    assert status == 2
    assert text == "UserError: Wrong. Received: 3.\n"


def test_an_interrupt_is_a_sentence_too(outcome):
    status, text = outcome(KeyboardInterrupt())
    assert status == 130
    assert "goes on" in text
