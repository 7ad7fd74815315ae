"""Prepared shards: files, index, writer and the examples inside."""
