"""Exports trained models: a SavedModel for TF Serving, with `.keras` files beside it."""
