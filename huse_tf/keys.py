"""The keys of every feature dict, batch and output dict, with their shapes.

`batch` is the number of items (an image with its text, or one of the two), D the size of the embedding and
K the number of classes. The functions at the end make the keys of a modality from its name:
`features(IMAGE) == IMAGE_FEATURES`.
"""

# The modalities, in the order in which tasks and tables name them.
IMAGE = "image"
TEXT = "text"  # also the key of the served model's texts: [batch] string, UTF-8

# Features: the inputs of a method's model, as stored in the feature cache.
IMAGE_FEATURES = "image_features"  # [batch, image_dim] float32, from a frozen image encoder
TEXT_FEATURES = "text_features"  # [batch, text_dim] float32, or [batch, tokens] int32 word ids
# [batch] float32, 1 if the item has an image (a text), else 0; its features are then zeros.
IMAGE_MASK = "image_mask"
TEXT_MASK = "text_mask"
WEIGHT = "weight"  # [batch] float32 > 0; an item of weight 2 counts as two items
LABEL = "label"  # [batch] int32, class ids in [0, K)
LABELS = "labels"  # [batch, K] float32 multi-hot; replaces LABEL if items have several classes
PRODUCT = "product"  # [batch] int32, the number of the item's product
# [batch] int32, the number of the item's title: equal for titles that are equal, ignoring case and white
# space. An item without a text has a number of its own.
TITLE = "title"

# Drawn for each batch if the method needs it.
NEGATIVE_ORDER = "negative_order"  # [batch, K] float32 in [0, 1), random; the lowest comes first

# Drawn for each batch for pair scorers: mismatched pairs, hidden words and hidden patches.
MATCH = "match"  # [batch] float32, 1 for a true pair, 0 for a mismatched pair
# [batch, m] int32, the ids to predict, in the order of the text, padded with 0. At their places TEXT_FEATURES
# is negative: minus the id that the model sees, mostly the id of [MASK].
HIDDEN_WORDS = "hidden_words"
HIDDEN_PATCHES = "hidden_patches"  # [batch, h] int32, numbers of the patches that are set to zero
PATCH_TARGETS = "patch_targets"  # [batch, h, dim] float32, features of the hidden patches

# Outputs of every model with embeddings.
IMAGE_EMBEDDING = "image_embedding"  # [batch, D] float32, unit norm
TEXT_EMBEDDING = "text_embedding"  # [batch, D] float32, unit norm
IMAGE_LOGITS = "image_logits"  # [batch, K] float32, class scores of the image
TEXT_LOGITS = "text_logits"  # [batch, K] float32, class scores of the text

# Outputs of models with a trained classifier on embeddings, if P prefixes of these are trained too (--matryoshka).
IMAGE_PREFIX_LOGITS = "image_prefix_logits"  # [batch, P, K] float32, class scores of the prefixes
TEXT_PREFIX_LOGITS = "text_prefix_logits"  # [batch, P, K] float32

# Outputs of some models with embeddings, for losses: embeddings before normalisation, outputs of towers.
IMAGE_PROJECTION = "image_projection"  # [batch, D] float32
TEXT_PROJECTION = "text_projection"  # [batch, D] float32
# [batch, D] float32, the inputs of linear CCA in deep CCA.
IMAGE_REPRESENTATION = "image_representation"
TEXT_REPRESENTATION = "text_representation"

# Outputs of models that have a part for single products and a part for classes: see methods/huse_plus.py.
IMAGE_INSTANCE = "image_instance"  # [batch, I] float32, unit norm
TEXT_INSTANCE = "text_instance"  # [batch, I] float32, unit norm
IMAGE_CLASS = "image_class"  # [batch, C] float32, unit norm
TEXT_CLASS = "text_class"  # [batch, C] float32, unit norm

# Class scores of the towers alone, for losses, where IMAGE_LOGITS and TEXT_LOGITS pool them with others.
IMAGE_TOWER_LOGITS = "image_tower_logits"  # [batch, K] float32
TEXT_TOWER_LOGITS = "text_tower_logits"  # [batch, K] float32

# Outputs of models that fuse M modalities themselves.
FUSED_LOGITS = "fused_logits"  # [batch, K] float32, class scores of all modalities together
# [batch, M] float32 >= 0, contributions of the modalities: the image, then the texts.
MODALITY_WEIGHTS = "modality_weights"
# [batch, M] float32 > 0, norms of a head's blocks for features of unit norm; all rows are equal.
BLOCK_NORMS = "block_norms"

# Outputs of a pair scorer.
MATCH_LOGITS = "match_logits"  # [batch] float32, score that image, text and query are of one item
WORD_LOGITS = "word_logits"  # [batch, m, vocabulary] float32, for the first m hidden words
PATCH_LOGITS = "patch_logits"  # [batch, patches, dim] float32, predicted features of each patch

# Outputs of models that learn to scale similarities to logits of pairs; all rows are equal.
LOGIT_SCALE = "logit_scale"  # [batch, 1] float32 > 0, 1 / temperature
LOGIT_BIAS = "logit_bias"  # [batch, 1] float32

# The other input of the served model beside TEXT; see serving/names.py for its other names.
IMAGE_BYTES = "image_bytes"  # [batch] string, encoded image files (JPEG, PNG, GIF, BMP)

# Names of the splits.
TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
UNSEEN = "unseen"  # items of classes that have no training items
KNOWN = "known"  # items of another catalogue that the run was trained or tuned on; they are not measured


def features(modality: str) -> str:
    """IMAGE_FEATURES or TEXT_FEATURES."""
    return f"{modality}_features"


def mask(modality: str) -> str:
    """IMAGE_MASK or TEXT_MASK."""
    return f"{modality}_mask"


def embedding(modality: str) -> str:
    """IMAGE_EMBEDDING or TEXT_EMBEDDING."""
    return f"{modality}_embedding"


def logits(modality: str) -> str:
    """IMAGE_LOGITS or TEXT_LOGITS."""
    return f"{modality}_logits"


def prefix_logits(modality: str) -> str:
    """IMAGE_PREFIX_LOGITS or TEXT_PREFIX_LOGITS."""
    return f"{modality}_prefix_logits"


def instance(modality: str) -> str:
    """IMAGE_INSTANCE or TEXT_INSTANCE."""
    return f"{modality}_instance"


def class_part(modality: str) -> str:
    """IMAGE_CLASS or TEXT_CLASS."""
    return f"{modality}_class"


def tower_logits(modality: str) -> str:
    """IMAGE_TOWER_LOGITS or TEXT_TOWER_LOGITS."""
    return f"{modality}_tower_logits"


def projection(modality: str) -> str:
    """IMAGE_PROJECTION or TEXT_PROJECTION."""
    return f"{modality}_projection"


def representation(modality: str) -> str:
    """IMAGE_REPRESENTATION or TEXT_REPRESENTATION."""
    return f"{modality}_representation"
