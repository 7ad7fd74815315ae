"""New versions are taken up without a failed request; a version whose canary fails is refused."""

import pathlib
import re
import shutil
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
import toy_exports
from asking import NAME, Stubs, predict_rest, refused, rest
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2
from toy_exports import WIDTH

from huse_tf.errors import UserError
from huse_tf.server import version as version_module

State = get_model_status_pb2.ModelVersionStatus
TEXT_ONLY = ("embed_text",)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / NAME).mkdir()
    toy_exports.write(tmp_path / NAME / "1", scale=1, signatures=TEXT_ONLY)
    return tmp_path / NAME


@pytest.fixture
def scale(listen, folder):
    """A server, and a function that asks it for the scale of its weights."""
    server = listen(folder)
    stubs = Stubs(server.port)

    def ask(number=None):
        answer = stubs.predict("embed_text", {"text": ["x"]}, number=number)["text_embedding"]
        assert answer.shape == (1, WIDTH)
        return float(answer[0, 0])

    ask.server, ask.stubs = server, stubs
    yield ask
    stubs.close()


def states(server):
    return {number: each.state for number, each in server.models.statuses(NAME).items()}


@pytest.mark.slow
def test_the_highest_version_is_taken_up_and_the_old_one_leaves(scale, folder):
    assert scale() == scale(1) == 1
    toy_exports.write(folder / "2", scale=2, signatures=TEXT_ONLY)
    toy_exports.write(folder / "10", scale=10, signatures=TEXT_ONLY)  # above 2, though "10" < "2"
    scale.server.models.update()
    assert scale() == scale(10) == 10
    for gone in (1, 2):  # 2 was never the highest
        with refused(grpc.StatusCode.NOT_FOUND):
            scale(gone)
    assert states(scale.server) == {10: State.AVAILABLE, 1: State.END}
    # A version that is taken away gives way to the one below.
    shutil.rmtree(folder / "10")
    scale.server.models.update()
    assert scale() == 2
    shutil.rmtree(folder)  # nothing is left to serve: what is loaded stays
    scale.server.models.update()
    assert scale() == 2


def test_a_version_whose_canary_fails_is_refused_until_it_changes(scale, folder):
    toy_exports.write(folder / "2", scale=2, signatures=TEXT_ONLY, wrong=True)
    scale.server.models.update()
    assert scale() == 1
    status, tree, _ = rest(scale.server.rest_port, f"/v1/models/{NAME}/versions/2")
    assert status == 200
    [told] = tree["model_version_status"]
    assert told["state"] == "END" and told["status"]["error_code"] == "FAILED_PRECONDITION"
    assert "text_embedding differs by 1.0e+00" in told["status"]["error_message"]
    metrics = rest(scale.server.rest_port, "/metrics")[1].decode()
    assert "huse_tf_refused_versions 1.0" in metrics
    assert rest(scale.server.rest_port, "/readyz")[0] == 200
    # It is not tried again before it changes.
    seen = []
    original = version_module.check_canary
    version_module.check_canary = lambda *args: seen.append(args) or original(*args)
    try:
        scale.server.models.update()
        assert not seen
        canary = folder / "2" / "assets.extra" / "canary.json"
        canary.write_text(canary.read_text().replace("7", "6"))
        scale.server.models.update()
        assert seen and scale() == 2
    finally:
        version_module.check_canary = original
    assert "huse_tf_refused_versions 0.0" in rest(scale.server.rest_port, "/metrics")[1].decode()


@pytest.mark.slow
def test_damaged_versions_are_refused(scale, folder):
    for number, damage in (
        (2, lambda path: (path / "saved_model.pb").write_bytes(b"nothing")),
        (3, lambda path: (path / "variables" / "variables.index").unlink()),
        (4, lambda path: (path / "assets.extra" / "canary.json").write_text("[{}]")),
        (
            5,
            lambda path: (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(
                b"x" * 50
            ),
        ),
    ):
        damage(toy_exports.write(folder / str(number), scale=number, signatures=TEXT_ONLY))
    (folder / "6").mkdir()  # a copy has begun
    scale.server.models.update()
    assert scale() == 1
    refusals = scale.server.models.refusals()
    assert set(refusals) == {2, 3, 4, 5}
    assert "cannot be loaded" in refusals[3] or "cannot be loaded" in refusals[2]
    assert "damaged" in refusals[4] and "TFRecord" in refusals[5]


@pytest.mark.slow
def test_a_version_without_a_canary_answers_each_signature_twice(scale, folder):
    toy_exports.write(folder / "2", scale=2, signatures=("serving_default",), canary=False)
    toy_exports.write(folder / "3", scale=np.nan, signatures=("serving_default",), canary=False)
    scale.server.models.update()
    assert scale.server.models.current == 2
    assert "NaN" in scale.server.models.refusals()[3]


@pytest.mark.slow
def test_warm_up_requests_are_sent_before_a_version_is_served(scale, folder):
    def warm(number, signature):
        request = scale.stubs.request(signature, {"text": ["warm", "up"]})
        log = prediction_log_pb2.PredictionLog()
        log.predict_log.request.CopyFrom(request)
        path = folder / str(number)
        toy_exports.write(path, scale=number, signatures=TEXT_ONLY)
        file = path / "assets.extra" / "tf_serving_warmup_requests"
        with tf.io.TFRecordWriter(str(file)) as writer:
            writer.write(log.SerializeToString())

    warm(2, "embed_text")
    sent = []
    original = version_module.Version.ask

    def spy(self, signature, inputs):
        sent.append((self.number, inputs["text"].tolist()))
        return original(self, signature, inputs)

    version_module.Version.ask = spy
    try:
        scale.server.models.update()
    finally:
        version_module.Version.ask = original
    assert sent == [(2, [b"warm", b"up"]), (2, [b"red"])]  # then the canary
    assert scale() == 2


@pytest.mark.slow
def test_labels_keep_versions_beside_the_highest(listen, folder):
    toy_exports.write(folder / "2", scale=2, signatures=TEXT_ONLY)
    server = listen(folder, version_labels=("stable:1", "canary:2", "gone:7"))
    stubs = Stubs(server.port)
    text = {"text": ["x"]}
    for label, number in (("stable", 1), ("canary", 2), (None, 2)):
        answer = stubs.predict("embed_text", text, label=label)["text_embedding"]
        assert answer[0, 0] == number
    with refused(grpc.StatusCode.NOT_FOUND, "Loaded versions: 1, 2"):
        stubs.predict("embed_text", text, label="gone")
    body = {"signature_name": "embed_text", "instances": ["x"]}
    assert predict_rest(server.rest_port, body, "/labels/stable")[1]["predictions"][0][0] == 1
    stubs.close()


def test_a_request_keeps_its_version_until_it_is_answered(scale, folder):
    """While it drains, the old version can be asked by its number."""
    toy_exports.write(folder / "2", scale=2, signatures=TEXT_ONLY)
    models = scale.server.models
    with models.version(NAME) as held:
        thread = threading.Thread(target=models.update)
        thread.start()
        while states(scale.server)[1] != State.UNLOADING:
            time.sleep(0.002)
        assert scale() == 2 and scale(1) == 1
        inputs = {"text": np.array([b"abc"], object)}
        assert held.ask("embed_text", inputs)["text_embedding"][0, 0] == 3
        assert thread.is_alive()
    thread.join()
    with refused(grpc.StatusCode.NOT_FOUND):
        scale(1)


@pytest.mark.slow
def test_no_request_fails_while_versions_change(scale, folder):
    """Each answer is of the old or of the new version, and none goes back."""
    stop, answers = threading.Event(), []

    def ask():
        mine = []
        while not stop.is_set():
            mine.append(scale())
        answers.append(mine)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (2, 3):
        toy_exports.write(folder / str(number), scale=number, signatures=TEXT_ONLY)
        scale.server.models.update()
    stop.set()
    for thread in threads:
        thread.join()
    assert len(answers) == 4  # a failed request would have ended its thread
    for mine in answers:
        assert mine == sorted(mine) and {1.0} <= set(mine) <= {1.0, 2.0, 3.0}


@pytest.mark.slow
def test_a_server_without_a_good_version_does_not_start(listen, tmp_path):
    toy_exports.write(tmp_path / NAME / "1", signatures=TEXT_ONLY, wrong=True)
    with pytest.raises(UserError, match=r"No version can be served.*\n  1: .*differs by"):
        listen(tmp_path / NAME)


def anonymous_mib():
    found = re.search(r"RssAnon:\s*(\d+) kB", pathlib.Path("/proc/self/status").read_text())
    return int(found[1]) / 1024


@pytest.mark.slow
def test_memory_stays_flat_over_20_reloads(listen, folder, tmp_path):
    """Each version holds 24 MiB of weights, so a version that stays would show."""

    class Heavy(toy_exports.Toy):
        def __init__(self, scale):
            super().__init__(scale)
            self.table = tf.Variable(tf.fill([6 * 2**20], float(scale)))

        @tf.function(input_signature=[toy_exports.strings(None)])
        def embed_text(self, text):
            length = tf.cast(tf.strings.length(text), tf.float32)
            return {
                "text_embedding": self.table[0] * tf.repeat(length[:, tf.newaxis], WIDTH, axis=1)
            }

    def write(number):
        heavy = Heavy(number)
        tf.saved_model.save(
            heavy, str(tmp_path / str(number)), signatures={"embed_text": heavy.embed_text}
        )
        (tmp_path / str(number)).rename(folder / str(number))

    server = listen(folder)
    stubs = Stubs(server.port)
    for number in range(2, 26):
        write(number)
    for number in range(6, 26):  # taken away and put back, so that no weights are written meanwhile
        (folder / str(number)).rename(tmp_path / str(number))
    seen = []
    for number in range(6, 26):
        (tmp_path / str(number)).rename(folder / str(number))
        server.models.update()
        assert stubs.predict("embed_text", {"text": ["x"]})["text_embedding"][0, 0] == number
        seen.append(anonymous_mib())
    stubs.close()
    first, last = float(np.median(seen[2:7])), float(np.median(seen[-5:]))
    print([round(each) for each in seen])
    assert last - first < 24, seen  # less than one version
