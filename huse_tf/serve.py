"""Serves an exported model by TF Serving's gRPC and REST interfaces, on a laptop or for tests.

python -m huse_tf.serve --model=saved_models/home_goods

Needs `pip install huse_tf[serve]`. Imports inside `main` keep --help and the errors for wrong flags quick.
"""

from __future__ import annotations

import signal
import threading

from absl import flags

from huse_tf.cli import command_line, config_flags
from huse_tf.cli.quiet import import_tensorflow
from huse_tf.errors import UserError
from huse_tf.server.server_settings import ServerSettings, check_server

config_flags.define_settings(ServerSettings)


def main(values: flags.FlagValues) -> None:
    """Runs the command with parsed flags."""
    settings = config_flags.with_flags(ServerSettings(), values)
    access = check_server(settings)
    import_tensorflow()
    try:
        from huse_tf.server.running import running
    except ImportError as error:
        raise UserError(
            f"A package of the server is missing: {error.name}. Expected the extra `serve`. Install it with "
            "`pip install huse_tf[serve]`."
        ) from error

    with running(settings, access) as server:
        scheme = "https" if settings.tls_cert else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(
            f"gRPC   {host}:{server.port}\n"
            f"REST   {scheme}://{host}:{server.rest_port}/v1/models/{settings.name}\n"
            f"Ready  version {server.models.current}. SIGTERM or Ctrl-C ends after the running requests.",
            flush=True,
        )
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()
        print("Ending after the running requests.", flush=True)


if __name__ == "__main__":
    command_line.run(main)
