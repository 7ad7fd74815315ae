"""Loss terms, one a file: pure functions, and frozen dataclasses that read them off output dicts."""
