"""Images cut in patches, and texts as word pieces."""

import functools
import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from huse_tf.changes.query_ids import with_queries
from huse_tf.errors import UserError
from huse_tf.features import patches
from huse_tf.features.registry import make_image_encoder, make_text_encoder

# Encoders are read only, so each is built once: networks and vocabularies are most of what these tests cost.
image_encoder = functools.cache(make_image_encoder)
text_encoder = functools.cache(make_text_encoder)


@functools.cache
def network(spec, size):
    return image_encoder(spec).network(size)


@pytest.fixture(scope="module", autouse=True)
def forget():
    yield
    for cached in (image_encoder, text_encoder, network, in_a_graph):
        cached.cache_clear()


def image(seed=0, size=64):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return pixels, file.getvalue()


def test_patches_are_cut_in_reading_order():
    """Against slices; every pixel of a batch of two 6 x 6 images is another number."""
    pixels = np.arange(2 * 6 * 6 * 3, dtype=np.float32).reshape(2, 6, 6, 3)
    found = patches.cut(tf.constant(pixels), 3).numpy()
    expected = [
        pixels[item, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        for item in range(2)
        for row in range(3)
        for column in range(3)
    ]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_each_patch_goes_through_the_network_alone():
    """The features of a patch are those of an image that is this patch."""
    encoder = image_encoder("patches:2:efficientnet_lite0@32")
    pixels, file = image()
    features = encoder(tf.constant([file])).numpy()
    assert features.shape == (1, 4, 1280)
    assert encoder.feature_spec.shape == (4, 1280)
    alone = network("efficientnet_lite0", 32)
    corners = pixels.reshape(2, 32, 2, 32, 3).transpose(0, 2, 1, 3, 4).reshape(4, 32, 32, 3)
    np.testing.assert_allclose(features[0], alone(corners.astype(np.float32)), atol=1e-4)
    assert encoder.fingerprint == image_encoder("patches:2:efficientnet_lite0").fingerprint


def test_cells_of_the_map_average_to_the_pool():
    encoder = image_encoder("patches:2:efficientnet_lite0@map")
    pixels, file = image()
    features = encoder(tf.constant([file])).numpy()
    assert features.shape == (1, 4, 1280)
    whole = network("efficientnet_lite0", 64)
    pooled = whole(pixels[np.newaxis].astype(np.float32))
    np.testing.assert_allclose(features.mean(axis=1), pooled, atol=1e-4)
    assert encoder.fingerprint != image_encoder("patches:2:efficientnet_lite0").fingerprint


@pytest.mark.parametrize(
    "spec",
    [
        "patches",
        "patches:8",
        "patches:0:efficientnet_lite0",
        "patches:17:efficientnet_lite0",
        "patches:8:pixels:32",
        "patches:8:efficientnet_lite0@0",
        "patches:8:efficientnet_lite0@mop",
    ],
)
def test_other_patches_are_refused(spec):
    with pytest.raises(UserError, match=r"patches:8:efficientnet_lite0|takes no argument"):
        make_image_encoder(spec)


@pytest.mark.slow
def test_patches_of_resnet50_are_the_papers_size():
    """2048 a patch, each through the network alone to its average pool; and the map averages to the pool."""
    pixels, file = image(size=64)
    encoder = make_image_encoder("patches:2:keras_applications:ResNet50@random")
    features = encoder(tf.constant([file])).numpy()
    assert features.shape == (1, 4, 2048) == (1, *encoder.feature_spec.shape)
    corners = pixels.reshape(2, 32, 2, 32, 3).transpose(0, 2, 1, 3, 4).reshape(4, 32, 32, 3)
    expected = network("keras_applications:ResNet50@random", 32)(corners.astype(np.float32))
    np.testing.assert_allclose(features[0], expected, rtol=1e-3, atol=1e-3)
    of_map = make_image_encoder("patches:2:keras_applications:ResNet50@random@map")
    cells = of_map(tf.constant([file])).numpy()
    assert cells.shape == (1, 4, 2048)
    pooled = network("keras_applications:ResNet50@random", 64)(
        pixels[np.newaxis].astype(np.float32)
    )
    np.testing.assert_allclose(cells.mean(axis=1), pooled, rtol=1e-3, atol=1e-3)


def test_a_map_of_another_grid_is_refused():
    with pytest.raises(UserError, match="has 1 cells a side for 96 pixels, and not 3"):
        make_image_encoder("patches:3:keras_applications:InceptionV3@random@map")


TEXTS = ["Armchair, unbelievably red", "", "[MASK] sofa"]


def test_tokens_are_those_of_bert():
    """Ids of the vocabulary: 101 [CLS], 102 [SEP]; [MASK] in a text is three pieces, not 103."""
    encoder = text_encoder("tokens:minilm:9")
    spec = encoder.feature_spec
    assert (spec.shape, spec.vocabulary_size) == ((9,), 30522)
    assert (spec.pieces.start, spec.pieces.end, spec.pieces.mask) == (101, 102, 103)
    ids = encoder(tf.constant(TEXTS)).numpy()
    assert ids.dtype == np.int32
    assert ids.tolist() == [
        [101, 29372, 1010, 4895, 8671, 2666, 3567, 6321, 102],
        [101, 102, 0, 0, 0, 0, 0, 0, 0],
        [101, 1031, 7308, 1033, 10682, 102, 0, 0, 0],
    ]


@functools.cache
def in_a_graph():
    encoder = text_encoder("tokens:minilm:8")
    return tf.function(encoder, input_signature=[tf.TensorSpec([None], tf.string)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red chair [SEP] Oak sofa", [101, 2417, 3242, 102, 6116, 10682, 102, 0]),
        ("red chair[SEP]Oak sofa", [101, 2417, 3242, 102, 6116, 10682, 102, 0]),
        ("[SEP] Oak sofa", [101, 102, 6116, 10682, 102, 0, 0, 0]),
        ("red chair [SEP]", [101, 2417, 3242, 102, 102, 0, 0, 0]),
        ("red [SEP] [SEP] sofa", [101, 2417, 102, 102, 10682, 102, 0, 0]),
        # Too long: the first part has room for two pieces, what follows for three; a text of one part
        # for six.
        ("red chair [SEP] Oak sofa sofa sofa", [101, 2417, 3242, 102, 6116, 10682, 10682, 102]),
        ("red [SEP] Oak sofa sofa sofa", [101, 2417, 102, 6116, 10682, 10682, 102, 0]),
        ("red red chair [SEP] Oak", [101, 2417, 2417, 102, 6116, 102, 0, 0]),
        ("red [SEP] a [SEP] b [SEP] c", [101, 2417, 102, 1037, 102, 1038, 102, 0]),
        ("red red red red red red chair", [101, *[2417] * 6, 102]),
        # No other special token is one, nor is [SEP] in small letters.
        ("[CLS] red", [101, 1031, 18856, 2015, 1033, 2417, 102, 0]),
        ("[PAD] red", [101, 1031, 11687, 1033, 2417, 102, 0, 0]),
        ("[sep] red", [101, 1031, 19802, 1033, 2417, 102, 0, 0]),
    ],
)
def test_separators_part_a_text(text, expected):
    assert in_a_graph()(tf.constant([text, "red"])).numpy()[0].tolist() == expected


@pytest.mark.parametrize("length", [5, 8, 16])
def test_a_query_may_be_put_before_another_title(length):
    """Else a mismatched pair could be told by how much of its title is there."""
    encoder = text_encoder(f"tokens:minilm:{length}")
    queries = ["red", "unbelievably red chair", "sofa", "a b c d e f g", ""]
    titles = [
        "Oak",
        "Oak sofa of four legs, unbelievably red, and one more",
        "",
        "chair chair",
        "x y",
    ]
    given = [2, 0, 3, 4, 1]
    own, others, expected = (
        encoder(tf.constant([f"{query} [SEP] {title}" for query, title in pairs])).numpy()
        for pairs in (
            zip(queries, titles, strict=True),
            ((queries[place], titles[place]) for place in given),
            ((queries[place], title) for place, title in zip(given, titles, strict=True)),
        )
    )
    np.testing.assert_array_equal(with_queries(own, others, 102), expected)


def test_the_shortest_text_has_room_for_a_query():
    found = text_encoder("tokens:minilm:3")(tf.constant(["red chair [SEP] sofa", "red chair"]))
    assert found.numpy().tolist() == [[101, 2417, 102]] * 2


def test_separators_count_as_tokens():
    counts, _ = text_encoder("tokens:minilm:5").token_counts(["red [SEP] sofa", "red", ""])
    assert counts.tolist() == [5, 3, 2]


def test_continuations_are_the_pieces_of_one_word():
    """un ##bel ##ie ##va ##bly: the first begins a word, the others go on."""
    pieces = text_encoder("tokens:minilm").feature_spec.pieces
    assert [id in pieces.continuations for id in (4895, 8671, 2666, 3567, 6321)] == [
        *(False, True, True, True, True),
    ]
    assert not pieces.continuations & {0, 101, 102, 103, 1010}


def test_token_counts_are_before_the_cut():
    encoder = text_encoder("tokens:minilm:5")
    counts, limit = encoder.token_counts(TEXTS)
    assert (counts.tolist(), limit) == ([10, 2, 6], 5)


@pytest.mark.parametrize("spec", ["tokens", "tokens:bert", "tokens:minilm:2", "tokens:minilm:513"])
def test_other_tokens_are_refused(spec):
    with pytest.raises(UserError, match="such as tokens:minilm"):
        make_text_encoder(spec)
