"""Training: trainer, loop, checkpoints. It knows no method."""
