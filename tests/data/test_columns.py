"""Which column is what: by setting, by default, by guess."""

import pytest

from huse_tf.data.table.columns import Columns, fill_template, find_columns, template_fields
from huse_tf.errors import UserError
from huse_tf.sections import DataConfig


def test_defaults():
    found = find_columns(("product_id", "image", "name", "description", "classes"), DataConfig())
    assert found == Columns(("image",), ("name", "description"), ("classes",), "product_id")


def test_only_one_text_and_no_product():
    found = find_columns(("image", "description", "classes"), DataConfig())
    assert found == Columns(("image",), ("description",), ("classes",))


def test_guesses_by_well_known_names():
    """Case, spaces, "_" and "-" do not matter; what is not guessed does not disturb."""
    found = find_columns(("SKU", "Image-Path", "productDisplayName", "Category", "x"), DataConfig())
    assert found == Columns(
        images=("Image-Path",),
        text=("productDisplayName",),
        classes=("Category",),
        product="SKU",
        guessed=(
            ("image_columns", "Image-Path"),
            ("text_columns", "productDisplayName"),
            ("class_columns", "Category"),
            ("product_column", "SKU"),
        ),
    )


def test_a_title_is_guessed_beside_a_description_of_the_default_name():
    found = find_columns(("image", "title", "description", "classes"), DataConfig())
    assert found.text == ("title", "description")


def test_a_guess_is_logged(caplog):
    caplog.set_level("INFO", "absl")
    find_columns(("img", "name", "classes"), DataConfig())
    assert "No --image_columns given: took the column 'img'." in caplog.text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("img", "photo", "name", "classes"), "Several columns.*--image_columns.*: img, photo"),
        (("image", "Title", "caption", "classes"), "Several.*--text_columns.*: Title, caption"),
        (("image", "name", "class", "label"), "Several columns.*--class_columns.*: class, label"),
        (("image", "name", "classes", "sku", "asin"), "Several.*--product_column.*: sku, asin"),
    ],
)
def test_a_guess_that_is_not_the_only_one_is_refused(columns, message):
    with pytest.raises(UserError, match=message):
        find_columns(columns, DataConfig())


def test_a_setting_is_no_guess():
    columns = ("img", "photo", "a", "b", "c", "d", "e", "f", "g")
    config = DataConfig(
        image_columns=("photo", "img"), text_columns=("a",), class_columns=("b", "c"),
        product_column="d", group_column="c", item_column="e", weight_column="f", attribute_columns=("g",),
        split_column="a",
    )  # fmt: skip
    assert find_columns(columns, config) == Columns(
        ("photo", "img"), ("a",), ("b", "c"), "d", "c", "e", "f", "a", ("g",)
    )


@pytest.mark.parametrize(
    "setting",
    ["product_column", "group_column", "item_column", "weight_column", "split_column"],
)
def test_a_column_that_was_asked_for_must_be_there(setting):
    with pytest.raises(UserError, match="has no column 'z'"):
        find_columns(("image", "name", "classes"), DataConfig(**{setting: "z"}))
    with pytest.raises(UserError, match="has no column 'z'"):
        find_columns(("image", "name", "classes"), DataConfig(attribute_columns=("z",)))


def test_no_images_no_texts_and_no_product():
    config = DataConfig(image_columns=(), product_column="")
    assert find_columns(("product_id", "name", "classes"), config) == Columns(
        (), ("name",), ("classes",)
    )
    assert find_columns(("image", "classes"), DataConfig(text_columns=())).text == ()


def test_columns_of_a_template_must_be_there():
    config = DataConfig(image_columns=("images/{id}-{view}.jpg",))
    assert find_columns(("id", "view", "name", "classes"), config).images == config.image_columns
    with pytest.raises(UserError, match="has no column 'view'"):
        find_columns(("id", "name", "classes"), config)


def test_template():
    """Neither attributes nor formats nor braces in cells mean anything."""
    assert template_fields("a/{id}_{n.x!r:>9}.jpg") == ["id", "n.x!r:>9"]
    assert template_fields("image") == []
    assert fill_template("a/{id}_{n}.jpg", {"id": "{n}", "n": r"\1"}) == r"a/{n}_\1.jpg"


def test_a_missing_column_is_told_with_the_nearest_one():
    with pytest.raises(UserError, match=r"Received columns: imagen, name.*Did you mean 'imagen'"):
        find_columns(("imagen", "name"), DataConfig())


@pytest.mark.parametrize(("mark", "shown"), [(";", "';'"), ("\t", "a tab"), ("|", "'|'")])
def test_a_wrong_delimiter_is_told(mark, shown):
    with pytest.raises(UserError, match="separated by") as caught:
        find_columns((mark.join(("image", "name", "classes")),), DataConfig(catalogue="c.csv"))
    assert shown in str(caught.value) and "c.csv" in str(caught.value)
