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

# Outputs of a two-tower model.
IMAGE_EMBEDDING = "image_embedding"  # [batch, D] float32, unit norm
TEXT_EMBEDDING = "text_embedding"  # [batch, D] float32, unit norm
IMAGE_LOGITS = "image_logits"  # [batch, K] float32, shared classifier on the image embedding
TEXT_LOGITS = "text_logits"  # [batch, K] float32, shared classifier on the text embedding

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
