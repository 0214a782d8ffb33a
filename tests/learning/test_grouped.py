"""Layers of several networks at once."""

import pytest
import torch

from fullchain.learning.grouped import GroupedLinear


@pytest.mark.parametrize("shape", [(7, 4), (7, 5, 4)])
def test_each_member_is_a_linear_layer(shape):
    layer = GroupedLinear(3, 4, 2)
    rows = torch.randn(shape)
    own = torch.randn(3, *shape)
    shared, single = layer(rows, shared=True), layer(own)
    for member in range(3):
        alone = torch.nn.Linear(4, 2)
        alone.weight.data = layer.weight[member].T
        alone.bias.data = layer.bias[member, 0]
        torch.testing.assert_close(shared[member], alone(rows))
        torch.testing.assert_close(single[member], alone(own[member]))


def test_members_start_differently():
    layer = GroupedLinear(2, 50, 50)
    assert not torch.equal(layer.weight[0], layer.weight[1])
