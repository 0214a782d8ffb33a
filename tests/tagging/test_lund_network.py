"""LundNet against its definition edge by edge, and the laws of what is padding."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fullchain.learning.training import initialised
from fullchain.tagging.lund_network import EdgeConv, LundNetwork
from fullchain.tagging.lund_settings import LundSettings
from fullchain.tagging.lund_tree import lund_trees
from fullchain.tagging.masked_norm import MaskedBatchNorm

SMALL = {"blocks": ((8, 8), (8, 12)), "fusion": 16, "head": (10,)}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def batch(seed: int, jets: int = 6, particles: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    constituents = np.zeros((jets, particles, 4), np.float32)
    constituents[..., 0] = rng.exponential(9, (jets, particles)) + 0.05
    constituents[..., 1:3] = rng.normal(0, 0.3, (jets, particles, 2))
    for jet in range(jets):
        constituents[jet, 3 + 2 * jet :, 0] = 0
    trees = lund_trees(constituents)
    return tuple(torch.from_numpy(x) for x in (trees.features, trees.mask, trees.neighbours))


def network(**sizes: object) -> LundNetwork:
    """With running statistics that are not those at the start."""
    built = initialised(3, lambda: LundNetwork(5, 3, **(SMALL | sizes)))
    assert isinstance(built, LundNetwork)
    with torch.no_grad():
        for seed in range(3):
            built(*batch(seed))
    return built.eval()


def test_published_sizes() -> None:
    # widths 5-32-32-64-64-128-128, each block: theta, phi, the second layer, two batch norms of two
    # parameters each, and where the width changes a shortcut with its batch norm
    widths = [5, 32, 32, 64, 64, 128, 128]
    expected = 2 * 5
    for before, after in pairwise(widths):
        expected += 2 * before * after + after * after + 4 * after
        expected += before * after + 2 * after if before != after else 0
    expected += (448 + 1) * 384 + 2 * 384 + (384 + 1) * 256 + (256 + 1) * 2
    settings = LundSettings()
    built = LundNetwork(
        len(settings.coordinates),
        2,
        blocks=settings.blocks,
        fusion=settings.fusion,
        head=settings.head,
        dropout=settings.dropout,
    )
    assert sum(weights.numel() for weights in built.parameters()) == expected == 391724


def test_edge_convolution_edge_by_edge() -> None:
    features, mask, neighbours = batch(1, jets=1)
    block = initialised(1, lambda: EdgeConv(5, (7, 4))).eval()
    own = torch.arange(mask.shape[1])[None, :, None]
    edges = (neighbours != own) & mask.unsqueeze(-1)
    x = features[0]
    for node in mask[0].nonzero()[:, 0].tolist():
        messages = []
        for other in neighbours[0, node].tolist():
            if other != node:
                e = block.theta(x[node] - x[other]) + block.phi(x[other])
                e = torch.relu(e / np.sqrt(1 + 1e-5))
                messages.append(torch.relu(block.layers[0](e) / np.sqrt(1 + 1e-5)))
        shortcut = block.shortcut(x[node]) / np.sqrt(1 + 1e-5)
        expected = torch.relu(torch.stack(messages).mean(dim=0) + shortcut)
        found = block(features, mask, neighbours, edges)[0, node]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_masked_batch_norm_is_that_of_torch_on_what_is_not_masked() -> None:
    torch.manual_seed(1)
    x, mask = 3 + 2 * torch.randn(5, 7, 4), torch.rand(5, 7) < 0.6
    ours, theirs = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    for _ in range(3):
        torch.testing.assert_close(ours(x, mask)[mask], theirs(x[mask]), rtol=1e-4, atol=1e-5)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x, mask)[mask], theirs(x[mask]), rtol=1e-4, atol=1e-5)
    assert set(ours.state_dict()) == set(theirs.state_dict())


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(training: bool) -> None:
    features, mask, neighbours = batch(4)
    built = network(dropout=0.0).train(training)
    expected = built(features, mask, neighbours)
    extra = 9
    more = torch.arange(mask.shape[1], mask.shape[1] + extra)[None, :, None].expand(6, -1, 3)
    features = torch.cat([features, torch.zeros(6, extra, 5)], dim=1)
    neighbours = torch.cat([neighbours, more], dim=1)
    mask = torch.cat([mask, torch.zeros(6, extra, dtype=torch.bool)], dim=1)
    features[~mask] = 1e30 * torch.randn(int((~mask).sum()), 5)
    neighbours[~mask] = 0
    torch.testing.assert_close(built(features, mask, neighbours), expected, atol=1e-5, rtol=1e-5)


@hypothesis_settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**20), more=st.integers(0, 9), scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_padding_and_order_of_particles_change_no_score(seed: int, more: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    counts, size = (20, 9, 3, 2, 1, 0), 20
    jets = np.zeros((len(counts), size, 4), np.float32)
    jets[..., 0] = rng.exponential(9, jets.shape[:2]) + 0.05
    jets[..., 1:3] = rng.normal(0, 0.3, (*jets.shape[:2], 2))
    for jet, count in enumerate(counts):
        jets[jet, count:, 0] = 0
    padded = np.concatenate([jets, np.zeros((len(counts), more, 4), np.float32)], axis=1)
    padded[padded[..., 0] == 0, 1:] = scale
    mixed = np.stack([one[rng.permutation(size + more)] for one in padded])
    built = network()
    scores = []
    for particles in (jets, mixed):
        trees = lund_trees(particles)
        tensors = (torch.from_numpy(x) for x in (trees.features, trees.mask, trees.neighbours))
        with torch.no_grad():
            scores.append(torch.softmax(built(*tensors), dim=1))
    torch.testing.assert_close(scores[1], scores[0], rtol=0, atol=1e-4)
    # One particle, or none: the empty plane; two: one declustering.
    torch.testing.assert_close(scores[0][4], scores[0][5])
    assert (scores[0][3] - scores[0][4]).abs().max() > 1e-5


def test_order_of_nodes_changes_nothing() -> None:
    features, mask, neighbours = batch(5)
    built = network()
    order = torch.randperm(mask.shape[1], generator=torch.Generator().manual_seed(2))
    place = torch.argsort(order)
    moved = built(features[:, order], mask[:, order], place[neighbours[:, order]])
    torch.testing.assert_close(moved, built(features, mask, neighbours), atol=1e-5, rtol=1e-5)


def test_edges_of_the_tree_matter() -> None:
    features, mask, neighbours = batch(6)
    built = network()
    own = torch.arange(mask.shape[1])[None, :, None].expand_as(neighbours)
    difference = built(features, mask, neighbours) - built(features, mask, own)
    assert difference.abs().amax(dim=1).min() > 1e-3


def test_jets_without_declusterings_are_finite_in_training_too() -> None:
    features, mask, neighbours = batch(7)
    mask[:2] = False
    built = network().train()
    built(features, mask, neighbours).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in built.parameters())
    nothing = torch.zeros_like(mask)
    built(features, nothing, neighbours).sum().backward()
    assert torch.isfinite(built.eval()(features, nothing, neighbours)).all()


def test_learns_a_correlation_of_neighbours() -> None:
    torch.manual_seed(3)
    features = torch.randn(64, 12, 5)
    mask = torch.ones(64, 12, dtype=torch.bool)
    chain = torch.arange(12)
    links = torch.stack([(chain - 1).clamp(min=0), (chain + 1).clamp(max=11), chain], dim=-1)
    neighbours = links.repeat(64, 1, 1)
    target = ((features[:, :-1, 0] * features[:, 1:, 0]).mean(dim=1) > 0).long()
    built = initialised(5, lambda: LundNetwork(5, 2, **(SMALL | {"dropout": 0.0})))
    optimiser = torch.optim.Adam(built.parameters(), 0.01)
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(60):
            loss = nn.functional.cross_entropy(built(features, mask, neighbours), target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    finally:
        torch.use_deterministic_algorithms(False)
    assert loss < 0.2


def test_onnx_agrees_with_torch(tmp_path: Path) -> None:
    built = network()
    path = tmp_path / "lund.onnx"
    jets = torch.export.Dim("jets")
    program = torch.onnx.export(
        built,
        batch(9, jets=2),
        dynamo=True,
        input_names=["features", "mask", "neighbours"],
        output_names=["logits"],
        dynamic_shapes=({0: jets}, {0: jets}, {0: jets}),
        verbose=False,
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path)
    for number in (1, 6):
        inputs = batch(10, jets=number)
        names = ("features", "mask", "neighbours")
        found = session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0]
        with torch.no_grad():
            np.testing.assert_allclose(found, built(*inputs).numpy(), atol=1e-5, rtol=1e-5)
