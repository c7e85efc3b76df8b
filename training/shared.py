"""What processes share within a step, so that several learn what one would: clips to compare, statistics.

Each process has an equal share of a batch. Gradients are averaged by DDP; what is compared across the batch
needs more.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Team:
    """The processes of a run, as they meet within a step.

    Args:
        num: of processes.
        group: in which they meet, if there are several.
    """

    def __init__(self, num: int = 1, group: dist.ProcessGroup | None = None) -> None:
        self.num, self._group = num, group

    @classmethod
    def of_run(cls) -> Team:
        """All processes of this run; to be asked for by all of them together."""
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return cls()
        # a group of their own: the gradients that DDP exchanges meanwhile come in no certain order
        return cls(dist.get_world_size(), dist.new_group())

    def __deepcopy__(self, memo: dict) -> Team:
        return self

    def of_all(self, share: Tensor) -> Tensor:
        """The rows of the whole batch: row i of process p is row i · num + p of it.

        The own rows keep their gradient, the others' have none; see `for_average`.

        Args:
            share: `(row, …)`, of the same shape in every process.
        """
        if self.num == 1:
            return share
        # not every backend gathers bool
        own = share.detach().to(torch.uint8) if share.dtype == torch.bool else share.detach()
        parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(self.num)]
        dist.all_gather(parts, own.contiguous(), group=self._group)
        parts = [part.to(share.dtype) for part in parts]
        parts[dist.get_rank()] = share
        return torch.stack(parts, 1).flatten(0, 1)

    def for_average(self, loss: Tensor) -> Tensor:
        """A loss over `of_all`, with a gradient that is right once DDP has averaged it over the processes.

        The gradients of all processes' own rows belong together; their average is a part of that.
        """
        return loss if self.num == 1 else loss.detach() + self.num * (loss - loss.detach())

    def sum(self, value: Tensor) -> Tensor:
        """Over the processes, with its gradient."""
        return value if self.num == 1 else _Sum.apply(value, self._group)


ALONE = Team()
"""A run of one process."""


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(gradient, ctx.group), None


class SharedBatchNorm(nn.BatchNorm1d):
    """Batch norm by the statistics of the whole batch; its state is that of `BatchNorm1d`.

    Every process has to come to it in every step, on the way back too. (torch's own needs a GPU.)
    """

    def __init__(self, norm: nn.BatchNorm1d, team: Team) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.team = team
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """`(row, width)`, a share of the batch."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        sums = self.team.sum(torch.cat([values.sum(0), values.new_tensor([len(values)])]))
        count = sums[-1].detach()
        centred = values - sums[:-1] / count
        variance = self.team.sum(centred.square().sum(0)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(sums[:-1] / count, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return (centred * (variance + self.eps).rsqrt() * self.weight + self.bias).to(x.dtype)


def share_batch_norms(part: nn.Module, team: Team) -> None:
    """Have the batch norms inside a part of a network share their statistics."""
    for module in list(part.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm1d:
                setattr(module, name, SharedBatchNorm(child, team))
