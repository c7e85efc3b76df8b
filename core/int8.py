"""Answers that cost less and are not quite the same: products of whole numbers of 8 bits.

What that gains, and what it costs in accuracy, stands in docs/performance.md.
"""

from __future__ import annotations

import torch

from core.encoders.backbones import BackboneError
from core.encoders.products import Int8Linear, Linear, adds_in_32_bits
from core.model import DeepMSI

INT8_SENTENCE = "Multiplied in 8 bits (--int8): answers differ a little from those in full precision." + (
    "" if adds_in_32_bits() else " On this processor, which has no VNNI, some of them differ much."
)


def use_int8(model: DeepMSI) -> None:
    """Let a network's transformers multiply in 8 bits from now on, on a processor and without gradients.

    Convolutions, heads, tables of positions and the choice of frames stay as they are. Parameters are kept as
    they are too, so the network can still be explained and written; a change of weights is not followed.

    Raises:
        BackboneError: where this torch, or the device that the network is on, cannot.
    """
    if not torch.backends.mkldnn.is_available():
        raise BackboneError("This build of torch has no oneDNN, which 8 bits need; leave --int8 out.")
    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        raise BackboneError("Only a processor multiplies in 8 bits; move the network to it, or do without.")
    model.is_int8 = True
    networks = [model.text.backbone, model.audio.backbone]
    if model.video is not None:
        networks.append(model.video.swin)
    for network in networks:
        for name, layer in network.named_modules():
            if type(layer) is Linear and "cpb_mlp" not in name:
                Int8Linear.take_over(layer)
