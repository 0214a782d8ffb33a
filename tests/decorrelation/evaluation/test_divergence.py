"""Divergence and sculpting: known values, the floor, and toys with known sculpting."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from fullchain.decorrelation import sculpting, spectra
from fullchain.decorrelation.divergence import Divergence, jensen_shannon
from fullchain.errors import InputError
from fullchain.tagging.performance import Sample

WINDOW = {"mass": (50.0, 300.0)}


def test_divergence_by_hand() -> None:
    # P = (1/2, 1/2), Q = (1, 0), M = (3/4, 1/4)
    expected = 0.5 * (0.5 * np.log2(2 / 3) + 0.5 * np.log2(2.0)) + 0.5 * np.log2(4 / 3)
    assert jensen_shannon([3.0, 3.0], [7.0, 0.0]) == pytest.approx(expected)
    assert jensen_shannon([7.0, 0.0], [1.0, 1.0]) == pytest.approx(expected)


def test_divergence_is_the_square_of_scipys_distance() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.poisson(3.0, (2, 20, 50)).astype(float)
    found = jensen_shannon(one, other)
    expected = [jensenshannon(p, q, base=2) ** 2 for p, q in zip(one, other, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found.max() < 1.0


def test_nothing_and_signed_weights() -> None:
    assert np.isnan(jensen_shannon([0.0, 0.0], [1.0, 1.0]))
    assert jensen_shannon([1.0, -0.5], [2.0, 0.0]) == 0.0


def toy(
    generator: np.random.Generator, jets: int, slope: float, events: int | None = None
) -> tuple[Sample, np.ndarray]:
    """Background flat in the mass, whose score follows it with a slope; signal at the centre."""
    mass = generator.uniform(50.0, 300.0, 2 * jets)
    signal = np.arange(2 * jets) < jets
    noise = generator.uniform(0.0, 1.0, 2 * jets)
    # P(score > 1/2 | mass) = 1/2 + slope x for background, x in [-1/2, 1/2]
    x = (mass - 50.0) / 250.0 - 0.5
    score = np.where(signal, noise, np.clip(noise + slope * x, 0.0, 1.0))
    event = generator.integers(0, events or 2 * jets, 2 * jets)
    return Sample(score, signal, np.ones(2 * jets), event), mass


def measured(jets: Sample, mass: np.ndarray, **changes: int) -> dict[str, Any]:
    how = {"fine": 50, "coarse": 10, "replicas": 30, "random_cuts": 80, "seed": 3} | changes
    (entry,) = sculpting.measure(jets, {"mass": mass}, WINDOW, [0.5], **how)["mass"]
    return entry


def test_floor_is_that_of_equal_shapes() -> None:
    jets, mass = toy(np.random.default_rng(2), 4000, 0.0)
    entry = measured(jets, mass)
    passing = entry["passing"]
    expected = 49 / (8 * np.log(2)) * (1 / passing + 1 / (4000 - passing))
    assert entry["floor"]["value"] == pytest.approx(expected, rel=0.06)
    assert entry["p_value"] > 0.01
    # Nothing is claimed beyond what can be measured.
    upward = entry["inverse_corrected"]
    assert upward["is_limit"] == (entry["p_value"] > 0.05)
    assert upward["value"] < 5.0 / entry["floor"]["value"]


def test_known_sculpting_is_found_and_the_bias_corrected() -> None:
    slope = 0.4
    x = np.linspace(-0.5, 0.5, 2001)
    exact = float(jensen_shannon(0.5 + slope * x, 0.5 - slope * x))
    generator = np.random.default_rng(4)
    entries = [measured(*toy(generator, 1500, slope), replicas=20) for _ in range(12)]
    raw = np.array([entry["jsd"]["value"] for entry in entries])
    corrected = np.array([entry["corrected"]["value"] for entry in entries])
    error = corrected.std(ddof=1) / np.sqrt(len(entries))
    assert raw.mean() - exact > 5 * error
    # Thirty bins of a slope instead of all of them change less than the error.
    assert corrected.mean() == pytest.approx(exact, abs=3 * error + 0.02 * exact)
    # The scatter of samples is what the bootstrap says.
    deviation = np.mean([entry["jsd"]["deviation"] for entry in entries])
    assert 0.5 < deviation / raw.std(ddof=1) < 2.0
    assert all(entry["flatness"]["p_value"] < 1e-4 for entry in entries)
    largest = np.mean([entry["largest_deviation"]["value"] for entry in entries])
    # The outermost of ten bins: 2 slope (1/2 - 1/20)
    assert largest == pytest.approx(2 * slope * 0.45, rel=0.15)


def test_flat_efficiency_has_the_chi_squared_of_its_degrees_of_freedom() -> None:
    generator = np.random.default_rng(5)
    values = []
    for _ in range(200):
        table = sculpting.Background(
            generator.uniform(50.0, 300.0, 800),
            np.ones(800),
            (50.0, 300.0),
            fine=50,
            coarse=10,
            name="mass",
        )
        found = table.flatness(generator.uniform(size=800) < 0.3)
        assert found["degrees_of_freedom"] == 9
        values.append(found["chi_squared"])
    assert np.mean(values) == pytest.approx(9.0, abs=4 * np.sqrt(18 / 200))


def test_jets_of_an_event_stay_together_in_the_bootstrap() -> None:
    generator = np.random.default_rng(6)
    jets, mass = toy(generator, 1000, 0.4)
    entry = measured(jets, mass)
    # Each jet ten times, ten jets an event: the same uncertainty as of the jets once.
    ten = Sample(
        jets.score.repeat(10),
        jets.is_signal.repeat(10),
        jets.weight.repeat(10),
        jets.event.repeat(10),
    )
    again = measured(ten, np.repeat(mass, 10))
    assert again["jsd"]["value"] == pytest.approx(entry["jsd"]["value"], rel=0.02)
    assert again["jsd"]["deviation"] == pytest.approx(entry["jsd"]["deviation"], rel=0.05)


def test_a_cut_that_nothing_passes_has_no_divergence() -> None:
    jets, mass = toy(np.random.default_rng(7), 200, 0.0)
    perfect = Sample(jets.is_signal.astype(float), jets.is_signal, jets.weight, jets.event)
    entry = measured(perfect, mass)
    assert entry["passing"] == 0 and entry["jsd"] is None and "floor" not in entry


def test_limit_where_random_cuts_reach_as_far() -> None:
    replicas = np.array([0.9, 1.0, 1.1])
    far = Divergence(2.0, replicas, np.linspace(0.5, 1.0, 99)).summary()
    assert not far["inverse_corrected"]["is_limit"] and far["p_value"] == pytest.approx(0.01)
    assert far["inverse_corrected"]["value"] == pytest.approx(1 / 1.25)
    near = Divergence(0.9, replicas, np.linspace(0.5, 1.0, 99)).summary()
    assert near["inverse_corrected"]["is_limit"]
    assert near["inverse_corrected"]["value"] == pytest.approx(1 / (0.15 + 0.1645))
    assert near["inverse_corrected"]["high"] is None
    few = Divergence(0.9, replicas, np.linspace(0.5, 0.6, 99), sparse=True).summary()
    assert few["inverse_corrected"]["is_limit"] and few["p_value"] == 0.01
    assert few["inverse_corrected"]["value"] == pytest.approx(1 / (0.9 + 0.1645))


def test_nothing_is_claimed_of_a_handful_of_jets() -> None:
    jets, mass = toy(np.random.default_rng(9), 300, 0.0)
    (entry,) = sculpting.measure(
        jets, {"mass": mass}, WINDOW, [0.03], fine=50, coarse=5, replicas=30, random_cuts=60, seed=1
    )["mass"]
    assert 0 < entry["passing"] < 20 and entry["sparse"]
    assert entry["inverse_corrected"]["is_limit"]
    assert entry["inverse_corrected"]["value"] < 1.0 / entry["jsd"]["value"]


def test_constant_and_infinite_columns_are_refused() -> None:
    with pytest.raises(InputError, match="mass is 80 for all 10 background jets"):
        spectra.windows({"mass": np.full(10, 80.0)}, WINDOW)
    with pytest.raises(InputError, match="2 jets have no finite value"):
        spectra.windows({"mass": np.array([80.0, np.nan, np.inf])}, {})


def test_shapes_before_and_after_cuts() -> None:
    jets, mass = toy(np.random.default_rng(8), 1000, 0.5)
    found = spectra.shapes(jets, mass, (50.0, 300.0), 10, [0.3])
    before, after = found["background"]
    assert before["signal_efficiency"] is None and before["jets"] == 1000
    assert sum(after["content"]) == pytest.approx(1.0)
    chosen = ~jets.is_signal & (jets.score >= np.quantile(jets.score[:1000], 0.7))
    expected, _ = np.histogram(mass[chosen], 10, (50.0, 300.0))
    np.testing.assert_allclose(np.array(after["content"]) * after["jets"], expected, atol=1.01)
    assert after["content"][-1] > 2 * after["content"][0]
