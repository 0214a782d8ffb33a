"""Coverage of single methods: their own sizes, and generative methods in pseudo-experiments."""

import json
import math

import numpy as np
import pytest

from fullchain.dag import parts
from fullchain.errors import InputError
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.unfolding import coverage, coverage_sizes, generative_samples, generative_unfolding
from fullchain.unfolding.binning import METRIC, edges_of
from fullchain.unfolding.coverage_generative import generated
from fullchain.unfolding.evaluation_settings import CoverageSettings
from fullchain.unfolding.generative_settings import CinnSettings
from fullchain.unfolding.moments import moments
from fullchain.unfolding.toy_settings import OBSERVABLE, X

EVENTS = 1500
SIZES = {
    "experiments": 10, "replicas": 12, "bootstrapped": 1, "background_events": 1500,
    "simulation_events": 3000, "data_events": EVENTS,
}  # fmt: skip
EDGES = edges_of(X, METRIC)
BRIEF = {"batch_size": 200, "learning_rate": 0.01}
CINN = {
    "kind": "cinn", "iterations": 3, "ensemble": 1, "samples": 4, "blocks": 2, "layers": [16],
    "training": {"epochs": 8, **BRIEF}, "further_epochs": 3,
    "classifier": {"layers": [16], "training": {"epochs": 5, **BRIEF}},
}  # fmt: skip


def sizes(**own):
    general = {"bootstrapped": 3, "data": {"mean": 0.3, "background": None}}
    return CoverageSettings.model_validate({**general, "of_method": {"own": own}})


def test_sizes_of_a_method_take_the_place_of_the_general_ones():
    chosen = sizes(experiments=20, replicas=None, data_events=500, simulation_events=900)
    own, other = chosen.for_method("own"), chosen.for_method("other")
    assert (own.experiments, own.replicas, own.bootstrapped) == (20, 20, 3)
    assert (own.data.events, own.data.mean, own.data.background) == (500, 0.3, None)
    assert (own.simulation.events, own.simulation.width) == (900, 1.0)
    assert other == chosen.model_copy(update={"of_method": {}}) and own.of_method == {}


def test_each_experiment_may_have_its_own_uncertainty():
    assert sizes(bootstrapped="each").for_method("own").bootstrapped is None
    assert sizes(bootstrapped=5).for_method("own").bootstrapped == 5
    assert sizes(bootstrapped=None).for_method("own").bootstrapped == 3


def test_a_step_gets_the_sizes_of_its_method_and_no_other():
    of_method = {"ibu_converged": {"data_events": 500}, "multifold": {"replicas": 9}}
    chosen = {"methods": ["ibu_converged", "multifold"], "of_method": of_method}
    whole = validate({"unfolding": {"coverage": chosen}})
    where = "unfolding.coverage"
    keys = [key for key in CoverageSettings.model_fields if key not in ("methods", "of_method")]
    paths = [*(f"{where}.{key}" for key in keys), f"{where}.of_method.ibu_converged"]
    passed = Given(parts.part(whole.model_dump(mode="json"), *paths))
    assert list(passed[f"{where}.of_method"]) == ["ibu_converged"]
    found = passed.model(where, CoverageSettings).for_method("ibu_converged")
    wanted = whole.unfolding.coverage.for_method("ibu_converged")
    assert found.model_dump(exclude={"methods"}) == wanted.model_dump(exclude={"methods"})
    assert found.data.events == 500


def test_null_removes_the_sizes_of_a_method():
    chosen = {"of_method": {"nobody": None}}
    assert validate({"unfolding": {"coverage": chosen}}).unfolding.coverage.of_method == {}


def test_captions_tell_sizes_that_differ():
    general = CoverageSettings().model_dump(mode="json")
    one, two = ({"method": name, "settings": general} for name in ("one", "two"))
    assert coverage_sizes.in_words([one, two]).startswith("100 with 20000 simulated")
    other = {"method": "other", "settings": {**general, "experiments": 20, "bootstrapped": 5}}
    words = coverage_sizes.in_words([one, two, other])
    assert "one, two: 100 with" in words and "other: 20 with" in words
    assert words.endswith("of the first 5, for all")


def given(method):
    unfolding = {
        "coverage": {"of_method": {"small": SIZES}},
        "methods": {"small": method},
        "observables": {OBSERVABLE: X.model_dump()},
    }
    return Given({"seed": 1, "unfolding": unfolding})


def test_a_generative_method_goes_from_the_simulation_to_the_truth(tmp_path):
    path = tmp_path / "coverage.json"
    coverage.main(method="small", coverage=path, settings=given(CINN))
    content = json.loads(path.read_text())
    assert content["method_kind"] == "cinn"
    assert content["settings"]["data"]["events"] == EVENTS
    assert "of_method" not in content["settings"]
    # From a mean of 0 to 0.2, and from a width of 1 to 0.8, by half of the way at least.
    for found, way in zip(content["quantities"].values(), (0.2, 0.2), strict=True):
        assert abs(found["bias"]["value"]) < 0.5 * way + found["bias"]["deviation"]
        assert found["experiments"] == 10 and found["uncertainty"] > 0


def test_replicas_of_the_data_spread_as_the_data_do():
    how = CoverageSettings.model_validate({"of_method": {"own": SIZES}}).for_method("own")
    problems = [coverage.experiment(how, 1, number) for number in range(2)]
    several = CinnSettings.model_validate({**CINN, "ensemble": 2})
    first, second = generated(several, X, EDGES, 12, seed=1)(problems, [0])
    assert second.replicas == [] and second.counts.sum() == pytest.approx(EVENTS, rel=0.2)
    data, simulation, network = first.replicas
    assert len(data) == len(simulation) == 12 and len(network) == 2
    spread = np.std([moments(one, EDGES).mean for one in data], ddof=1)
    expected = math.hypot(how.data.width, how.data.detector.smearing) / math.sqrt(EVENTS)
    assert 0.5 < spread / expected < 2.0


def test_the_control_that_is_left_out_would_change_nothing():
    how = CoverageSettings.model_validate({"of_method": {"own": SIZES}}).for_method("own")
    problem = coverage.experiment(how, 1, 0)
    chosen = CinnSettings.model_validate({**CINN, "iterations": 1, "simulation_replicas": 0})
    assert chosen.control is not None and not chosen.control.reweights
    found = []
    for control in (chosen.control, None):
        fitted = generative_unfolding.fitted(
            problem, {OBSERVABLE: X}, chosen.model_copy(update={"control": control}),
            seed=3, measurement="test", replica_seed=3,
        )  # fmt: skip
        sample, _ = generative_samples.unfolded(fitted, "test", 3, 0)
        found.append(np.histogram(sample.values[:, 0], EDGES, weights=sample.weights["nominal"])[0])
    np.testing.assert_array_equal(*found)


def test_medians_of_batches_have_no_coverage(tmp_path):
    settings = given({**CINN, "median_of": OBSERVABLE})
    with pytest.raises(InputError, match="take a method without it"):
        coverage.main(method="small", coverage=tmp_path / "c.json", settings=settings)
