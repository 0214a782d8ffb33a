"""Events of the comparison with the package omnifold, which both sides must see alike."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fullchain.unfolding import event_table
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.problem import pose

EVENTS = 20_000


@pytest.fixture(scope="module")
def samples() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "unfolding" / "samples.py"
    spec = importlib.util.spec_from_file_location("comparison_samples", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("case", "number"), [("gaussian", 1), ("six", 6)])
def test_toys_have_the_moments_and_losses_of_the_case(samples, case, number):
    simulation = samples.toy(case, "simulation", EVENTS, 1)
    data = samples.toy(case, "data", EVENTS, 1)
    for events in (simulation, data):
        seen, true = events.reco.passed, events.gen.passed
        assert (seen | true).all()
        assert (~true[seen]).mean() == pytest.approx(0.1, abs=0.01)
        assert (~seen[true]).mean() == pytest.approx(0.1, abs=0.01)
        both = seen & true
        smeared = (events.reco.values - events.gen.values)[both]
        np.testing.assert_allclose(smeared.std(axis=0), 0.5, atol=0.02)
    assert simulation.gen.values.shape == (EVENTS, number)
    found = data.gen.values[data.gen.passed]
    np.testing.assert_allclose(found.mean(axis=0), samples.SHIFTS[case], atol=0.03)
    np.testing.assert_allclose(found.std(axis=0), 0.8, atol=0.03)


def test_arrays_are_the_events_of_the_tables(samples, tmp_path):
    tables = {}
    for which in ("simulation", "data"):
        events = samples.toy("six", which, 500, 1)
        tables[which] = tmp_path / f"{which}.parquet"
        event_table.write(tables[which], events, dict.fromkeys(events.names, ""), {})
    settings = MeasurementSettings.model_validate(
        {
            "simulation": {"samples": ["simulation"]},
            "data": {"samples": ["data"]},
            "observables": ["x0", "x3"],
        }
    )
    problem = pose([tables["simulation"]], [tables["data"]], [], settings, 1)
    found = samples.arrays(problem)
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["weight"][found["pass_reco"]].sum() == pytest.approx(len(problem.data), rel=1e-5)
    level = problem.simulation.reco
    for name, values in (("reco", level.values[level.passed]), ("data", problem.data.values)):
        flags = found["pass_reco"] if name == "reco" else slice(None)
        scale = level.values[level.passed].std(axis=0)
        back = found[name][flags] * scale + level.values[level.passed].mean(axis=0)
        np.testing.assert_allclose(back, values, atol=1e-5)
    assert (found["gen"][~found["pass_gen"]] == 0).all()
