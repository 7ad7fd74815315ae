"""Readers: one file per format, each a stream of records."""
