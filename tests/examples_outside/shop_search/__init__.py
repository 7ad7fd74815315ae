"""A project of its own that adds a method, a loss and an encoder to huse_tf."""
