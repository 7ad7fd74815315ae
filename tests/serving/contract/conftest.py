"""The server that the contract tests ask: a real TF Serving if CONTRACT_HOST names one, else `huse_tf.serve`."""

import os
import pathlib

import pytest
from contract_asking import Grpc, Place, Rest

SAVED_MODELS = pathlib.Path(__file__).parents[3] / "saved_models"


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    host = os.environ.get("CONTRACT_HOST")
    if host:
        model = os.environ["CONTRACT_MODEL"]
        ports = (int(os.environ[f"CONTRACT_{name}_PORT"]) for name in ("GRPC", "REST"))
        yield Place(host, *ports, model, SAVED_MODELS / model)
        return
    from contract_server import serve

    with serve(tmp_path_factory.mktemp("contract")) as found:
        yield found


@pytest.fixture(scope="session")
def grpc_side(place):
    side = Grpc(place)
    yield side
    side.channel.close()


@pytest.fixture(scope="session")
def rest_side(place):
    return Rest(place)


@pytest.fixture(params=["grpc", "rest"])
def side(request, grpc_side, rest_side):
    """Either protocol."""
    return grpc_side if request.param == "grpc" else rest_side


@pytest.fixture(scope="session")
def signatures(grpc_side):
    """What the server says of its signatures."""
    return grpc_side.signatures()
