"""Magnitude pruning in rounds, with training between them (Han et al., arXiv:1506.02626)."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.firmware.point_settings import PruningSettings


class Prunable(Protocol):
    """A layer whose weights times mask are used; both have one shape."""

    weight: Tensor
    mask: Tensor


def rounds_due(progress: float, how: PruningSettings) -> int:
    """Number of rounds that are over once the part `progress` of the training is."""
    if progress < how.start:
        return 0
    if how.rounds == 1 or progress >= how.end:
        return how.rounds
    passed = (progress - how.start) / (how.end - how.start)
    return 1 + int(passed * (how.rounds - 1))


def removed_after(rounds: int, weights: int, how: PruningSettings) -> int:
    """Number of weights out of `weights` that are removed after so many rounds.

    Each round leaves the same part of what there was, and the last one exactly what is wanted.
    """
    return round(weights * (1.0 - (1.0 - how.fraction) ** (rounds / how.rounds)))


def removed(layers: Sequence[Prunable]) -> int:
    """Number of weights that are removed."""
    return sum(int((layer.mask == 0).sum()) for layer in layers)


@torch.no_grad()
def prune(layers: Sequence[Prunable], number: int) -> None:
    """Remove the smallest weights of all layers together until `number` are removed.

    Magnitudes are in units of the root mean square of their layer: layers differ in their number
    of inputs, and so in the size of their weights. What is removed stays removed.
    """
    if number <= removed(layers):
        return
    magnitudes = []
    for layer in layers:
        size = layer.weight.pow(2).mean().sqrt().clamp(min=1e-30)
        magnitudes.append(torch.where(layer.mask > 0, layer.weight.abs() / size, -1.0).flatten())
    order = torch.argsort(torch.cat(magnitudes), stable=True)[:number]
    gone = torch.zeros(sum(len(one) for one in magnitudes), dtype=torch.bool, device=order.device)
    gone[order] = True
    for layer, part in zip(layers, gone.split([len(one) for one in magnitudes]), strict=True):
        layer.mask[part.reshape(layer.mask.shape)] = 0.0


def check_pruned(layers: Sequence[Prunable], how: PruningSettings | None, name: str) -> None:
    """Check that a training lasted until the last round.

    Raises
    ------
    InputError
        It stopped before; names what was trained.
    """
    if how is None:
        return
    wanted = removed_after(how.rounds, sum(layer.weight.numel() for layer in layers), how)
    if removed(layers) < wanted:
        raise InputError(
            f"{name}: training stopped with {removed(layers)} of {wanted} weights removed, before "
            "pruning ended; raise patience, or lower pruning.end"
        )
