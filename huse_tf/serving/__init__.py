"""Trained models as artefacts: a SavedModel for TF Serving, and `.keras` files beside it."""
