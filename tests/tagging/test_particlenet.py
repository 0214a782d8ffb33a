"""ParticleNet against its definition, edge by edge, and the laws of a network on sets."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import batch_norm, cross_entropy

from fullchain.learning.training import initialised
from fullchain.tagging import edge_network
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.edge_network import Normalisation
from fullchain.tagging.particlenet import (
    EdgeConv,
    ParticleNet,
    _Packing,
    _Padded,
    feature_distance,
    plane_distance,
)
from fullchain.tagging.particlenet_settings import LITE, ParticleNetSettings

N = 14
SMALL: dict[str, Any] = {"neighbours": 4, "blocks": ((8, 8), (12, 12)), "fc": (8,)}


@pytest.fixture(autouse=True)
def repeatable() -> Any:
    """One thread, and only kernels that training may use."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def cloud(counts: list[int], seed: int = 0, entries: int = N) -> ParticleCloud:
    """Jets of these numbers of particles; padding has large numbers."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(entries) < torch.tensor(counts)[:, None]
    shapes = (7, 2, 4)
    parts = [torch.randn(len(counts), entries, size, generator=generator) for size in shapes]
    features, angles, momenta = (torch.where(mask[..., None], one, 1e4 * one) for one in parts)
    return ParticleCloud(features, mask, angles, momenta)


def network(seed: int = 3, **changes: Any) -> ParticleNet:
    """A small network whose batch norms have moments of a training."""
    built = initialised(seed, lambda: ParticleNet(7, 3, **{**SMALL, **changes}))
    assert isinstance(built, ParticleNet)
    for number in range(20):
        built.train()(cloud([N, 9, 3, 11], seed=100 + number))
    return built.eval()


def scores(chosen: ParticleNet, jets: ParticleCloud) -> Tensor:
    with torch.no_grad():
        return torch.softmax(chosen(jets), dim=1)


def built(settings: ParticleNetSettings, features: int = 7) -> ParticleNet:
    return ParticleNet(features, 2, **settings.model_dump(exclude={"kind"}))


def parameters(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


def test_published_numbers_of_parameters() -> None:
    # 1902.08570, table 5: 366k and 26k, with the seven inputs of its table 1 and two classes.
    full, lite = parameters(built(ParticleNetSettings())), parameters(built(LITE))
    assert round(full, -3) == 366_000 and round(lite, -3) == 26_000
    # By hand: normalisation, layers on edges with theirs, shortcut with its, dense layers.
    edges = 2 * 7 * 32 + 2 * 32 * 32 + 3 * 64 + 7 * 32 + 64
    edges += 2 * 32 * 64 + 2 * 64 * 64 + 3 * 128 + 32 * 64 + 128
    assert lite == 14 + edges + 65 * 128 + 129 * 2 == 26_416
    assert full == 366_160


def test_fusion_has_multiples_of_128() -> None:
    with_fusion = built(ParticleNetSettings(fusion=True))
    assert with_fusion.fusion is not None and with_fusion.fusion.size == 384
    assert parameters(with_fusion) - 366_160 == 448 * 384 + 2 * 384 + (384 - 256) * 256


@pytest.mark.parametrize("counts", [[N, 9, 4], [1, 0, 2]])
def test_neighbours_against_brute_force(counts: list[int]) -> None:
    jets, k = cloud(counts), 5
    packing = _Packing(jets.mask)
    inside = packing.padded(packing.packed(jets.features))
    for distance, points in (
        (plane_distance(jets.angles), jets.angles),
        (feature_distance(inside), jets.features),
    ):
        found = packing.nearest(distance, k)
        start, row = 0, 0
        for jet, count in enumerate(counts):
            for one in range(count):
                apart = (points[jet, :count] - points[jet, one]).double().norm(dim=1)
                apart[one] = torch.inf
                others = apart.argsort()[: min(k, count - 1)] + start
                expected = {*others.tolist(), *([sum(counts)] if count <= k else [])}
                assert set(found[row].tolist()) == expected
                row += 1
            start += count


def test_neighbours_of_duplicates_are_not_the_particle_itself() -> None:
    angles = torch.tensor([[[0.1, 0.2]] * 3 + [[0.5, 0.5]] * 2])
    packing = _Packing(torch.ones(1, 5, dtype=torch.bool))
    found = packing.nearest(plane_distance(angles), 2)
    assert [set(row) for row in found[:3].tolist()] == [{1, 2}, {0, 2}, {0, 1}]
    assert 4 in found[3] and 3 in found[4]
    # Of more at the same distance than are asked for, the first.
    grid = torch.tensor([[[0.0, 0.0], [1, 0], [0, 1], [-1, 0], [0, -1]]])
    mask = torch.ones(1, 5, dtype=torch.bool)
    found = _Packing(mask).nearest(plane_distance(grid), 2)
    assert set(found[0].tolist()) == {1, 2} and set(found[1].tolist()) == {0, 2}


def test_neighbours_far_from_zero_are_chosen_by_distance() -> None:
    # In single precision, the squares of these numbers leave nothing of the distances.
    torch.manual_seed(7)
    points = 300 + 1e-2 * torch.randn(3, N, 8)
    packing = _Packing(torch.ones(3, N, dtype=torch.bool))
    found = packing.nearest(feature_distance(points), 4).view(3, N, 4) - N * torch.arange(3).view(
        3, 1, 1
    )
    exact = torch.cdist(points.double(), points.double()).masked_fill(
        torch.eye(N).bool(), torch.inf
    )
    expected = exact.topk(4, largest=False).indices
    assert torch.equal(found.sort().values, expected.sort().values)


@pytest.mark.parametrize("counts", [[N, 9, 4], [1, 0, 2]])
@pytest.mark.parametrize("k", [5, N + 3])
def test_padded_and_packed_neighbours_agree(counts: list[int], k: int) -> None:
    jets = cloud(counts)
    packed, padded = _Packing(jets.mask), _Padded(jets.mask)
    distance = plane_distance(jets.angles)
    entry = torch.cat([packed.slots, padded.total])
    found = entry[packed.nearest(distance, k)]
    expected = padded.nearest(distance, k)[packed.slots]
    assert torch.equal(found.sort().values, expected.sort().values)


def by_definition(block: EdgeConv, rows: Tensor, neighbours: Tensor) -> Tensor:
    """Edges as pairs of vectors, then layer by layer as 1902.08570 draws them."""
    others = torch.cat([rows, torch.zeros_like(rows[:1])])[neighbours]
    own = rows[:, None].expand_as(others)
    values = torch.cat([own, others - own], dim=2).flatten(0, 1)
    for linear, norm in zip(block.linears, block.norms, strict=True):
        values = linear(values)
        values = batch_norm(values, None, None, norm.weight, norm.bias, training=True).relu()
    around = rows
    if block.shortcut is not None:
        around = block.shortcut(rows)
        norm = block.shortcut_norm
        around = batch_norm(around, None, None, norm.weight, norm.bias, training=True)
    return (around + values.view(*neighbours.shape, -1).mean(dim=1)).relu()


@pytest.mark.parametrize("features", [6, 9])
def test_block_in_training_against_its_definition(
    features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces of two particles, the last of one: their moments and gradients must add up.
    monkeypatch.setattr(edge_network, "PIECE", 2 * 4 * 9)
    torch.manual_seed(2)
    block = EdgeConv(features, (8, 7, 9)).double()
    for norm in block.norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    rows = torch.randn(21, features, dtype=torch.float64, requires_grad=True)
    neighbours = torch.randint(0, 22, (21, 4))
    toward = torch.randn(21, 9, dtype=torch.float64)
    leaves = [rows, *block.parameters()]
    found, expected = block(rows, neighbours), by_definition(block, rows, neighbours)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad((found * toward).sum(), leaves)
    for one, two in zip(
        gradients, torch.autograd.grad((expected * toward).sum(), leaves), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-10)


def test_moments_are_those_of_torch() -> None:
    torch.manual_seed(2)
    block = EdgeConv(6, (8,))
    rows, neighbours = torch.randn(40, 6) + 3, torch.randint(0, 41, (40, 4))
    others = torch.cat([rows, torch.zeros(1, 6)])[neighbours]
    own = rows[:, None].expand_as(others)
    reference = nn.BatchNorm1d(8)
    for _ in range(3):
        reference(block.linears[0](torch.cat([own, others - own], dim=2).flatten(0, 1)))
        block(rows, neighbours)
    torch.testing.assert_close(block.norms[0].running_mean, reference.running_mean)
    torch.testing.assert_close(block.norms[0].running_var, reference.running_var)


def test_layers_and_pieces_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_network, "PIECE", 100)
    torch.manual_seed(6)
    options: dict[str, Any] = {"dtype": torch.float64, "requires_grad": True}
    centre, neighbour = torch.randn(30, 5, **options), torch.randn(31, 5, **options)
    index = torch.randint(0, 31, (30, 3))
    weight = torch.randn(6, 5, **options)
    norms = [
        Normalisation(torch.randn(size, **options), torch.randn(size, **options), 1e-5)
        for size in (5, 6)
    ]
    leaves = [centre, neighbour, weight, *norms[0][:2], *norms[1][:2]]
    results = []
    for function in (edge_network.edge_mean, edge_network.edge_mean_by_layers):
        mean, moments = function(centre, neighbour, index, [weight], norms)
        flat = [part for layer in moments for part in layer]
        results.append([mean, *flat, *torch.autograd.grad(mean.sin().sum(), leaves)])
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_score_in_pieces_is_the_score_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen, jets = network(), cloud([N, 5, 1, 12])
    in_one = torch.softmax(chosen(jets), dim=1)
    monkeypatch.setattr(edge_network, "PIECE", 50)
    torch.testing.assert_close(scores(chosen, jets), in_one, rtol=0, atol=1e-6)


@hypothesis_settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**20), more=st.integers(0, 9), scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_padding_and_order_change_no_score(seed: int, more: int, scale: float) -> None:
    chosen = network(fusion=seed % 2 == 0)
    counts = [N, 9, 5, 2, 1]
    jets = cloud(counts, seed)
    order = torch.stack([torch.randperm(N + more) for _ in counts])

    def other(values: Tensor) -> Tensor:
        shape = (len(counts), more, *values.shape[2:])
        padding = torch.zeros(shape, dtype=values.dtype)
        if values.dtype != torch.bool:
            values = torch.where(jets.mask[..., None], values, scale * torch.ones_like(values))
            padding += scale
        longer = torch.cat([values, padding], dim=1)
        return torch.stack([one[rows] for one, rows in zip(longer, order, strict=True)])

    changed = ParticleCloud(*(other(values) for values in jets))
    before = scores(chosen, jets)
    torch.testing.assert_close(scores(chosen, changed), before, rtol=0, atol=1e-5)
    # Nor does it reach what a training batch does to the moments.
    chosen.train()(jets)
    moments = {name: value.clone() for name, value in chosen.named_buffers()}
    again = network(fusion=seed % 2 == 0)
    again.train()(changed)
    for name, value in again.named_buffers():
        torch.testing.assert_close(value, moments[name], rtol=1e-4, atol=1e-5)


def test_score_depends_on_the_particles() -> None:
    chosen, jets = network(), cloud([N, 9])
    for position, name in ((0, "features"), (2, "angles")):
        changed = [*jets]
        changed[position] = changed[position].clone()
        changed[position][:, 2] += 1.0
        difference = scores(chosen, jets) - scores(chosen, ParticleCloud(*changed))
        assert difference.abs().amax(dim=1).min() > 1e-4, name


def test_jets_of_one_particle_or_none_give_numbers() -> None:
    chosen = network()
    assert torch.isfinite(scores(chosen, cloud([1, 0, N]))).all()
    assert torch.isfinite(scores(chosen, cloud([0, 0]))).all()
    assert torch.isfinite(scores(chosen, cloud([1, 2], entries=2))).all()
    assert scores(chosen, ParticleCloud(*(one[:0] for one in cloud([3])))).shape == (0, 3)


def test_gradients_with_duplicated_particles_are_finite() -> None:
    jets = cloud([N, 9, 2])
    same = ParticleCloud(
        jets.features[:, :1].repeat(1, N, 1),
        jets.mask,
        jets.angles[:, :1].repeat(1, N, 1),
        jets.momenta,
    )
    chosen = initialised(3, lambda: ParticleNet(7, 2, **SMALL)).train()
    features = same.features.clone().requires_grad_()
    loss = cross_entropy(chosen(same._replace(features=features)), torch.tensor([0, 1, 0]))
    loss.backward()
    assert features.grad is not None and torch.isfinite(features.grad).all()
    for name, weights in chosen.named_parameters():
        assert weights.grad is not None and torch.isfinite(weights.grad).all(), name


def prongs(jets: int, seed: int) -> tuple[ParticleCloud, Tensor]:
    """Particles around one axis, or around two at a random angle; angles are all there is."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(jets) % 2
    turn = 2 * np.pi * torch.rand(jets, generator=generator)
    axis = 0.5 * torch.stack([turn.cos(), turn.sin()], dim=1)
    side = torch.randint(0, 2, (jets, N, 1), generator=generator) * 2.0 - 1
    angles = 0.15 * torch.randn(jets, N, 2, generator=generator)
    angles = angles + side * axis[:, None] * label[:, None, None]
    features = torch.cat([angles, torch.randn(jets, N, 5, generator=generator)], dim=2)
    mask = torch.arange(N) < torch.randint(6, N + 1, (jets, 1), generator=generator)
    return ParticleCloud(features, mask, angles, torch.zeros(jets, N, 4)), label


def test_learns_to_count_prongs() -> None:
    chosen = initialised(1, lambda: ParticleNet(7, 2, **SMALL)).train()
    optimiser = torch.optim.Adam(chosen.parameters(), lr=0.01)
    for step in range(25):
        jets, label = prongs(64, seed=step)
        optimiser.zero_grad()
        cross_entropy(chosen(jets), label).backward()
        optimiser.step()
    jets, label = prongs(400, seed=1000)
    with torch.no_grad():
        right = chosen.eval()(jets).argmax(dim=1) == label
    assert right.float().mean() > 0.95
