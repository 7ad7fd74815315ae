"""Evaluation: metrics as pure functions, all metrics of a model, tables, and HTML pages."""
