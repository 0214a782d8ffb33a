"""Jets into events: pairs, the dijet mass, what a region takes."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import vector
from hypothesis import given
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.inference import events
from fullchain.inference.jet_tables import JetTable
from fullchain.inference.selection_settings import Region

JETS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(0, 5), st.integers(0, 3)),
    unique=True,
    max_size=40,
)


@given(JETS)
def test_the_two_leading_jets_of_each_event(rows):
    columns = [np.array([row[i] for row in rows], dtype=int) for i in range(4)]
    first, second = events.pair_jets(*columns)
    found = {
        rows[one][:3]: (rows[one][3], rows[two][3] if two >= 0 else None)
        for one, two in zip(first, second, strict=True)
    }
    expected = {}
    for event, group in itertools.groupby(sorted(rows), key=lambda row: row[:3]):
        places = [row[3] for row in group]
        expected[event] = (places[0], places[1] if len(places) > 1 else None)
    assert found == expected
    assert len(first) == len(expected)


def test_the_mass_of_two_jets_is_that_of_their_four_vectors():
    random = np.random.default_rng(1)
    pt, mass = random.uniform(500, 700, (2, 50)), random.uniform(1, 200, (2, 50))
    eta, phi = random.normal(0, 1, (2, 50)), random.uniform(-3.1, 3.1, (2, 50))
    jets = [
        vector.array({"pt": pt[i], "eta": eta[i], "phi": phi[i], "mass": mass[i]}) for i in (0, 1)
    ]
    assert events.dijet_mass(pt, eta, phi, mass) == pytest.approx((jets[0] + jets[1]).mass)


def test_back_to_back_jets_without_mass():
    found = events.dijet_mass([[600.0], [600.0]], [[0.0], [0.0]], [[0.0], [np.pi]], [[0.0], [0.0]])
    assert found.tolist() == [1200.0]


# event, jet, pT, eta, soft-drop mass, score
ROWS = [
    (1, 0, 650.0, 0.5, 170.0, 0.9),
    (1, 1, 600.0, -0.5, 180.0, 0.8),
    (2, 0, 640.0, 1.0, 60.0, 0.1),
    (2, 1, 560.0, -1.0, 175.0, 0.7),
    (3, 0, 620.0, 0.0, 40.0, 0.2),
    (3, 1, 510.0, 0.1, 30.0, 0.3),
    (4, 0, 550.0, 0.0, 172.0, 0.95),
]


def _table(rows=ROWS, **changes):
    event, jet, pt, eta, mass, score = (np.array(column) for column in zip(*rows, strict=True))
    size = len(rows)
    columns = {
        "run": np.ones(size, np.uint32),
        "luminosityBlock": np.ones(size, np.uint32),
        "event": event.astype(np.uint64),
        "variation": np.full(size, "nominal", object),
        "jet": jet,
        "weight": np.ones(size),
        "pt": pt,
        "eta": eta,
        "phi": np.where(jet == 0, 0.0, 3.0),
        "mass": mass,
        "msoftdrop": mass,
        **changes,
    }
    split = np.full(size, "test", object)
    return JetTable("tt", columns, score, split, {}, Path("jets.parquet"), Path("scores.parquet"))


def _selected(**region):
    found, lost = events.select(_table(), Region(**region), cut=0.5)
    return found.of_first("event").tolist(), len(lost)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"score": "pass"}, [1, 4]),
        ({"score": "fail"}, [2, 3]),
        ({"mass_window": (50.0, 171.0)}, [1, 2]),
        ({"jets": "dijet"}, [1, 2, 3]),
        ({"jets": "dijet", "tagged": (2,)}, [1]),
        ({"jets": "dijet", "tagged": (1,)}, [2]),
        ({"jets": "dijet", "tagged": (0, 1)}, [2, 3]),
        ({"jets": "dijet", "score": "fail"}, [2, 3]),
        ({"jets": "dijet", "delta_eta_max": 1.5}, [1, 3]),
        ({"jets": "dijet", "pt_min": 555.0}, [1, 2]),
        ({"jets": "dijet", "leading_pt_min": 645.0}, [1]),
        ({"jets": "dijet", "mass_window": (20.0, 70.0)}, [3]),
        ({"pt_max": 645.0}, [1, 2, 3, 4]),
    ],
)
def test_what_a_region_takes(region, expected):
    assert _selected(**region)[0] == expected


def test_events_without_a_second_jet_are_counted():
    assert _selected(jets="dijet")[1] == 1
    assert _selected(jets="dijet", pt_min=555.0)[1] == 1, "one event has no jet in the window"
    assert _selected()[1] == 0


def test_the_jet_that_is_histogrammed():
    def values(**region):
        chosen = Region(jets="dijet", **region)
        found, _ = events.select(_table(), chosen, cut=0.5)
        return events.observable(found, chosen).tolist()

    assert values() == [170.0, 60.0, 40.0]
    assert values(observed_jet="highest_score") == [170.0, 175.0, 30.0]
    assert values(observed_jet="highest_score", observable="score") == [0.9, 0.7, 0.3]
    assert values(observable="score") == [0.9, 0.1, 0.2]
    assert min(values(observable="dijet_mass")) > 1000


def test_order_of_the_jets_does_not_matter():
    region = Region(jets="dijet", observable="dijet_mass")
    found = []
    for rows in (ROWS, ROWS[::-1]):
        chosen, _ = events.select(_table(rows), region, cut=0.5)
        found.append(events.observable(chosen, region).tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("column", ["eta", "phi", "mass"])
def test_a_jet_without_a_number_is_named(column):
    values = np.array([0.1, np.nan, 0.1, 0.1, 0.1, 0.1, np.nan])
    region = Region(jets="dijet", observable="dijet_mass")
    chosen, _ = events.select(_table(**{column: values}), region, cut=0.5)
    message = rf"jets.parquet: {column} is nan for jet 1 of event 1:1:1 \(variation nominal\)"
    with pytest.raises(InputError, match=message):
        events.observable(chosen, region)


def test_only_jets_that_are_looked_at_need_numbers():
    values = np.array([1.0, np.nan, 1.0, np.nan, 1.0, np.nan, 1.0])
    region = Region(observable="tau32")
    chosen, _ = events.select(_table(tau32=values), region, cut=0.5)
    assert events.observable(chosen, region).tolist() == [1.0] * 4


def test_jets_of_an_event_agree_on_its_weight():
    weights = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    with pytest.raises(InputError, match=r"the jets of event 1:1:1 .* differ in their weight"):
        events.select(_table(weight=weights), Region(jets="dijet"), cut=0.5)
