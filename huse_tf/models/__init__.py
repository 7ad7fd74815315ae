"""Models: a dict of features in, a dict of outputs out (keys.py), as functional Keras models."""
