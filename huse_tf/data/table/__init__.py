"""Records, columns and cells of a catalogue, and tables that lie on disk."""
