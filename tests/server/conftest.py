import contextlib
import subprocess

import pytest
import toy_exports
from asking import NAME, Stubs, settings

from huse_tf.server.running import Running
from huse_tf.server.server_settings import check_server


@pytest.fixture
def listen():
    """Starts servers, loaded or not, and stops them after the test."""
    with contextlib.ExitStack() as stack:

        def start(folder, load=True, **changes):
            given = settings(folder, **changes)
            server = Running(given, check_server(given))
            stack.callback(server.stop)
            if load:
                server.load()
            return server

        yield start


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / NAME
    toy_exports.write(folder / "1")
    return folder


@pytest.fixture(scope="module")
def server(export):
    given = settings(export)
    running = Running(given, check_server(given))
    running.load()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def stubs(server):
    found = Stubs(server.port)
    yield found
    found.close()


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost, and its key."""
    return make_certificate(tmp_path)


def make_certificate(folder):
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ),
            *("-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return {"tls_cert": str(cert), "tls_key": str(key)}
