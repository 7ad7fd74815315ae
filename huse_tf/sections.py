"""The settings of all parts of a run but the method: one frozen dataclass a section, one flag a field.

Nothing here imports TensorFlow, so `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Literal

from huse_tf.errors import UserError
from huse_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class DataConfig(Settings):
    """The catalogue: where it lies, what its columns mean, how it is split."""

    catalogue: str = setting(
        "",
        "The catalogue: a file, glob, folder or URL of CSV, TSV, JSONL, Parquet or prepared shards; "
        "or a folder of images by class.",
    )
    catalogue_format: Literal[
        "auto",
        "csv",
        "tsv",
        "jsonl",
        "parquet",
        "shards",
        "images",
        "fashion_gen",
        "food101",
        "imagenet",
        "pascal_sentence",
    ] = setting(
        "auto",
        "Format of the catalogue; auto goes by the files' endings. The last four are the layouts of public "
        "data sets (docs/guides/public_data.md).",
    )
    image_root: str = setting(
        "", "Folder that image paths are relative to. Default: the catalogue's folder."
    )
    image_columns: tuple[str, ...] = setting(
        ("image",), "Columns with images; a row gives one item per image."
    )
    image_separator: str = setting(
        "", "Separator of several images in one cell; empty: a cell is one image."
    )
    image_cells: Literal["path", "base64"] = setting(
        "path",
        "Content of text cells in image columns: a path relative to the image root, or base64.",
    )
    item_column: str = setting(
        "", "Column with the item's id. Default: the image's path, or the product's id."
    )
    product_column: str = setting(
        "product_id",
        "Column with the product's id. Without such a column, rows with equal title and class are one product.",
    )
    group_column: str = setting(
        "",
        "Column with a group, such as a series or a supplier's line: items of one group stay in one "
        "split, without being one product. Empty cells are in no group.",
    )
    text_columns: tuple[str, ...] = setting(
        ("name", "description"),
        "Columns with text, joined in this order. The first one is the title.",
    )
    text_separator: str = setting(
        "",
        "Separator of an item's text columns, such as [SEP]; empty: they are joined as sentences.",
    )
    class_columns: tuple[str, ...] = setting(
        ("classes",), "Columns with the class path, or with its levels from the top down."
    )
    class_separator: str = setting("<", "Separator of the levels of a class path.")
    multi_label: bool = setting(
        False, "Items may have several classes; the classifier is then a sigmoid per class."
    )
    label_separator: str = setting(
        "|", "Separator of several class paths in one cell, with --multi_label."
    )
    weight_column: str = setting("", "Column with the item's weight in training, above 0.")
    attribute_columns: tuple[str, ...] = setting(
        (), "Further columns to keep, for the report and the prepared shards."
    )
    delimiter: str = setting(",", "Separator of the columns of a CSV file.")
    missing: Literal["keep", "reject"] = setting(
        "keep", "Keep or reject rows with a missing image or a missing text."
    )
    taxonomy: str = setting(
        "",
        "File or folder with the class tree: 'A > B > C' lines, parent and child columns, or WordNet. "
        "Classes are then node names. Default: the tree of the class paths.",
    )
    taxonomy_format: Literal["auto", "paths", "parents", "wordnet"] = setting(
        "auto", "Format of --taxonomy; auto goes by its content."
    )
    max_rejected_share: float = setting(
        0.05,
        "Refuse to train if a larger share of the rows is rejected.",
        minimum=0,
        maximum=1,
    )
    max_image_bytes: int = setting(
        20_000_000, "Reject image files larger than this many bytes.", minimum=1
    )
    max_image_pixels: int = setting(
        50_000_000, "Reject images with more pixels than this (decompression bombs).", minimum=1
    )
    validation_fraction: float = setting(
        0.15, "Share of the items to tune and to stop by.", minimum=0, maximum=1
    )
    test_fraction: float = setting(
        0.15, "Share of the items held out for the final metrics.", minimum=0, maximum=1
    )
    folds: int = setting(
        0,
        "Cross-validate with this many folds, in addition to the split: every item is a test item of one "
        "of them (takes as many trainings more); 0: no folds.",
        minimum=0,
    )
    fold: int = setting(
        0,
        "Split into this one of the --folds, from 1, for testing, and the others; 0: by --test_fraction.",
        minimum=0,
    )
    split_seed: int = setting(0, "Seed of the split into training, validation and test.", minimum=0)
    split_by: Literal["group", "time", "column"] = setting(
        "group", "Split by random groups, by time (the newest groups for testing), or by a column."
    )
    split_column: str = setting(
        "",
        "Column with train, validation or test (--split_by=column), or with a time (--split_by=time).",
    )
    near_duplicate_bits: int = setting(
        0,
        "Images whose perceptual hashes differ in at most this many of 64 bits stay in one split; "
        "-1 compares bytes only.",
        minimum=-1,
        maximum=8,
    )
    unseen_classes: tuple[str, ...] = setting(
        (), "Classes held out from training, for zero-shot metrics (--split=unseen)."
    )
    unseen_class_fraction: float = setting(
        0.0,
        "Share of the classes that are held out at random (--split_seed), in addition to --unseen_classes.",
        minimum=0,
        maximum=0.9,
    )

    @property
    def name(self) -> str:
        """Name of the catalogue: the name of its folder, or of the folder of its file."""
        path = pathlib.PurePath(self.catalogue.rpartition("://")[2])
        folder = path.parent if path.suffix else path
        return folder.name or pathlib.Path(folder).resolve().name


@dataclasses.dataclass(frozen=True)
class FeatureConfig(Settings):
    """Frozen encoders and their cache."""

    image_encoder: str = setting(
        "efficientnet_lite0", "Image encoder; see README, section Encoders."
    )
    text_encoder: str = setting(
        "minilm",
        "Text encoder; join several with +, e.g. bert_last4:minilm+tfidf. word_cnn is trained with the "
        "tower. fields:2:minilm encodes two text columns separately.",
    )
    class_encoder: str = setting(
        "minilm",
        "Encoder of the class names, for --class_graph and for methods with label vectors, such as devise and huse_plus.",
    )
    class_graph: str = setting(
        "name",
        "Distance of two classes: name (cosine of names' embeddings), path (of whole paths'), tree "
        "(Wu-Palmer), hops (shortest path), file:FILE (.npy or .csv), or a blend like 0.7*name+0.3*tree.",
    )
    cache_dir: str = setting(".cache/huse_tf", "Folder of the feature cache.")
    encoder_batch_size: int = setting(
        32, "Images or texts in a forward pass of an encoder.", minimum=1
    )

    @property
    def encodes_fields(self) -> bool:
        """Whether text columns are encoded separately (`features.fields`)."""
        return self.text_encoder.startswith("fields:")


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Settings):
    """Optimisation, the run folder, and when to stop."""

    run_dir: str = setting(
        "", "Folder of this run; a run that lies there unfinished goes on. Default: runs/NAME."
    )
    start_from: str = setting(
        "",
        "Folder of a trained run on the same items and split: layers of equal name and shape start "
        "with its weights.",
    )
    seed: int = setting(0, "Seed of initial weights, dropout and shuffling.", minimum=0)
    strategy: Literal["auto", "one", "mirrored"] = setting(
        "auto",
        "tf.distribute strategy: one device, all local devices, or whichever fits this machine.",
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "adagrad", "lamb"] = setting(
        "adam", "Keras optimizer."
    )
    learning_rate: float = setting(3e-4, "Learning rate.", minimum=0)
    momentum: float = setting(0.0, "Momentum, for rmsprop and sgd.", minimum=0, maximum=1)
    beta_1: float = setting(
        0.9, "Decay of the mean gradient, for adam, adamw and lamb.", minimum=0, maximum=0.9999
    )
    beta_2: float = setting(
        0.999,
        "Decay of the mean squared gradient, for adam, adamw and lamb.",
        minimum=0,
        maximum=0.99999,
    )
    weight_decay: float = setting(
        0.0,
        "Share of each weight, times the learning rate, lost in a step; 0: the optimizer's own "
        "(adamw: 0.004, others: none).",
        minimum=0,
        maximum=1,
    )
    clip_norm: float = setting(
        0.0, "Longest gradient, all weights together; longer ones are cut; 0: any.", minimum=0
    )
    warmup_steps: int = setting(
        0, "Steps in which the learning rate rises from near 0, linearly.", minimum=0
    )
    decay: Literal["none", "linear", "cosine"] = setting(
        "none",
        "How the learning rate falls after the warm-up: not at all, or to 0 at the last step, along a line or a "
        "half cosine.",
    )
    backbone_learning_rate: float = setting(
        1.0,
        "Learning rate of the last layer of --image_backbone and --text_backbone, times --learning_rate.",
        minimum=1e-6,
        maximum=10,
    )
    first_layer_learning_rate: float = setting(
        0.0,
        "Learning rate of a backbone's first layer, times --learning_rate; the layers between lie evenly "
        "between first and last on a logarithmic scale. 0: that of the last layer.",
        minimum=0,
        maximum=10,
    )
    freeze_layers: str = setting(
        "",
        "Regular expression; layers of the backbones in whose name it is found keep their weights, such as "
        "'embedding|layer_[0-3]'.",
    )
    lora_rank: int = setting(
        0,
        "Train only factors of this rank beside the dense kernels of the backbones (LoRA), merged when the "
        "model is saved; 0: train the weights themselves.",
        minimum=0,
    )
    freeze_backbone_epochs: int = setting(
        0, "Epochs at the beginning in which only the layers above the backbones learn.", minimum=0
    )
    class_balance: Literal["none", "weights", "sampling", "logits"] = setting(
        "none",
        "Against rare classes' neglect: weigh their items up, draw them as often, or adjust logits.",
    )
    token_dropout: float = setting(
        0.0,
        "Chance of each word to be left out while training, for --text_encoder=word_cnn.",
        minimum=0,
        maximum=0.9,
    )
    field_dropout: float = setting(
        0.0,
        "Chance of each text column to be left out while training; the text encoder then runs in every step.",
        minimum=0,
        maximum=0.9,
    )
    modality_dropout: float = setting(
        0.0,
        "Share of complete items that lose their image or their text while training.",
        minimum=0,
        maximum=0.9,
    )
    batch_size: int = setting(128, "Items a step, over all replicas together.", minimum=1)
    epochs: int = setting(60, "Passes over the training items at most.", minimum=1)
    max_steps: int = setting(
        0, "Steps at most; 0 leaves it to --epochs, otherwise --epochs is ignored.", minimum=0
    )
    validate_every: int = setting(
        1, "Epochs between validations, each with a checkpoint and a row of history.", minimum=1
    )
    patience: int = setting(
        10,
        "Stop after this many epochs without a better --monitor; 0 never stops early.",
        minimum=0,
    )
    monitor: tuple[str, ...] = setting(
        (
            "classification/fused/accuracy",
            "classification/image/accuracy",
            "classification/text/accuracy",
        ),
        "Validation metrics (higher is better) whose mean picks the best checkpoint; balanced stands for "
        "accuracy by image and by text, mAP of the class and R@10 of the own product, both ways.",
    )
    checkpoint_every_steps: int = setting(
        0, "Checkpoint within epochs too, every so many steps; 0: at epoch ends only.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Settings):
    """Metrics, and the content of the report."""

    recall_at: tuple[int, ...] = setting((1, 5, 10), "Cut-offs of recall at k.", minimum=1)
    precision_at: tuple[int, ...] = setting(
        (2, 5, 10), "Cut-offs of hierarchical precision at k.", minimum=1
    )
    with_own_product: bool = setting(
        False,
        "Measure retrieval by class a second time, with the query's own product among the candidates; "
        "these metrics are too high, and are named with_own_product.",
    )
    query_chunk: int = setting(
        512, "Queries scored at once; bounds the memory of retrieval metrics.", minimum=1
    )
    pair_queries: int = setting(
        1000, "Queries ranked among 101 candidates, each way; scoring pairs takes long.", minimum=0
    )
    pair_seed: int = setting(0, "Seed of the draw of mismatched pairs and candidates.", minimum=0)
    validation_pairs: int = setting(
        500, "Products told from mismatched ones in each validation of a pair scorer.", minimum=1
    )
    report_queries: int = setting(
        8, "Queries shown in the report's retrieval grid, per task.", minimum=0
    )


@dataclasses.dataclass(frozen=True)
class ExportConfig(Settings):
    """What is exported, and where it goes.

    Raises:
        UserError: a number is out of the range of its setting.
    """

    refit: Literal["all", "none"] = setting(
        "all",
        "Model to export: one that is trained again on the items of all splits once the metrics are "
        "taken (about twice the time), or the one that was measured.",
    )
    export_dir: str = setting("saved_models", "Folder of the exported models.")
    export_name: str = setting(
        "", "Name of the exported model. Default: the name of the run folder."
    )
    export_version: int = setting(0, "Version number; 0 takes the next free one.", minimum=0)
    target_precision: float = setting(
        0.95,
        "Share of right answers among those that the served model marks as accepted; the score that reaches it "
        "is chosen on the validation items.",
        maximum=1,
    )
    export_check: bool = setting(
        True,
        "Ask the model through TensorFlow's C++ loader, as TF Serving does, before it takes its place.",
    )
    data_license: str = setting(
        "not stated",
        "Licence of the catalogue, in free text, for the export's model card and list of licences.",
    )
    formats: tuple[str, ...] = setting(
        ("saved_model",),
        "What to write: saved_model, and beside it one_modality (a SavedModel of images and one of texts), "
        "keras (models with the encoders inside), onnx, litert, litert_int8, openvino. The last four need "
        "huse_tf[runtimes].",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target_precision > 0:
            raise UserError(
                "--target_precision is a share of right answers, above 0 and at most 1. Received: "
                f"{self.target_precision}. Choose one such as 0.95."
            )


SECTIONS: dict[str, type[Settings]] = {
    "data": DataConfig,
    "features": FeatureConfig,
    "training": TrainingConfig,
    "evaluation": EvaluationConfig,
    "export": ExportConfig,
}
