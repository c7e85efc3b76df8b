"""Which layers of a pretrained backbone training changes."""

from __future__ import annotations

from torch import nn


class TrainedPart:
    """The topmost layers of a backbone, which training changes; all else of it is frozen.

    Attributes:
        names: of the backbone's trained parameters.
    """

    def __init__(self, backbone: nn.Module, num_layers: int) -> None:
        """Freeze the backbone but for its topmost layers.

        Args:
            backbone: a transformer, whose layers are an attribute named `layer` or `layers`.
            num_layers: −1 for the whole backbone.

        Raises:
            ValueError: if the backbone has fewer layers.
        """
        backbone.requires_grad_(False)
        self._modules = [backbone] if num_layers < 0 else []
        if num_layers > 0:
            layers = next(
                module
                for name, module in backbone.named_modules()
                if isinstance(module, nn.ModuleList) and name.split(".")[-1] in ("layer", "layers")
            )
            if num_layers > len(layers):
                raise ValueError(f"num_trained_layers is {num_layers}, but the backbone has {len(layers)}")
            self._modules = list(layers[-num_layers:])
        for module in self._modules:
            module.requires_grad_(True)
        self.names = frozenset(name for name, value in backbone.named_parameters() if value.requires_grad)

    def __bool__(self) -> bool:
        return bool(self._modules)

    def train(self, mode: bool) -> None:
        """Put it, and nothing else, into training or evaluation mode."""
        for module in self._modules:
            module.train(mode)
