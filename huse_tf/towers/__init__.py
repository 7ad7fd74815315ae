"""Towers: from one modality's features to a unit-norm embedding, as functional Keras models."""
