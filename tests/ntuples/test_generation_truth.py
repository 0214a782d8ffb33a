"""Event records of Pythia: conservation, independence of blocks, weights, pruned history."""

from typing import Any

import numpy as np
import pytest

from fullchain.ntuples import processes, pythia_events, truth
from fullchain.ntuples.generation_settings import BeamSettings, GeneratedSample
from fullchain.ntuples.particles import charge_of, offsets_of

EVENTS = 60
SEEDS = (11, 12)


def open_sample(**settings: Any) -> Any:
    sample = GeneratedSample(events=100, **settings)
    return pythia_events.open_pythia(processes.sample_lines(sample, BeamSettings()))


@pytest.fixture(scope="module")
def pythia() -> Any:
    return open_sample(process="tt", pthat_min=525.0, pthat_max=675.0, shower_weights=True)


@pytest.fixture(scope="module")
def blocks(pythia: Any) -> list[pythia_events.Records]:
    """Two blocks of top pairs, generated one after the other."""
    columns = pythia_events.weight_columns
    return [
        pythia_events.flatten(pythia_events.generate(pythia, seed, EVENTS), columns(pythia))
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def records(blocks: list[pythia_events.Records]) -> pythia_events.Records:
    return blocks[0]


def total(records: pythia_events.Records, chosen: np.ndarray, what: str) -> np.ndarray:
    values = getattr(records, what)[chosen]
    return np.bincount(records.event[chosen], values, minlength=records.events)


def test_four_momentum_is_that_of_the_beams(records: pythia_events.Records) -> None:
    final = records.status > 0
    assert total(records, final, "e") == pytest.approx(13600.0, abs=1e-3)
    for axis in ("px", "py", "pz"):
        assert total(records, final, axis) == pytest.approx(0.0, abs=1e-3)


def test_stable_particles_carry_all_momentum(records: pythia_events.Records) -> None:
    stable = truth.stable(records)
    assert total(records, stable, "e") == pytest.approx(13600.0, abs=1e-3)
    long_lived = np.isin(np.abs(records.pdg_id), truth.LONG_LIVED)
    assert np.count_nonzero(stable & long_lived) > EVENTS
    # None of what they decay to counts a second time.
    assert not np.any(stable & long_lived[records.mother1] & ~long_lived)
    charge = charge_of(records.pdg_id[stable])
    assert np.all(np.bincount(records.event[stable], charge) == 2)


def test_visible_and_neutrinos_are_the_stable_ones(records: pythia_events.Records) -> None:
    visible, neutrinos = truth.visible(records)
    both = np.sort(np.concatenate([visible, neutrinos]))
    assert np.array_equal(both, np.flatnonzero(truth.stable(records)))
    assert set(np.abs(records.pdg_id[neutrinos])) <= {12, 14, 16}


def test_a_block_does_not_depend_on_what_ran_before(
    pythia: Any, blocks: list[pythia_events.Records]
) -> None:
    fresh = open_sample(process="tt", pthat_min=525.0, pthat_max=675.0, shower_weights=True)
    for generator in (fresh, pythia):
        again = pythia_events.flatten(
            pythia_events.generate(generator, SEEDS[1], EVENTS),
            pythia_events.weight_columns(generator),
        )
        for name in ("pdg_id", "px", "e", "z", "weights"):
            assert np.array_equal(getattr(again, name), getattr(blocks[1], name)), name
    assert not np.array_equal(blocks[0].px[:1000], blocks[1].px[:1000])


def test_weights_are_chosen_by_label(pythia: Any, records: pythia_events.Records) -> None:
    info = pythia.infoPython()
    names = [info.weightNameByIndex(index).lower() for index in range(info.numberOfWeights())]
    batch = pythia_events.generate(pythia, SEEDS[0], 5)
    every = np.array([list(event) for event in batch.info.weights])
    # The label and the setting of a variation stand in different columns with equal weights.
    assert records.weights[:5, 1] == pytest.approx(every[:, names.index("isr.murfac=0.5")])
    assert records.weights[:5, 3] == pytest.approx(every[:, names.index("isr.murfac=2.0")])
    assert records.weights.shape == (EVENTS, 5)
    assert np.all(records.weights[:, 0] == 1.0)


def test_shower_weights_leave_most_statistics(blocks: list[pythia_events.Records]) -> None:
    weights = np.concatenate([block.weights[:, 1:] for block in blocks])
    effective = weights.sum(axis=0) ** 2 / (len(weights) * (weights**2).sum(axis=0))
    assert np.all(effective > 0.75)
    error = weights.std(axis=0) / np.sqrt(len(weights))
    assert np.all(np.abs(weights.mean(axis=0) - 1.0) < 4.0 * error)
    # More radiation up, less down: the two move apart.
    assert np.corrcoef(weights[:, 0], weights[:, 2])[0, 1] < 0
    assert np.corrcoef(weights[:, 1], weights[:, 3])[0, 1] < 0


def test_mothers_stand_before_daughters(records: pythia_events.Records) -> None:
    history = truth.prune(records)
    begin = offsets_of(history.event, records.events)[history.event]
    own = np.arange(len(history.event)) - begin
    assert np.all(history.mother < own)
    assert np.all(history.mother >= -1)
    # The mother is an ancestor in the full record, and no kept particle stands between them.
    kept = set(history.source.tolist())
    for i in np.flatnonzero(history.mother >= 0)[:400]:
        place = records.mother1[history.source[i]]
        while place not in kept:
            place = records.mother1[place]
        assert history.source[begin[i] + history.mother[i]] == place


def test_the_top_decay_is_whole(records: pythia_events.Records) -> None:
    history = truth.prune(records)
    code = np.abs(records.pdg_id[history.source])
    hard = history.status_flags >> truth.IS_HARD_PROCESS & 1 == 1
    last = history.status_flags >> truth.IS_LAST_COPY & 1 == 1
    prompt = history.status_flags & 1 == 1
    top = (code == 6) & last
    assert np.all(np.bincount(history.event[top], minlength=EVENTS) == 2)
    assert np.all(prompt[top])
    begin = offsets_of(history.event, records.events)[history.event]
    mother = np.where(history.mother >= 0, begin + history.mother, 0)
    for parent, number in ((6, 2), (24, 2)):
        daughter = hard & (history.mother >= 0) & last[mother] & (code[mother] == parent)
        daughter &= code != parent
        assert np.all(np.bincount(history.event[daughter], minlength=EVENTS) == 2 * number)
        # Two-body decays: parent and daughters carry the same momentum.
        parents = np.unique(mother[daughter])
        for axis in ("px", "py", "pz", "e"):
            values = getattr(records, axis)[history.source]
            summed = np.bincount(mother[daughter], values[daughter], minlength=len(code))
            assert summed[parents] == pytest.approx(values[parents], rel=1e-6, abs=1e-4)


def test_kept_hadrons_are_the_weakly_decaying_ones(records: pythia_events.Records) -> None:
    history = truth.prune(records)
    code = np.abs(records.pdg_id[history.source])
    hadron = code > 100
    kinds = set(code[hadron].tolist())
    assert kinds <= {*truth.WEAK_B_HADRONS, *truth.WEAK_C_HADRONS}
    bottom = np.isin(code, truth.WEAK_B_HADRONS)
    # Both tops give a b quark, and each ends in a b hadron.
    assert np.all(np.bincount(history.event[bottom], minlength=EVENTS) >= 2)


def test_z_to_muons_within_its_window() -> None:
    pythia = open_sample(process="zmumu", pthat_min=200.0)
    records = pythia_events.flatten(pythia_events.generate(pythia, 3, 20), [])
    history = truth.prune(records)
    code = np.abs(records.pdg_id[history.source])
    boson = (code == 23) & (history.status_flags >> truth.IS_LAST_COPY & 1 == 1)
    mass = records.m[history.source[boson]]
    assert len(mass) == 20
    assert np.all((mass > 60) & (mass < 120))
    muon = (code == 13) & (history.status_flags & 1 == 1)
    final = records.status[history.source] > 0
    assert np.all(np.bincount(history.event[muon & final], minlength=20) == 2)
    assert records.weights.shape == (20, 1)


def test_zprime_decays_to_top_pairs() -> None:
    pythia = open_sample(process="zprime", zprime_mass=1500.0, zprime_width=15.0)
    records = pythia_events.flatten(pythia_events.generate(pythia, 3, 10), [])
    heavy = (np.abs(records.pdg_id) == 32) & (np.abs(records.status) == 22)
    assert np.median(records.m[heavy]) == pytest.approx(1500.0, abs=30.0)
    history = truth.prune(records)
    top = np.abs(records.pdg_id[history.source]) == 6
    first = history.status_flags >> truth.IS_FIRST_COPY & 1 == 1
    assert np.all(np.bincount(history.event[top & first], minlength=10) == 2)
