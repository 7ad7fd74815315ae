"""Training: objective, trainer, loop, checkpoints. Knows no method."""
