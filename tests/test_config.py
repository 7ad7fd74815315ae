import dataclasses
import pathlib
import subprocess
import sys

import pytest
from absl import flags

from huse_tf.cli import config_flags
from huse_tf.config import Config
from huse_tf.errors import UserError
from huse_tf.methods import METHODS
from huse_tf.sections import SECTIONS, EvaluationConfig
from huse_tf.settings import leaves

EXPERIMENTS = pathlib.Path(__file__).parents[1] / "experiments"


@pytest.fixture
def parse():
    """Parses arguments as the train command does, with new flags."""

    def run(*arguments, base=None, variants=None):
        values = flags.FlagValues()
        config_flags.define_flags(*SECTIONS, method=True, values=values)
        values(["train", *arguments])
        if variants is not None:
            return config_flags.variants_from_flags(variants, values)
        return config_flags.from_flags(base, values)

    return run


def test_no_flags_give_the_defaults(parse):
    assert parse() == Config()


def test_flags_win_over_the_preset_and_the_preset_over_defaults(parse):
    settings = parse("--method=huse_paper", "--batch_size=64")
    assert settings.training.batch_size == 64
    assert settings.training.learning_rate == pytest.approx(1.6192e-5)
    assert settings.training.momentum == 0.9
    assert settings.training.optimizer == "rmsprop"
    assert settings.training.max_steps == 250_000
    assert METHODS["huse_paper"].preset["batch_size"] == 1024


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.flags")), ids=lambda path: path.stem)
def test_flag_files_of_experiments_are_valid(parse, path):
    settings = parse(f"--flagfile={path}")
    if path.stem == "home_goods_fashion_bert_search":
        assert settings.method.scores_queries
        assert settings.data.text_separator == "[SEP]"


def test_the_flag_file_of_fashion_bert_has_the_sizes_of_the_paper(parse):
    """Gao et al. 2020, sections 3 and 4. The file names the differences from the paper."""
    settings = parse(f"--flagfile={EXPERIMENTS / 'fashion_bert_paper.flags'}")
    method, training = settings.method, settings.training
    assert (method.depth, method.hidden_dim, method.heads) == (12, 768, 12)
    assert (method.word_share, method.patch_share, method.mismatch_share) == (0.15, 0.1, 0.5)
    assert method.task_weights == "paper"
    assert settings.features.image_encoder.startswith("patches:8:")
    bert = method.initial_weights
    assert bert == "keras_hub:bert_base_en_uncased"
    assert settings.features.text_encoder == f"tokens:{bert}:448"
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("adam", 2e-5, 64)
    assert (training.beta_1, training.beta_2, training.weight_decay) == (0.95, 0.999, 1e-4)
    assert (training.warmup_steps, training.decay, training.epochs) == (5000, "linear", 10)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_flagfile_restores_the_settings(parse, tmp_path, name):
    changes = {"margin": 0.25, "image_layers": (7, 8), "depth": 3}
    changes = {key: value for key, value in changes.items() if key in leaves(METHODS[name])}
    method = METHODS[name].of(**changes)
    settings = dataclasses.replace(
        Config.from_preset(METHODS[name]),
        method=method,
        evaluation=EvaluationConfig(recall_at=(3,)),
    )
    (tmp_path / "run.flags").write_text(settings.to_flagfile(), encoding="utf-8")
    assert parse(f"--flagfile={tmp_path / 'run.flags'}") == settings
    assert Config.from_json(settings.to_json()) == settings


def test_settings_without_a_flag_are_those_of_the_run(parse):
    base = dataclasses.replace(Config(), method=METHODS["huse"].of(margin=0.1))
    settings = parse("--seed=5", base=base)
    assert settings.training.seed == 5


def test_every_setting_has_help_and_one_name():
    names = []
    for kind in (*SECTIONS.values(), METHODS["huse"]):
        for leaf in leaves(kind).values():
            assert leaf.help.endswith((".", "]."))
            names.append(leaf.name)
    assert len(names) == len(set(names))


def test_bad_list_item_is_refused(parse):
    with pytest.raises(UserError, match="recall_at takes a comma-separated list of int"):
        parse("--recall_at=1,x")


def test_unknown_setting_in_json_is_refused():
    with pytest.raises(UserError, match="Did you mean 'epochs'"):
        Config.from_json(Config().to_json().replace('"epochs"', '"epoch"'))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch=3"], "Did you mean: epochs"),
        (["--epochs=many"], "invalid literal"),
        (["--method=hose"], "huse"),
        (["stray"], "Settings are given as --NAME=VALUE"),
        ([], "No catalogue is given"),
    ],
)
def test_wrong_command_lines_end_with_one_line(arguments, message, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "huse_tf.train", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())  # a refused command writes nothing


def test_variants_take_flags_and_settings_of_their_own(parse):
    """A flag applies to all methods that have it; presets apply without a flag; --method is ignored."""
    specs = ["huse", "huse:graph_weight=0:image_layers=7+8:margin_rule=prose", "huse_paper"]
    found = parse("--method=huse_paper", "--dropout=0.3", "--batch_size=32", variants=specs)
    assert list(found) == specs
    plain, varied, paper = (found[spec] for spec in specs)
    assert plain.method == METHODS["huse"].of(dropout=0.3)
    assert varied.method == METHODS["huse"].of(
        dropout=0.3, graph_weight=0.0, image_layers=(7, 8), margin_rule="prose"
    )
    assert type(varied.method.graph_weight) is float
    assert paper.method == METHODS["huse_paper"].of(dropout=0.3)
    assert {each.training.batch_size for each in found.values()} == {32}
    assert paper.training.max_steps == 250_000
    assert plain.training.max_steps == 0


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "at least one"),
        (["huse", "huse"], "different methods"),
        (["hose"], "huse"),
        (["huse:graph=1"], "graph"),
        (["huse:"], "Unknown setting of huse"),
        (["huse:graph_weight=1:margin"], "written like its flag. Received: '1:margin'"),
        (["huse:graph_weight=much"], "written like its flag. Received: 'much'"),
        (["huse:graph_weight"], "graph_weight"),
        (["huse:graph_weight=-1"], "graph_weight"),
        (["huse:margin_rule=poem"], "margin_rule"),
    ],
)
def test_wrong_variants_are_refused(parse, specs, message):
    with pytest.raises(UserError, match=message):
        parse(variants=specs)


def test_variants_of_features_and_training(parse):
    """The setting of a variant wins over flag and preset, for this variant only."""
    specs = [
        "dscmr",
        "dscmr:class_encoder=random:9:epochs=25:class_graph=path:monitor=a+b:beta_1=0.9:j1_weight=0",
    ]
    plain, varied = parse("--epochs=7", variants=specs).values()
    assert (plain.training.epochs, varied.training.epochs) == (7, 25)
    assert varied.training.monitor == ("a", "b") and varied.training.beta_1 == 0.9
    assert plain.training.beta_1 == 0.5  # the preset's
    assert varied.training.batch_size == plain.training.batch_size == 100
    assert varied.features.class_graph == "path" != plain.features.class_graph
    assert varied.features.class_encoder == "random:9" != plain.features.class_encoder
    assert varied.method.j1_weight == 0 != plain.method.j1_weight
    assert varied.data == plain.data


@pytest.mark.parametrize("name", ["seed", "run_dir", "catalogue", "split_seed"])
def test_variants_share_data_and_seeds(parse, name):
    with pytest.raises(UserError, match=f"Unknown setting of huse.*Received: '{name}'"):
        parse(variants=[f"huse:{name}=1"])


def test_a_setting_that_no_variant_has_is_refused(parse):
    with pytest.raises(UserError, match="--graph_weight is not a setting of method 'separate'"):
        parse("--graph_weight=1", variants=["separate"])
    assert parse("--graph_weight=2", variants=["separate", "huse"])["huse"].method.graph_weight == 2
