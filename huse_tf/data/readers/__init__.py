"""Catalogues of each format as a stream of records; one file a format."""
