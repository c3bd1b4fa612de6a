"""Exchanges between the processes of one run. All of them must take part, or each waits for ever."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def processes() -> int:
    """Count the processes of this run."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process among those of the run, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def highest(*values: int) -> list[int]:
    """Tell the highest of each value over all processes; all of them must ask."""
    if processes() == 1:
        return list(values)
    votes = torch.tensor(values)  # on the CPU: asking does not wait for a GPU
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return [int(vote) for vote in votes]


def first_decides(decision: bool) -> bool:
    """Tell what the first process decides, whose clock counts for all; all of them must ask."""
    return bool(highest(int(decision and rank() == 0))[0])


def gather(*values: int) -> Tensor:
    """Give the values of all processes: int64 [processes, values]; all of them must ask."""
    mine = torch.tensor(values)
    if processes() == 1:
        return mine[None]
    everyones = [torch.empty_like(mine) for _ in range(processes())]
    dist.all_gather(everyones, mine)
    return torch.stack(everyones)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Add up `tensor`, in place, over all processes; gradients do not flow through it."""
    if processes() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather_objects(value: Any) -> list[Any]:
    """Give the values of all processes in their order; all of them must ask."""
    if processes() == 1:
        return [value]
    everyones: list[Any] = [None] * processes()
    dist.all_gather_object(everyones, value)
    return everyones


def told_by_first(value: Any) -> Any:
    """Give the value that the first process has; all of them must ask."""
    if processes() == 1:
        return value
    told = [value]
    dist.broadcast_object_list(told, src=0)
    return told[0]
