"""A summary of a catalogue, for people to check."""
