"""Fusion heads: what all modalities say together, and how much each contributes to it."""
