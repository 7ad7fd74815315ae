"""The keys of every feature dict, batch and output dict, with their shapes.

`batch` is the number of items (an image with its text, or either alone), D the size of the embedding and
K the number of classes. Keys that both modalities have can be made from the modality's name:
`features(IMAGE) == IMAGE_FEATURES`.
"""

# The modalities, in the order in which tasks and tables name them.
IMAGE = "image"
TEXT = "text"  # also the key of the served model's texts: [batch] string, UTF-8

# Features: the inputs of a method's model, as the feature cache holds them.
IMAGE_FEATURES = "image_features"  # [batch, image_dim] float32, from a frozen image encoder
TEXT_FEATURES = "text_features"  # [batch, text_dim] float32, or [batch, tokens] int32 word ids
IMAGE_MASK = (
    "image_mask"  # [batch] float32, 1 where the item has an image; its features are else zeros
)
TEXT_MASK = "text_mask"  # [batch] float32, 1 where the item has a text; its features are else zeros
WEIGHT = "weight"  # [batch] float32 > 0; an item of weight 2 counts as two items
LABEL = "label"  # [batch] int32, class ids in [0, K)
LABELS = (
    "labels"  # [batch, K] float32 multi-hot, in place of LABEL where items have several classes
)
PRODUCT = "product"  # [batch] int32, equal for items of one product

# Drawn for each batch by methods that ask for it.
NEGATIVE_ORDER = "negative_order"  # [batch, K] float32 in [0, 1), random; lower comes first

# Drawn for each batch by pair scorers: mismatched pairs, and hidden words and patches.
MATCH = (
    "match"  # [batch] float32, 1 for a true pair, 0 where the image or query is another product's
)
# [batch, m] int32, the ids to be guessed in their order, padded with 0. Where they stand, TEXT_FEATURES
# is negative: minus the id that the model sees there, mostly that of [MASK].
HIDDEN_WORDS = "hidden_words"
HIDDEN_PATCHES = "hidden_patches"  # [batch, h] int32, places of the patches that were set to zero
PATCH_TARGETS = "patch_targets"  # [batch, h, dim] float32, those patches before they were hidden

# Outputs of every model that embeds.
IMAGE_EMBEDDING = "image_embedding"  # [batch, D] float32, unit norm
TEXT_EMBEDDING = "text_embedding"  # [batch, D] float32, unit norm
IMAGE_LOGITS = "image_logits"  # [batch, K] float32, class scores of the image
TEXT_LOGITS = "text_logits"  # [batch, K] float32, class scores of the text

# Outputs of some of them, for losses: embeddings before unit norm, and outputs of deep CCA's towers.
IMAGE_PROJECTION = "image_projection"  # [batch, D] float32
TEXT_PROJECTION = "text_projection"  # [batch, D] float32
IMAGE_REPRESENTATION = "image_representation"  # [batch, D] float32; linear CCA follows
TEXT_REPRESENTATION = "text_representation"  # [batch, D] float32

# Outputs of models that fuse M modalities themselves.
FUSED_LOGITS = "fused_logits"  # [batch, K] float32, from all modalities at once
MODALITY_WEIGHTS = "modality_weights"  # [batch, M] float32 >= 0, contributions: image, then texts
# [batch, M] float32 > 0, norms of a head's blocks for features of length 1; all rows are equal.
BLOCK_NORMS = "block_norms"

# Outputs of a pair scorer.
MATCH_LOGITS = "match_logits"  # [batch] float32, whether image, text and query are of one item
WORD_LOGITS = "word_logits"  # [batch, m, vocabulary] float32, guesses of the first m hidden words
PATCH_LOGITS = "patch_logits"  # [batch, patches, dim] float32, guesses of each patch's features

# Outputs of models that learn the scale of similarities as logits of pairs; all rows are equal.
LOGIT_SCALE = "logit_scale"  # [batch, 1] float32 > 0, one over the temperature
LOGIT_BIAS = "logit_bias"  # [batch, 1] float32

# Input of the served model, beside TEXT.
IMAGE_BYTES = "image_bytes"  # [batch] string, encoded image files (JPEG, PNG, GIF, BMP)

# Names of the splits.
TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
UNSEEN = "unseen"  # items of classes that are held out from training wholly
KNOWN = "known"  # items of another catalogue that the run was trained or tuned on; never measured


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


def projection(modality: str) -> str:
    """IMAGE_PROJECTION or TEXT_PROJECTION."""
    return f"{modality}_projection"


def representation(modality: str) -> str:
    """IMAGE_REPRESENTATION or TEXT_REPRESENTATION."""
    return f"{modality}_representation"
