"""Reading, proving and hashing the image of an item."""
