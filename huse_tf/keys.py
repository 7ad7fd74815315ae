"""The keys of every feature and output dict, with shapes; written once, used everywhere.

`batch` is the number of items (image-text pairs); D the embedding size; K the number of classes.
"""

# Features: what a method's model eats, and what the feature cache holds.
IMAGE_FEATURES = "image_features"  # [batch, image_dim] float32, from a frozen image encoder
TEXT_FEATURES = "text_features"  # [batch, text_dim] float32, or [batch, tokens] int32 word ids
IMAGE_MASK = "image_mask"  # [batch] float32, 1 where the item has an image, 0 where it has none
TEXT_MASK = "text_mask"  # [batch] float32, likewise; features of what is missing are zeros
WEIGHT = "weight"  # [batch] float32 > 0; an item of weight 2 counts as two items
LABEL = "label"  # [batch] int32, class ids in [0, K)
LABELS = (
    "labels"  # [batch, K] float32 multi-hot, in place of LABEL where items have several classes
)

# Drawn for each batch by methods that ask for it.
NEGATIVE_ORDER = "negative_order"  # [batch, K] float32 in [0, 1), random; lower comes first

# Drawn for each batch by pair scorers: who is paired with whom, and what is hidden.
MATCH = "match"  # [batch] float32, 1 where all is of one item, 0 where the image or the query is another's
# [batch, m] int32, the ids that are to be guessed in their order, then 0; where they stand, TEXT_FEATURES
# is negative: minus the id of what is to be seen there, mostly [MASK].
HIDDEN_WORDS = "hidden_words"
HIDDEN_PATCHES = "hidden_patches"  # [batch, h] int32, places of the patches that were set to zero
PATCH_TARGETS = "patch_targets"  # [batch, h, dim] float32, what stood there

PRODUCT = "product"  # [batch] int32, equal for items of one product

# Outputs of a two-tower model.
IMAGE_EMBEDDING = "image_embedding"  # [batch, D] float32, unit norm
TEXT_EMBEDDING = "text_embedding"  # [batch, D] float32, unit norm
IMAGE_LOGITS = "image_logits"  # [batch, K] float32, shared classifier on the image embedding
TEXT_LOGITS = "text_logits"  # [batch, K] float32, shared classifier on the text embedding

# Further outputs of models in the space of class-name embeddings (dim), read by losses alone.
IMAGE_PROJECTION = "image_projection"  # [batch, dim] float32, the image embedding before its norm
TEXT_PROJECTION = "text_projection"  # [batch, dim] float32, likewise
IMAGE_REPRESENTATION = (
    "image_representation"  # [batch, D] float32, from the image tower of deep CCA
)
TEXT_REPRESENTATION = "text_representation"  # [batch, D] float32, likewise; linear maps follow

# Further outputs of models that fuse M modalities themselves.
FUSED_LOGITS = "fused_logits"  # [batch, K] float32, from all modalities at once
MODALITY_WEIGHTS = "modality_weights"  # [batch, M] float32 >= 0, contributions (image, then texts)
BLOCK_NORMS = "block_norms"  # [batch, M] float32 > 0, for features of length 1, give the contributions; all rows equal

# Outputs of a pair scorer.
MATCH_LOGITS = "match_logits"  # [batch] float32, whether image, text and its query are of one item
WORD_LOGITS = (
    "word_logits"  # [batch, m, vocabulary] float32, the ids at the first m places to be guessed
)
PATCH_LOGITS = "patch_logits"  # [batch, patches, dim] float32, the features of each patch, guessed

# Further outputs of models that learn how similarities become logits of pairs; all rows equal.
LOGIT_SCALE = "logit_scale"  # [batch, 1] float32 > 0, one over the temperature
LOGIT_BIAS = "logit_bias"  # [batch, 1] float32

# Raw inputs of the served model.
IMAGE_BYTES = "image_bytes"  # [batch] string, encoded picture files (JPEG, PNG, GIF, BMP)
TEXT = "text"  # [batch] string, UTF-8

# Modalities, in the order in which tasks and tables name them.
# (`TEXT` above is also the name of the text modality.)
IMAGE = "image"

# Names of the sides of a split.
TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
UNSEEN = "unseen"  # items of classes held out from training wholly
KNOWN = "known"  # items of another catalogue that the run was trained or tuned on; not measured
