"""From a catalogue file to batches: rows checked, classes numbered, items split, features dealt out."""
