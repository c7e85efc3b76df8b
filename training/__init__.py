"""Makes checkpoints: data, losses, the training loop, protocols."""

# before Accelerate, which imports torchvision: core mends CPU installs of it
import core  # noqa: F401
