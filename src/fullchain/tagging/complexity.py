"""Size of a tagger and the arithmetic that it does for a jet."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fullchain.tagging.tagger import Tagger
from fullchain.tagging.trees import TreeEnsemble
from fullchain.tagging.views import Tensors

FLOPS = "floating-point operations in matrix products, convolutions and attention"
COMPARISONS = "comparisons, one at each node of a tree that a jet comes by"


def size(tagger: Tagger) -> dict[str, Any]:
    """Number of trainable weights; of trees, which have none, the number of nodes."""
    if isinstance(tagger.network, TreeEnsemble):
        return {"value": tagger.network.value.numel(), "unit": "nodes"}
    return {"value": sum(one.numel() for one in tagger.parameters()), "unit": "weights"}


@torch.no_grad()
def operations(tagger: Tagger, tensors: Tensors) -> dict[str, Any]:
    """Mean number of operations for one of these jets, with its standard error.

    Of a network these are the products and sums (each counts one) in matrix products, convolutions
    and attention, as torch counts them; the rest (norms, activations, kNN, logarithms) is not
    counted. Jets go one by one, so that a network that leaves padding out is given the real size of
    each jet. Of trees these are the comparisons on the way from the roots to the leaves; our
    implementation compares as often as the deepest tree in all of them.
    """
    tagger.eval()
    if isinstance(tagger.network, TreeEnsemble):
        found, what = comparisons(tagger.network, tensors["features"]), COMPARISONS
    else:
        # torch follows the modules by hooks on gradients, which a call without them confuses.
        tagger = copy.deepcopy(tagger).requires_grad_(False)
        jets = len(next(iter(tensors.values())))
        rows = [
            _flops(tagger, {name: one[k : k + 1] for name, one in tensors.items()})
            for k in range(jets)
        ]
        found, what = torch.tensor(rows), FLOPS
    number = found.to(torch.float64)
    spread = float(number.std()) if len(number) > 1 else 0.0
    return {
        "value": float(number.mean()),
        "deviation": spread / len(number) ** 0.5,
        "unit": what,
        "jets": len(number),
    }


def _flops(model: nn.Module, tensors: Tensors) -> int:
    # The fused attention of the CPU is not among what torch counts; its parts are.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(tensors)
    return int(counter.get_total_flops())


def comparisons(trees: TreeEnsemble, features: Tensor) -> Tensor:
    """Nodes with a cut that each jet comes by, summed over all trees, shape (jets,)."""
    node = trees.roots.reshape(1, -1).expand(len(features), -1)
    number = torch.zeros(len(features), dtype=torch.int64)
    for _ in range(trees.depth):
        number += (trees.branches[node, 0] != node).sum(dim=1)
        x = torch.gather(features, 1, trees.feature[node])
        right = (x > trees.threshold[node]) | (torch.isnan(x) & trees.missing_right[node])
        node = trees.branches.reshape(-1)[2 * node + right]
    return number
