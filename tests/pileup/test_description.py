"""Numbers of a sample as a whole, in bins of pile-up, and of methods beside each other."""

import numpy as np
import pytest

from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.collected import Collected
from fullchain.pileup.description import describe
from fullchain.pileup.quantities import SHAPES, Kept, Pairs, Quantities

EVENTS = 600
PAIRS = ("jet_pt", "jet_mass", "dijet_mass", "central_jet_pt", "forward_jet_pt", "met_along", "met")


def sample(errors: dict[str, float], seed: int = 5) -> Collected:
    """Events with 0, 50 or 140 interactions, and methods with these relative errors of all."""
    rng = np.random.default_rng(seed)
    collected = Collected()
    truth = rng.uniform(50.0, 150.0, EVENTS)
    event = np.arange(EVENTS)
    kept = np.stack([np.full(EVENTS, 10.0)] * 4, axis=1)
    nothing = np.full(EVENTS, np.nan)
    for method, error in errors.items():
        value = truth * rng.normal(1.0, error, EVENTS)
        pairs = {name: Pairs(value, truth / 0.9, event) for name in PAIRS}
        pairs |= {name: Pairs(value, nothing, event) for name in SHAPES}
        # Kept: half of it where there is no pile-up.
        half = np.where(event[:, None] % 3 == 0, 0.5, 1.0) * kept
        collected.add(method, Quantities(pairs, Kept(kept, half, 0.0 * kept, 0.0 * kept)))
    collected.interactions.append(np.array([0.0, 50.0, 140.0])[event % 3])
    collected.weight.append(np.ones(EVENTS))
    collected.events = EVENTS
    return collected


ERRORS = {
    "none": 0.4,
    "chs": 0.3,
    "puppi": 0.2,
    "graph": 0.1,
    "graph_seed0": 0.11,
    "graph_seed1": 0.13,
    "truth": 0.0,
}
TRAINED = {"graph": (30.0, 60.0)}


@pytest.fixture(scope="module")
def found() -> dict:
    chosen = EvaluationSettings.model_validate({"interactions": [0, 1, 100, 120, 200]})
    return describe("toy", sample(ERRORS), TRAINED, chosen, 1)


def test_every_quantity_is_in_every_bin(found: dict) -> None:
    for method, entries in found["methods"].items():
        shapes = () if method == "truth" else SHAPES
        for name in (*PAIRS, *shapes):
            bins = entries[name]["bins"]
            assert [one["interactions"] for one in bins] == [0.0, 50.0, 140.0]
            assert [one["entries"] for one in bins] == [200] * 3
            assert bins[0]["edges"] == [0, 1]
        assert all("error_iqr" in one for name in shapes for one in entries[name]["bins"])
        kept = [one["kept"]["neutral"]["hard"][0] for one in entries["kept_bins"]]
        assert kept == pytest.approx([0.5, 1.0, 1.0])
        assert "pileup" not in entries["kept"]["neutral"]


def test_errors_are_found_as_they_were_made(found: dict) -> None:
    for method in ("chs", "puppi", "graph"):
        for name in ("jet_mass", "n95", "ecf3"):
            numbers = found["methods"][method][name]
            value, uncertainty = numbers["error_iqr"]
            assert abs(value - 134.9 * ERRORS[method]) < 4 * uncertainty < 0.4 * value
            assert abs(numbers["error_median"][0]) < 4 * numbers["error_median"][1]
    assert found["methods"]["graph"]["jet_mass"]["response"][0] == pytest.approx(0.9, abs=0.02)


def test_methods_are_compared_with_puppi_and_the_baseline(found: dict) -> None:
    methods = found["methods"]
    for name in ("jet_mass", "dijet_mass", "ecf2"):
        graph, puppi = methods["graph"][name], methods["puppi"][name]
        ratio, uncertainty = graph["iqr_over_puppi"]
        assert ratio == pytest.approx(graph["error_iqr"][0] / puppi["error_iqr"][0])
        assert abs(ratio - 0.5) < 4 * uncertainty < 0.3
        assert "iqr_over_puppi" not in puppi
        several = graph["iqr_over_puppi_by_seed"]
        single = [methods[f"graph_seed{n}"][name]["iqr_over_puppi"][0] for n in (0, 1)]
        assert several["trainings"] == 2
        assert several["mean"][0] == pytest.approx(np.mean(single))
        assert several["spread"] == pytest.approx(np.std(single, ddof=1))
        assert all("iqr_over_puppi_by_seed" in one for one in graph["bins"])
    assert methods["none"]["jet_mass"]["gain"] == [1.0, 0.0]
    gain, spread = methods["puppi"]["jet_mass"]["gain"]
    assert abs(gain - 0.5) < 4 * spread
    chosen = EvaluationSettings.model_validate({"baseline": "chs"})
    other = describe("toy", sample(ERRORS), {}, chosen, 1)
    assert other["methods"]["chs"]["jet_mass"]["gain"] == [1.0, 0.0]
    assert other["methods"]["none"]["jet_mass"]["gain"][0] > 1.1


def test_the_same_replicas_make_ratios_precise() -> None:
    """Weights equal to those of PUPPI have a ratio of exactly one."""
    collected = sample({"none": 0.4, "puppi": 0.2, "truth": 0.0})
    collected.pairs["own"] = collected.pairs["puppi"]
    collected.kept["own"] = collected.kept["puppi"]
    numbers = describe("toy", collected, {}, EvaluationSettings(), 1)["methods"]["own"]["jet_mass"]
    assert numbers["iqr_over_puppi"] == [1.0, 0.0]
    assert numbers["error_iqr"][1] > 0


def test_densities_beyond_the_training_are_marked(found: dict) -> None:
    for method in ("graph", "graph_seed1"):
        entries = found["methods"][method]
        assert entries["trained"] == [30.0, 60.0]
        assert entries["beyond"] == pytest.approx(2 / 3)
        for bins in (entries["jet_mass"]["bins"], entries["kept_bins"]):
            assert [one["beyond"] for one in bins] == [True, False, True]
    assert "trained" not in found["methods"]["puppi"]
    assert not any("beyond" in one for one in found["methods"]["puppi"]["jet_mass"]["bins"])


def test_too_few_entries_give_no_number() -> None:
    chosen = EvaluationSettings.model_validate({"min_entries": 250, "interactions": [0, 1, 200]})
    methods = describe("toy", sample(ERRORS), TRAINED, chosen, 1)["methods"]
    assert [one["entries"] for one in methods["puppi"]["jet_mass"]["bins"]] == [400]
    assert len(methods["puppi"]["kept_bins"]) == 1
    chosen = EvaluationSettings.model_validate({"min_entries": EVENTS + 1})
    methods = describe("toy", sample(ERRORS), TRAINED, chosen, 1)["methods"]
    assert "jet_mass" not in methods["puppi"] and methods["puppi"]["kept_bins"] == []


def test_a_reference_of_nothing_gives_no_ratio() -> None:
    collected = sample({"none": 0.4, "puppi": 0.0, "graph": 0.1, "truth": 0.0})
    methods = describe("toy", collected, {}, EvaluationSettings(), 1)["methods"]
    # PUPPI without any error: no ratio, and no NaN among the numbers.
    assert methods["puppi"]["jet_mass"]["error_iqr"][0] == 0.0
    assert "iqr_over_puppi" not in methods["graph"]["jet_mass"]
