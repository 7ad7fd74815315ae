"""Measures the server against the model in process, where requests are joined in the same way.

python benchmarks/serving_load.py --model=saved_models/home_goods
python benchmarks/serving_load.py --model=saved_models/home_goods --minutes=10

The first prints, for each signature and number of clients, latencies and requests a second through gRPC and REST, and
their ratio to the calls in process. The three take turns, --rounds times, so that other load of the machine meets all
of them alike. Each request has one row, and each answer is compared with the one that the model gave in process
alone. The second keeps the server at saturation, half of the clients by gRPC and half by REST, with all signatures, and
prints its memory (Linux's RssAnon) every ten seconds. It ends with status 1 if an answer is wrong, a request fails, or
the memory of the last quarter is over that of the second by more than --growth.

Server, clients and calls in process share the cores. So the ratios include the clients' own work.
"""

from __future__ import annotations

import collections
import pathlib
import sys
import threading
import time
from typing import Any

import numpy as np
import serving_clients as serving
import tensorflow as tf
import tensorflow_text  # noqa: F401 (registers its ops)
from absl import app, flags

from huse_tf.server.engine import Engine
from huse_tf.server.server_settings import ServerSettings

_MODEL = flags.DEFINE_string(
    "model", "saved_models/home_goods", "Folder of the model, with versions."
)
_SIGNATURES = flags.DEFINE_list(
    "signatures",
    ["embed_text", "embed_image", "embed_product"],
    "Those that the model lacks are left out.",
)
_CLIENTS = flags.DEFINE_list("clients", ["1", "8", "64"], "Numbers of clients.")
_SECONDS = flags.DEFINE_float("seconds", 10, "Seconds of each measurement.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each measurement.")
_MINUTES = flags.DEFINE_float("minutes", 0, "Minutes at saturation; 0: measure the ratios.")
_GROWTH = flags.DEFINE_float("growth", 0.05, "Largest growth of memory that counts as flat.")
_QUESTIONS = 256
_KINDS = {"gRPC": serving.GrpcClient, "REST": serving.RestClient}


class InProcess:
    """A client that calls the engine of this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, asked: serving.Asked) -> dict[str, np.ndarray]:
        return self._engine(asked.signature, asked.inputs)


def ask_alone(engine: Engine, name: str, signature: str, count: int) -> list[serving.Asked]:
    """Requests with the answers that the engine gives to each of them alone."""
    inputs = list(engine.tensors[signature][0])
    found = serving.questions(name, signature, inputs, count)
    return [
        serving.Asked(signature, arrays, request, body, engine(signature, arrays))
        for arrays, request, body in found
    ]


def measure(server: serving.Server, engine: Engine, asked: list[serving.Asked]) -> bool:
    """Prints the rows of one signature; returns whether nothing went wrong."""
    good = True
    for count in map(int, _CLIENTS.value):
        totals = {kind: serving.Counted() for kind in ("in process", *_KINDS)}
        rates: dict[str, list[float]] = collections.defaultdict(list)
        for _ in range(_ROUNDS.value):
            for kind, total in totals.items():
                if kind == "in process":
                    found = serving.load([InProcess(engine)] * count, asked, _SECONDS.value)
                else:
                    with serving.open_clients(_KINDS[kind], server, count) as clients:
                        found = serving.load(clients, asked, _SECONDS.value)
                total.add(found)
                rates[kind].append(found.rate)
        base = float(np.median(rates["in process"]))
        for kind, total in totals.items():
            rate = float(np.median(rates[kind]))
            print(
                f"| `{asked[0].signature}` | {count} | {kind} | {total.percentile(50):.0f} | "
                f"{total.percentile(95):.0f} | {total.percentile(99):.0f} | {rate:.1f} | {rate / base:.2f} | "
                f"{sum(total.errors.values())} | {total.wrong} |",
                flush=True,
            )
            good &= not total.errors and not total.wrong
    return good


def saturate(server: serving.Server, asked: list[serving.Asked], minutes: float) -> bool:
    """Keeps the server busy and prints its memory; returns whether it stayed flat and nothing went wrong."""
    seen: list[float] = []
    stop, count = threading.Event(), max(map(int, _CLIENTS.value))
    halves = [serving.GrpcClient] * (count - count // 2) + [serving.RestClient] * (count // 2)
    clients: list[Any] = [kind(server) for kind in halves]
    result: list[serving.Counted] = []
    thread = threading.Thread(
        target=lambda: result.append(serving.load(clients, asked, minutes * 60, stop))
    )
    thread.start()
    begin = time.perf_counter()
    while thread.is_alive():
        thread.join(min(10.0, minutes * 60 / 16))
        seen.append(server.anonymous_mib())
        print(f"{time.perf_counter() - begin:6.0f} s  {seen[-1]:7.1f} MiB", flush=True)
    for client in clients:
        client.close()
    quarter = max(1, len(seen) // 4)
    before, after = (
        float(np.median(part)) for part in (seen[quarter : 2 * quarter], seen[-quarter:])
    )
    total = result[0]
    print(
        f"{len(total.seconds)} answers, {total.rate:.1f} a second, {total.wrong} wrong, errors {total.errors}; "
        f"memory {before:.0f} -> {after:.0f} MiB"
    )
    return not total.wrong and not total.errors and after <= before * (1 + _GROWTH.value)


def main(_: list[str]) -> None:
    model = pathlib.Path(_MODEL.value)
    settings = ServerSettings.of(model=str(model))
    engine = Engine(serving.newest(model), settings)
    known = [name for name in _SIGNATURES.value if name in engine.tensors]
    for name in sorted(set(_SIGNATURES.value) - set(known)):
        print(f"The model has no signature {name}: left out.")
    asked = {name: ask_alone(engine, settings.name, name, _QUESTIONS) for name in known}
    print(f"TensorFlow {tf.__version__}, {settings.max_batch_size} rows a batch at most, seed 0")
    with serving.serving(model) as server:
        if _MINUTES.value:
            engine.close()
            mixed = [each for group in zip(*asked.values(), strict=True) for each in group]
            good = saturate(server, mixed, _MINUTES.value)
        else:
            print(
                "| signature | clients | by | p50 ms | p95 ms | p99 ms | requests/s | ratio | errors | wrong |"
            )
            print("|---|---|---|---|---|---|---|---|---|---|")
            good = all([measure(server, engine, each) for each in asked.values()])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    app.run(main)
