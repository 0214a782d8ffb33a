"""Networks on graphs: laws, what they learn, and that nothing is ever NaN."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.learning.standardise import Standardisation
from fullchain.learning.training import initialised, train
from fullchain.pileup import learned_data
from fullchain.pileup.attention_layers import AttentionHead
from fullchain.pileup.candidate_events import CandidateEvents
from fullchain.pileup.candidate_features import GLOBALS, density, features, names
from fullchain.pileup.cloud_graph import Points, near_in_direction, near_in_features
from fullchain.pileup.graph_network import FractionLoss, GraphNetwork, packed
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.learned_rows import graph_rows
from fullchain.pileup.learned_weights import graph_weights, learned_weights
from fullchain.pileup.windows import azimuth, tiles

Toy = Callable[..., CandidateEvents]

SMALL: dict[str, dict[str, Any]] = {
    "gated": {"kind": "gated", "hidden": 12, "fc": [16], "neighbours": 24},
    "attention": {
        "kind": "attention",
        "neighbours": 10,
        "blocks": [
            {"heads": 1, "size": 8, "layers": [16, 16]},
            {"space": "features", "heads": 2, "size": 8, "layers": [16]},
        ],
        "pooled": 16,
        "fc": [16, 16],
    },
}
KINDS = sorted(SMALL)


def settings_of(kind: str, **changes: Any) -> GraphSettings:
    return GraphSettings.model_validate(
        {"samples": ["toy"], "layers": SMALL[kind], "windows": {"points": 128}} | changes
    )


def network_of(settings: GraphSettings, seed: int = 1) -> GraphNetwork:
    number = len(names(settings.local_sums))
    scale = Standardisation((0.5,) * number, (0.7,) * number)
    events = Standardisation((2.0,) * len(GLOBALS), (1.0,) * len(GLOBALS))
    built = initialised(seed, lambda: GraphNetwork(settings, scale, events))
    assert isinstance(built, GraphNetwork)
    return built.eval()


def points_of(events: CandidateEvents, settings: GraphSettings) -> Points:
    told = features(events, settings.tracker_eta, settings.local_sums)
    place = np.stack([events.eta, events.phi], axis=1).astype(np.float32)
    return Points(
        torch.from_numpy(told.candidates),
        torch.from_numpy(place),
        torch.from_numpy(told.events),
        torch.from_numpy(events.offsets),
    )


def shuffled(events: CandidateEvents, order: np.ndarray) -> CandidateEvents:
    columns = ("pt", "eta", "phi", "charge", "pdg_id", "origin", "from_pv", "dz", "hard_fraction")
    return replace(events, **{name: getattr(events, name)[order] for name in columns})


def test_published_sizes() -> None:
    """The sizes of the attention network are those of the authors' program."""
    built = network_of(GraphSettings(samples=("a",), layers={"kind": "attention"}))
    shapes = {name: tuple(weights.shape) for name, weights in built.named_parameters()}
    assert shapes["layers.blocks.0.heads.0.edge.weight"] == (32, len(names(True)))
    assert shapes["layers.blocks.1.heads.1.edge.weight"] == (64, 128)
    joined = 16 + (64 + 128 + 128) + 32 + (128 + 128) + 2 * 64
    assert shapes["layers.joined.0.weight"] == (128, joined)
    assert shapes["layers.last.0.0.weight"] == (256, 2 * 128)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_do_not_depend_on_the_order_of_candidates(kind: str, toy_events: Toy) -> None:
    settings = settings_of(kind)
    events, network = toy_events(1, 4), network_of(settings)
    order = np.random.default_rng(0).permutation(len(events.pt))
    plain = graph_weights(network, events, settings)
    again = graph_weights(network, shuffled(events, order), settings)
    np.testing.assert_allclose(again, plain[order], atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_do_not_depend_on_other_events(kind: str, toy_events: Toy) -> None:
    settings = settings_of(kind)
    both, network = toy_events(2, 4), network_of(settings)
    first = both.select(np.arange(len(both.pt)) < both.offsets[1])
    plain = graph_weights(network, both, settings)
    np.testing.assert_allclose(
        graph_weights(network, first, settings), plain[: both.offsets[1]], atol=2e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str, toy_events: Toy) -> None:
    settings = settings_of(kind)
    rows = graph_rows(toy_events(4), settings, 1, "toy")
    assert rows is not None
    batch = {name: torch.from_numpy(values) for name, values in rows.items()}
    network = network_of(settings)
    wider = {
        name: torch.cat([values, torch.zeros_like(values[:, :40])], dim=1)
        if name != "of_event"
        else values
        for name, values in batch.items()
    }
    wider["features"][:, -40:] = 1e6  # what stands in padding must not matter
    with torch.no_grad():
        assert torch.equal(network(packed(batch)), network(packed(wider)))


def test_gated_layers_are_those_of_a_dense_matrix(toy_events: Toy) -> None:
    """Against sums over an adjacency matrix, written as in 1511.05493."""
    settings = settings_of("gated", layers=SMALL["gated"] | {"neighbours": 500})
    events, network = toy_events(1, 5), network_of(settings).double()
    points = points_of(events, settings)
    points = replace(
        points,
        features=points.features.double(),
        place=points.place.double(),
        of_group=points.of_group.double(),
    )
    layers = network.layers
    told = torch.cat(
        [
            network.standardise(points.features),
            network.standardise_event(points.of_group).expand(len(points.features), -1),
        ],
        dim=1,
    )
    eta, phi = points.place.T
    turn = (phi[:, None] - phi + torch.pi) % (2 * torch.pi) - torch.pi
    apart = torch.sqrt((eta[:, None] - eta) ** 2 + turn**2).fill_diagonal_(9.0)
    with torch.no_grad():
        state = torch.tanh(layers.embedding(told))
        for _ in range(layers.settings.rounds):
            means, low = [], 0.0
            for high in layers.settings.rings:
                edges = ((apart >= low) & (apart < high)).double()
                means.append(edges @ state / edges.sum(dim=1, keepdim=True).clamp(min=1))
                low = high
            state = layers.gate(layers.message(torch.cat(means, dim=1)), state)
        expected = layers.last(torch.cat([state, told], dim=1)).squeeze(1)
        torch.testing.assert_close(network(points), expected, rtol=1e-6, atol=1e-6)


def test_an_attention_head_is_the_published_formula(toy_events: Toy) -> None:
    """Against a loop over candidates and their edges x_i - x_j."""
    settings = settings_of("attention")
    points = points_of(toy_events(1, 6), settings)
    head = initialised(2, lambda: AttentionHead(points.features.shape[1], 6)).double().eval()
    x = torch.tanh(points.features.double())
    near = near_in_direction(points, 0.3, 5)
    with torch.no_grad():
        pooled, edges = head(x, near)
        for i in range(len(x)):
            there = near.index[i][near.present[i]]
            if not len(there):
                assert torch.equal(pooled[i], torch.relu(head.bias))
                continue
            own = torch.relu(head.point_norm(head.point(x[i : i + 1])))
            y = head.edge(x[i] - x[there])
            y = torch.relu(head.edge_norm(y, torch.ones(len(y), dtype=torch.bool)))
            score = torch.nn.functional.leaky_relu(head.of_point(own) + head.of_edge(y), 0.2)
            expected = torch.relu((torch.softmax(score, dim=0) * y).sum(dim=0) + head.bias)
            torch.testing.assert_close(pooled[i], expected)
            torch.testing.assert_close(edges[i][near.present[i]], y)


def test_neighbours_in_features_stay_within_their_group() -> None:
    values = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    near = near_in_features(values, torch.tensor([0, 1, 4, 30]), 5)
    assert near.present.sum(dim=1).tolist() == [0, 2, 2, 2, *[5] * 26]
    for i in range(4, 30):
        apart = (values[4:] - values[i]).norm(dim=1)
        assert set(near.index[i].tolist()) == set((apart.argsort()[1:6] + 4).tolist())


def test_each_candidate_is_in_one_core(toy_events: Toy) -> None:
    events = toy_events(1, 7)
    windows = tiles(events.eta, events.phi, 0.5, 0.4)
    counts = np.zeros(len(events.pt), int)
    for window in windows:
        counts[window.members[window.core]] += 1
        apart = np.abs(azimuth(events.phi[window.members] - window.centre[1]))
        assert apart.max() < 0.9 + 1e-9
        assert np.abs(events.eta[window.members] - window.centre[0]).max() < 0.9 + 1e-9
    assert (counts == 1).all()


def test_a_window_with_enough_halo_gives_the_weight_of_the_event(toy_events: Toy) -> None:
    """Two rounds of messages reach twice as far as one edge."""
    settings = settings_of("gated")
    events, network = toy_events(1, 8), network_of(settings)
    whole = graph_weights(network, events, settings)
    told = points_of(events, settings)
    for window in tiles(events.eta, events.phi, 0.5, 0.8)[::5]:
        own = torch.from_numpy(window.members)
        piece = Points(
            told.features[own], told.place[own], told.of_group, torch.tensor([0, len(own)])
        )
        with torch.no_grad():
            weight = torch.sigmoid(network(piece)).numpy()
        free = window.core & (events.charge[window.members] == 0)
        np.testing.assert_allclose(weight[free], whole[window.members[free]], atol=2e-5)


def puppi_like(events: CandidateEvents) -> np.ndarray:
    """Weights of PUPPI (1407.6013) from alpha within 0.4: signed chi-squared of one degree."""
    told = features(events, 2.5, True).candidates
    alpha = told[:, names(True).index("alpha_leading")].astype(float)
    found = np.zeros(len(alpha))
    for first, last in zip(events.offsets, events.offsets[1:], strict=False):
        inside = slice(first, last)
        of_pileup = alpha[inside][(events.origin[inside] == 2) & (alpha[inside] > 0)]
        median = np.median(of_pileup) if len(of_pileup) else 0.0
        below = of_pileup[of_pileup <= median]
        spread = max(np.sqrt(np.mean((below - median) ** 2)) if len(below) else 1.0, 0.1)
        pull = np.maximum(alpha[inside] - median, 0.0) / spread
        found[inside] = [torch.erf(torch.tensor(p / 2**0.5)).item() for p in pull]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_learns_what_alpha_cannot_tell(kind: str, toy_events: Toy) -> None:
    """Sprays of pile-up and soft candidates in hard ones: less than half of the error of PUPPI.

    A third less with attention, of which so few steps teach less.
    """
    settings = settings_of(
        kind,
        charged="fixed",
        training={"epochs": 6, "batch_size": 24, "learning_rate": 1e-2},
        seeding={"per_event": 3},
    )
    rows, rest = (graph_rows(toy_events(n, s), settings, 1, "toy") for n, s in ((120, 1), (20, 2)))
    assert rows is not None and rest is not None
    training, validation = (
        {name: torch.from_numpy(values) for name, values in one.items()} for one in (rows, rest)
    )
    scales = learned_data.scales(training)  # type: ignore[arg-type]
    network = initialised(1, lambda: GraphNetwork(settings, *scales))
    loss = FractionLoss(settings, learned_data.mean_weight(training))  # type: ignore[arg-type]
    train(network, loss, training, validation, settings.training, seed=1)
    events = toy_events(40, 3)
    found = learned_weights(network, events, settings)
    neutral = events.charge == 0

    def error(weights: np.ndarray) -> float:
        assert events.hard_fraction is not None
        squares = events.pt * (weights - events.hard_fraction) ** 2
        return float(squares[neutral].sum() / events.pt[neutral].sum())

    margin = {"gated": 0.5, "attention": 0.67}[kind]
    assert error(found) < margin * error(puppi_like(events))
    assert set(found[~neutral]) == {0.0, 1.0}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "problem", ["no_pileup", "no_leading_vertex", "no_association", "forward", "one", "empty"]
)
def test_bad_events_give_weights(kind: str, problem: str, toy_events: Toy) -> None:
    settings = settings_of(kind)
    events = toy_events(2, 9)
    n = len(events.pt)
    origin, kept = events.origin.copy(), np.ones(n, bool)
    if problem == "no_pileup":
        kept = origin != 2
    elif problem == "no_leading_vertex":
        kept = origin != 1
        events = replace(events, vertices=np.full(2, np.nan))
    elif problem == "no_association":
        origin[:] = 0
        events = replace(events, dz=np.full(n, np.nan))
    elif problem == "forward":
        events = replace(events, eta=events.eta + 4.0, pdg_id=np.full(n, 1))
        kept = events.charge == 0
    elif problem == "one":
        kept = np.arange(n) == 3
    else:
        kept[:] = False
    events = replace(events, origin=origin).select(kept)
    found = learned_weights(network_of(settings), events, settings)
    assert found.shape == (kept.sum(),)
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()


def test_invalid_candidates_have_weight_zero_and_do_not_disturb(toy_events: Toy) -> None:
    settings = settings_of("gated")
    events, network = toy_events(1, 10), network_of(settings)
    plain = learned_weights(network, events, settings)
    pt, eta, phi = events.pt.copy(), events.eta.copy(), events.phi.copy()
    bad = [0, 11, 50, 71]
    pt[0], eta[11], phi[50], pt[71] = np.nan, np.inf, np.nan, 0.0
    found = learned_weights(network, replace(events, pt=pt, eta=eta, phi=phi), settings)
    assert (found[bad] == 0).all()
    kept = np.setdiff1d(np.arange(len(pt)), bad)
    others = np.zeros(len(pt), bool)
    others[kept] = True
    expected = learned_weights(network, events.select(others), settings)
    np.testing.assert_array_equal(found[kept], expected)
    assert not np.array_equal(expected, plain[kept])


def test_tracks_can_be_left_to_the_network(toy_events: Toy) -> None:
    settings = settings_of("gated")
    events, network = toy_events(1), network_of(settings)
    found = learned_weights(network, events, settings)
    assert ((found > 0) & (found < 1)).all()
    fixed = learned_weights(network, events, settings_of("gated", charged="fixed"))
    np.testing.assert_array_equal(fixed, np.where(events.charge == 0, found, events.origin == 1))


def test_features_tell_neutral_candidates_beyond_the_tracker(toy_events: Toy) -> None:
    events = toy_events(1)
    eta = np.where(events.charge == 0, events.eta + 4.0, events.eta)
    told = features(replace(events, eta=eta), 2.5, True).candidates
    inside = told[:, names(True).index("in_tracker")]
    assert (inside == (np.abs(eta) < 2.5)).all()
    neutral = events.charge == 0
    for name in ("leading", "pileup", "dz"):
        assert (told[neutral, names(True).index(name)] == 0).all()


def test_density_is_the_median_over_cells() -> None:
    """Over half of the cells filled alike: their density; else none."""
    rows, columns = 18, 11
    place = np.stack(np.meshgrid(np.arange(rows), np.arange(columns)), axis=2).reshape(-1, 2)
    eta = (place[:, 0] + 0.5) * 10.0 / rows - 5.0
    phi = (place[:, 1] + 0.5) * 2.0 * np.pi / columns
    n = len(eta)
    zeros = np.zeros(n, int)
    made = CandidateEvents(
        np.full(n, 3.0), eta, phi, zeros, zeros, zeros, zeros, eta, None, np.array([0, n, n]),
        np.ones(2), np.ones((2, 3), int),
    )  # fmt: skip
    area = 10.0 / rows * 2.0 * np.pi / columns
    np.testing.assert_allclose(density(made), [3.0 / area, 0.0])
    assert density(made.select(np.arange(n) % 3 == 0))[0] == 0.0
