"""The declustering tree against fastjet, against the column `lund`, and in closed form."""

from typing import Any

import fastjet
import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.jets.arrays import momenta, offsets_of
from fullchain.jets.declustering import decluster
from fullchain.tagging.jets_reading import Jets
from fullchain.tagging.lund_tree import HARDER, PARENT, SOFTER, LundTrees, lund_trees
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.views import view_of


def random_jets(seed: int, jets: int = 40, particles: int = 60) -> np.ndarray:
    """Jets of 2 to `particles` particles across the seam of the azimuth, padding in between."""
    rng = np.random.default_rng(seed)
    result = np.zeros((jets, particles, 4), np.float32)
    result[..., 0] = rng.exponential(9, (jets, particles)) + 0.05
    result[..., 1] = rng.normal(0.3, 0.25, (jets, particles))
    phi = rng.normal(np.pi, 0.25, (jets, particles))
    result[..., 2] = (phi + np.pi) % (2 * np.pi) - np.pi
    result[..., 3] = 0.14
    for jet, number in enumerate(rng.integers(2, particles + 1, jets)):
        result[jet, rng.permutation(particles)[number:], 0] = 0
    return result


@pytest.fixture(scope="module")
def jets() -> np.ndarray:
    return random_jets(1)


@pytest.fixture(scope="module")
def trees(jets: np.ndarray) -> LundTrees:
    return lund_trees(jets)


def pseudojets(jet: np.ndarray) -> list[Any]:
    momentum = momenta(*jet[jet[:, 0] > 0].T)
    return [fastjet.PseudoJet(*(float(x) for x in row)) for row in momentum]


def declusterings(jet: Any) -> list[tuple[float, ...]]:
    """All declusterings below `jet`: kt, Delta, z, m by fastjet's own functions."""
    first, second = fastjet.PseudoJet(), fastjet.PseudoJet()
    if not jet.has_parents(first, second):
        return []
    if first.pt() < second.pt():
        first, second = second, first
    delta, z = first.delta_R(second), second.pt() / (first.pt() + second.pt())
    here = (second.pt() * delta, delta, z, jet.m())
    return [here, *declusterings(first), *declusterings(second)]


def test_all_declusterings_are_those_of_fastjet(jets: np.ndarray, trees: LundTrees) -> None:
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, 10.0)
    for jet, features, mask in zip(jets, trees.features, trees.mask, strict=True):
        particles = pseudojets(jet)
        sequence = fastjet.ClusterSequence(particles, definition)
        theirs = np.array(sorted(declusterings(sequence.exclusive_jets(1)[0])))
        ours = np.exp(features[mask][:, [4, 1, 0, 3]].astype(float))
        assert len(ours) == len(particles) - 1
        np.testing.assert_allclose(ours[np.argsort(ours[:, 0])], theirs, rtol=2e-5)


def test_the_harder_branches_are_the_column_lund(jets: np.ndarray, trees: LundTrees) -> None:
    filled = jets[..., 0] > 0
    momentum, offsets = momenta(*jets[filled].T), offsets_of(filled.sum(axis=1))
    _, _, _, starts, lund = decluster(momentum, offsets, 0.1, 0.0, 0.8)
    for jet in range(len(jets)):
        node, path = 0, [0]
        while trees.neighbours[jet, node, HARDER] != node:
            node = trees.neighbours[jet, node, HARDER]
            path.append(node)
        ours = np.exp(trees.features[jet, path][:, [4, 1, 0]])
        np.testing.assert_allclose(ours, lund[starts[jet] : starts[jet + 1]], rtol=1e-5)


def test_links_form_one_tree(trees: LundTrees) -> None:
    jets, nodes = trees.mask.shape
    own = np.arange(nodes)
    for jet in range(jets):
        parent = trees.neighbours[jet, :, PARENT]
        real = trees.mask[jet]
        assert parent[0] == 0
        assert (parent[real][1:] < own[real][1:]).all(), "each comes after the one it descends from"
        assert (trees.neighbours[jet, ~real] == own[~real, None]).all()
        for place in (HARDER, SOFTER):
            child = trees.neighbours[jet, :, place]
            has = child != own
            assert (parent[child[has]] == own[has]).all()
        number = sum((trees.neighbours[jet, :, p] != own).sum() for p in (HARDER, SOFTER))
        assert number == real.sum() - 1


def test_two_particles_in_closed_form() -> None:
    pt, z, delta = 600.0, 0.3, 0.4
    harder = [(1 - z) * pt, 0.0, 3.1, 0.0]
    softer = [z * pt, 0.0, 3.1 + delta - 2 * np.pi, 0.0]
    trees = lund_trees(np.array([[harder, softer, [0, 0, 0, 0]]]))
    mass = pt * np.sqrt(2 * z * (1 - z) * (1 - np.cos(delta)))
    expected = [np.log(z), np.log(delta), 0.0, np.log(mass), np.log(z * pt * delta)]
    np.testing.assert_allclose(trees.features[0, 0], expected, rtol=1e-6, atol=1e-6)
    assert trees.mask.tolist() == [[True, False]]


@pytest.mark.parametrize("angle", [-3.0, -2.0, -0.5, 0.7, 1.6, 2.9])
def test_psi_is_the_angle_of_the_softer_about_the_harder(angle: float) -> None:
    softer = [50.0, 0.1 * np.sin(angle), 0.1 * np.cos(angle), 0.0]
    trees = lund_trees(np.array([[[400.0, 0.0, 0.0, 0.0], softer]]))
    assert trees.features[0, 0, 2] == pytest.approx(angle, abs=1e-5)


def test_the_least_room_keeps_the_widest() -> None:
    jets = random_jets(5, jets=6)
    full, short = lund_trees(jets), lund_trees(jets, nodes=9)
    np.testing.assert_array_equal(short.features, full.features[:, :9])
    np.testing.assert_array_equal(short.mask, full.mask[:, :9])
    assert short.neighbours.max() == 8
    own = np.arange(9)[:, None]
    cut = np.where(full.neighbours[:, :9] < 9, full.neighbours[:, :9], own)
    np.testing.assert_array_equal(short.neighbours, cut)


def test_collinear_copies_and_lonely_particles_are_finite() -> None:
    particle = [100.0, 0.5, -1.0, 0.0]
    nothing = [0.0, 0.0, 0.0, 0.0]
    jets = np.array([[particle] * 3, [particle, nothing, nothing], [nothing] * 3], np.float32)
    trees = lund_trees(jets)
    assert np.isfinite(trees.features).all()
    assert trees.mask.sum(axis=1).tolist() == [2, 0, 0]


def test_shapes_and_types() -> None:
    trees = lund_trees(np.zeros((2, 1, 4), np.float32))
    assert trees.features.shape == (2, 1, 5)
    assert (trees.features.dtype, trees.neighbours.dtype) == (np.float32, np.int64)
    assert lund_trees(np.zeros((0, 7, 4))).mask.shape == (0, 6)


@pytest.mark.parametrize(
    ("component", "value", "message"),
    [(2, np.nan, "jet 3: phi of constituent 1 is nan"), (0, -1.0, "jet 3: pt of constituent 1")],
)
def test_a_bad_constituent_is_named(component: int, value: float, message: str) -> None:
    jets = random_jets(2, jets=5)
    jets[3, 1, component] = value
    with pytest.raises(InputError, match=message):
        lund_trees(jets)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="constituents have shape"):
        lund_trees(np.zeros((3, 4)))
    with pytest.raises(InputError, match="room for 0 nodes"):
        lund_trees(np.zeros((3, 4, 4)), nodes=0)


def test_a_jet_of_a_file_is_named() -> None:
    view = view_of(TaggerSettings.model_validate({"architecture": {"kind": "lund"}}))
    constituents = np.ones((3, 4, 4), np.float32)
    constituents[1, 2, 3] = -0.5
    jets = Jets({"event": np.array([7, 8, 9]), "jet": np.zeros(3, int)}, constituents, "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: the jet with event 8, jet 0: mass of const"):
        view.arrays(jets)
