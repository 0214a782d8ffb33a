"""Quantities that mitigation is judged by: jets of one event beside those of the truth."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullchain.jets.arrays import Kinematics, momenta
from fullchain.jets.clustering import cluster
from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.events import Events, Objects, Truth
from fullchain.pileup.quantities import SHAPES, Pairs, leading_jets, measure
from fullchain.pileup.reading import read_chunks


def truth(jets: Kinematics, offsets: list[int]) -> Truth:
    """Events with these particle-level AK8 jets."""
    n = len(offsets) - 1
    none = Objects(*(np.empty(0) for _ in range(4)), np.zeros(n + 1, dtype=int))
    fat = Objects(jets.pt, jets.eta, jets.phi, jets.mass, np.array(offsets))
    return Truth(np.empty(0), np.zeros(n), np.ones(n), fat, none, np.zeros((n, 2)))


def found_in(p4: np.ndarray, offsets: np.ndarray, truth: Truth) -> dict[str, Pairs]:
    """The leading AK8 jets of these candidates."""
    jets = cluster(p4, offsets, 0.8, 50.0)
    return leading_jets(p4, jets, truth.fat_jets, 0.8, EvaluationSettings())


def test_the_mass_of_two_jets_is_that_of_their_sum() -> None:
    # Three events: two jets, a lone one, three of which the softest does not count.
    jets = Kinematics(
        pt=np.array([600.0, 500.0, 700.0, 650.0, 550.0, 450.0]),
        eta=np.array([0.5, -1.0, 0.0, 1.5, -0.3, 0.1]),
        phi=np.array([0.1, -3.0, 1.0, 2.0, -1.1, 0.4]),
        mass=np.array([80.0, 170.0, 20.0, 30.0, 90.0, 10.0]),
    )
    offsets = [0, 2, 3, 6]
    p4 = momenta(jets.pt, jets.eta, jets.phi, jets.mass)
    found = found_in(p4, np.array(offsets), truth(jets, offsets))
    pairs = found["dijet_mass"]
    expected = [Kinematics.of((p4[a] + p4[b])[None]).mass[0] for a, b in ((0, 1), (3, 4))]
    assert pairs.event.tolist() == [0, 2]
    assert pairs.reference == pytest.approx(expected)
    # Jets of one candidate each are the candidates.
    assert pairs.value == pytest.approx(expected)
    # Back to back at rest, two massless jets of 600 GeV have a mass of 1200 GeV.
    pair = Kinematics(np.full(2, 600.0), np.zeros(2), np.array([0.0, np.pi]), np.zeros(2))
    p4 = momenta(pair.pt, pair.eta, pair.phi, pair.mass)
    found = found_in(p4, np.array([0, 2]), truth(pair, [0, 2]))
    assert found["dijet_mass"].value == pytest.approx(1200.0)


def test_a_lost_jet_leaves_no_mass() -> None:
    pair = Kinematics(np.full(2, 600.0), np.zeros(2), np.array([0.0, np.pi]), np.zeros(2))
    p4 = momenta(pair.pt[:1], pair.eta[:1], pair.phi[:1], pair.mass[:1])
    found = found_in(p4, np.array([0, 1]), truth(pair, [0, 2]))
    assert np.isnan(found["dijet_mass"].value).all() and len(found["dijet_mass"].value) == 1
    for name in SHAPES:
        assert np.isfinite(found[name].value).tolist() == [True, False]


def test_shapes_are_those_of_the_matched_jets() -> None:
    # Of two particles 0.3 apart, and of one; a third jet stands between them in pT.
    pt, eta = np.array([400.0, 200.0, 550.0, 500.0]), np.array([0.0, 0.3, 1.5, -1.5])
    p4 = momenta(pt, eta, np.array([0.0, 0.0, 2.0, -2.0]), np.zeros(4))
    first = Kinematics.of(p4[:1] + p4[1:2])
    jets = Kinematics(
        *(np.append(getattr(first, name), [500.0, -1.5, -2.0, 0.0][i])
          for i, name in enumerate(("pt", "eta", "phi", "mass")))
    )  # fmt: skip
    found = found_in(p4, np.array([0, 4]), truth(jets, [0, 2]))
    beta = EvaluationSettings().correlation_beta
    assert found["jet_pt"].value == pytest.approx([first.pt[0], 500.0])
    assert found["n95"].value.tolist() == [2.0, 1.0]
    assert found["ecf2"].value == pytest.approx([400 * 200 * 0.3**beta, 0.0])
    assert found["ecf3"].value.tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def toy_events(toy: Path) -> Events:
    (chunk,) = read_chunks(toy, events_per_chunk=100, truth=True)
    return chunk.events


def with_more(events: Events, pt: float) -> tuple[Events, np.ndarray]:
    """One more neutral candidate at the end of each event, and which are the old ones."""
    ends = events.event_offsets[1:]
    new = {
        "pt": pt, "eta": 0.1, "phi": 0.2, "mass": 0.0, "charge": 0, "pdg_id": 22, "from_pv": 3,
        "dz": np.nan, "stored_weight": 1.0,
    }  # fmt: skip
    columns = {name: np.insert(getattr(events, name), ends, value) for name, value in new.items()}
    assert events.truth is not None
    fraction = np.insert(events.truth.hard_fraction, ends, 0.0)
    old = np.insert(np.ones(len(events.pt), bool), ends, False)
    return replace(
        events, **columns, event_offsets=events.event_offsets + np.arange(len(events) + 1),
        truth=replace(events.truth, hard_fraction=fraction),
    ), old  # fmt: skip


@pytest.mark.parametrize("jets", ["AK8", "AK4"])
def test_candidates_without_weight_change_nothing(toy_events: Events, jets: str) -> None:
    chosen = EvaluationSettings.model_validate({"leading_jets": jets})
    assert toy_events.truth is not None
    weights = toy_events.truth.hard_fraction
    more, old = with_more(toy_events, 50.0)
    zero = np.zeros(len(old))
    zero[old] = weights
    before, after = measure(toy_events, weights, chosen), measure(more, zero, chosen)
    assert np.isfinite(before.pairs["ecf3"].value).any()
    for name, pairs in before.pairs.items():
        assert after.pairs[name].value == pytest.approx(pairs.value, rel=1e-12, nan_ok=True)
    assert np.array_equal(before.kept.hard_kept, after.kept.hard_kept)
    # One of little weight changes little, as far as shapes are safe in the infrared.
    zero[~old] = 1e-9
    soft = measure(more, zero, chosen)
    for name in ("jet_pt", "jet_mass", "n95", "ecf2"):
        assert soft.pairs[name].value == pytest.approx(
            before.pairs[name].value, rel=1e-4, nan_ok=True
        )


def test_the_radius_of_the_leading_jets_is_chosen(toy_events: Events) -> None:
    ones = np.ones(len(toy_events.pt))
    pt = {
        jets: measure(
            toy_events, ones, EvaluationSettings.model_validate({"leading_jets": jets})
        ).pairs["jet_pt"]
        for jets in ("AK8", "AK4")
    }
    # The file has the same particle-level jets for both; the area of a jet takes up pile-up.
    assert np.array_equal(pt["AK8"].reference, pt["AK4"].reference)
    assert np.nanmean(pt["AK8"].value - pt["AK4"].value) > 10.0
