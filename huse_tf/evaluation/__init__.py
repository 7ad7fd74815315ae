"""Evaluation: metrics as pure functions, what a run is measured by, and the report."""
