"""Makes checkpoints: data, losses, the training loop, protocols."""
