"""What is refused before any model is loaded, and what limits and batches do without a server."""

import dataclasses
import pathlib
import subprocess
import sys
import threading

import pytest
from test_settings import attributes_read

from huse_tf.errors import UserError
from huse_tf.server.server_settings import (
    TOKEN_VARIABLE,
    Access,
    ServerSettings,
    check_server,
    read_access,
)

PACKAGE = pathlib.Path(__file__).parents[2] / "huse_tf"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop" / "1").mkdir(parents=True)
    return tmp_path / "shop"


def check(folder, monkeypatch, token=None, **changes):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    if token:
        monkeypatch.setenv(TOKEN_VARIABLE, token)
    return check_server(ServerSettings.of(model=str(folder), **changes))


TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_neither_tls_nor_token(folder, monkeypatch, host):
    assert check(folder, monkeypatch, host=host).allows(None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "shop.example"])
def test_other_machines_need_both(folder, monkeypatch, host, certificate):
    with pytest.raises(UserError, match=r"Missing: TLS .* and a token"):
        check(folder, monkeypatch, host=host)
    with pytest.raises(UserError, match=r"Missing: a token"):
        check(folder, monkeypatch, host=host, **certificate)
    with pytest.raises(UserError, match=r"Missing: TLS"):
        check(folder, monkeypatch, TOKEN, host=host)
    assert not check(folder, monkeypatch, TOKEN, host=host, **certificate).allows(None)
    assert check(folder, monkeypatch, host=host, insecure=True).allows(None)


def test_settings_without_effect_are_refused(folder, monkeypatch, certificate):
    for changes, token in (
        ({"insecure": True}, None),
        ({"insecure": True, "host": "0.0.0.0", **certificate}, TOKEN),
        ({"max_batch_size": 1, "batch_timeout_micros": 5}, None),
        ({"max_image_mib": 8.0, "max_body_mib": 4.0}, None),
    ):
        with pytest.raises(UserError, match="no effect"):
            check(folder, monkeypatch, token, **changes)


def test_wrong_settings_are_told(folder, monkeypatch, tmp_path, certificate):
    (tmp_path / "empty").mkdir()
    (tmp_path / "short").write_text("abc")
    (folder / "1" / "saved_model.pb").write_bytes(b"")
    text = tmp_path / "short"
    for changes, words in (
        ({"model": ""}, "No model to serve"),
        ({"model": str(tmp_path / "nothing")}, "No model to serve"),
        ({"model": str(tmp_path / "empty")}, "holds no version"),
        ({"model": str(folder / "1")}, rf"--model={folder}"),
        ({"model_name": "a/b"}, "without / and :"),
        ({"port": 8501}, "a port each"),
        ({"tls_cert": "x"}, "only one of them"),
        ({"tls_cert": str(text), "tls_key": str(text)}, "cannot be used"),
        ({"tls_cert": certificate["tls_cert"], "tls_key": str(tmp_path / "no")}, "cannot be used"),
        ({"token_file": str(tmp_path / "no")}, "cannot be read"),
        ({"token_file": str(text)}, "at least 16"),
        ({"version_labels": ("stable",)}, "LABEL:VERSION"),
        ({"version_labels": ("a:1", "a:2")}, "LABEL:VERSION"),
        ({"port": 70000}, "at most 65535"),
        ({"max_rows": 0}, "at least 1"),
    ):
        with pytest.raises(UserError, match=words):
            check(changes.pop("model", folder), monkeypatch, **changes)


def test_the_token_of_the_file_wins(tmp_path):
    file = tmp_path / "token"
    file.write_text("fedcba9876543210\n", encoding="utf-8")
    both = read_access(ServerSettings(token_file=str(file)), {TOKEN_VARIABLE: TOKEN})
    assert both.allows("bearer fedcba9876543210") and not both.allows(f"Bearer {TOKEN}")
    assert read_access(ServerSettings(), {TOKEN_VARIABLE: TOKEN}).allows(f"Bearer {TOKEN}")
    for wrong in (None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", "Bearer \ud800", TOKEN):
        assert not Access(TOKEN).allows(wrong)


def test_every_setting_is_read():
    read = set().union(*(attributes_read(path) for path in (PACKAGE / "server").glob("*.py")))
    assert {field.name for field in dataclasses.fields(ServerSettings)} - read == set()


def test_wrong_settings_need_no_tensorflow(folder):
    script = (
        "import runpy, sys; sys.argv = ['x', '--model=nothing']\n"
        "try: runpy.run_module('huse_tf.serve', run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "sys.exit(9 if 'tensorflow' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "No model to serve" in done.stderr, done.stderr


def test_a_gate_refuses_what_has_no_place():
    from huse_tf.server.gate import Deadline, Gate
    from huse_tf.server.refusals import Refused

    gate, go = Gate(2), threading.Event()
    with gate.place() as first:
        work = first.run(go.wait)
    with gate.place():  # a body is read, no work has begun
        assert gate.taken == 2
        with pytest.raises(Refused, match="2 requests already") as refused, gate.place():
            pass
        assert refused.value.status == 429 and refused.value.retry_after == 1
    assert gate.taken == 1  # nobody waits for the work any more, but it goes on
    assert not gate.close(seconds=0.01)
    with pytest.raises(Refused, match="The server ends"), gate.place():
        pass
    go.set()
    work.result(60)
    assert gate.close(seconds=60)
    with pytest.raises(Refused, match="longer than 0 seconds") as refused:
        Deadline(0).check()
    assert refused.value.status == 504
