"""The names of the tensors of an export beside those of keys.py. Importing them imports no TensorFlow."""

from __future__ import annotations

# Inputs.
CLASS_NAMES = (
    "class_names"  # [batch, m] string, names of classes that the client asks about; "" for none
)

# Outputs. k is the smaller one of K and MAX_CLASSES, L the number of levels of the longest class path.
STATUS = "status"  # [batch] string, "" or why the row has no answer; its numbers are then 0, its strings ""
CLASSES = "classes"  # [batch, k] string, class paths, best first
SCORES = "scores"  # [batch, k] float32, probabilities of CLASSES, in descending order
LEVEL_SCORES = (
    "level_scores"  # [batch, k, L] float32, a score of each level of each path of CLASSES
)
ACCEPTED = (
    "accepted"  # [batch] bool, whether the best score reaches the threshold of the target precision
)
CLASS_SCORES = (
    "class_scores"  # [batch, K] float32, probabilities of all classes, in the order of labels
)
NAME_SCORES = "name_scores"  # [batch, m] float32, probabilities of CLASS_NAMES
PRODUCT_EMBEDDING = "product_embedding"  # [batch, D] float32, of unit norm
PROBABILITY = "probability"  # [batch] float32, that image and text belong together

MAX_CLASSES = 10  # of one item in an answer
