"""Kills the server (-9) and starts it again under load, and counts what its clients see.

python benchmarks/serving_kill.py --model=saved_models/home_goods --kills=5

Clients ask by gRPC and REST without a pause. Each answer is compared with the one that the model gave before. The
script ends with status 1 if an answer is wrong, if an error is none after which a request may be sent again, or if
the clients get no answer after the last start.
"""

from __future__ import annotations

import pathlib
import sys
import threading
import time
from typing import Any

import serving_clients as serving
import serving_load
from absl import app, flags

from huse_tf.server.engine import Engine
from huse_tf.server.server_settings import ServerSettings

_KILLS = flags.DEFINE_integer("kills", 3, "How often the server is killed.")
_CALM = flags.DEFINE_float("calm", 3.0, "Seconds of load before each kill.")
_COUNT = 8


def main(_: list[str]) -> None:
    model = pathlib.Path(flags.FLAGS.model)
    settings = ServerSettings.of(model=str(model))
    engine = Engine(serving.newest(model), settings)
    known = [name for name in flags.FLAGS.signatures if name in engine.tensors]
    asked = [
        each for name in known for each in serving_load.ask_alone(engine, settings.name, name, 32)
    ]
    engine.close()
    ports, stop, results = serving.free_ports(), threading.Event(), []
    clients: list[Any] = []
    threads: list[threading.Thread] = []
    answered = 0
    for turn in range(_KILLS.value + 1):
        begin = time.perf_counter()
        with serving.serving(model, ports=ports) as server:
            if not clients:
                clients = [
                    kind(server)
                    for kind in (serving.GrpcClient, serving.RestClient)
                    for _ in range(_COUNT)
                ]
                for client in clients:
                    counted = serving.Counted()
                    results.append(counted)
                    threads.append(
                        threading.Thread(
                            target=lambda client=client, counted=counted: counted.add(
                                serving.load([client], asked, 1e9, stop, pause=0.05)
                            )
                        )
                    )
                    threads[-1].start()
            print(f"start {turn}: ready after {time.perf_counter() - begin:.1f} s", flush=True)
            time.sleep(_CALM.value)
            if turn < _KILLS.value:
                server.process.kill()
            else:
                late = [serving.GrpcClient(server), serving.RestClient(server)]
                answered = len(serving.load(late, asked, 1.0).seconds)
                stop.set()
                for thread in threads:
                    thread.join()
    total = serving.Counted()
    for each in results:
        total.add(each)
    print(
        f"{len(total.seconds)} answers, {total.wrong} wrong, errors {total.errors}, not to be retried "
        f"{total.fatal or 'none'}; {answered} answers after the last start"
    )
    sys.exit(0 if answered and not total.wrong and not total.fatal else 1)


if __name__ == "__main__":
    app.run(main)
