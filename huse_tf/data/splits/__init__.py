"""Splits of the items into training, validation and test, and the leaks between them."""
