"""The step on small tables, and the Gaussian case with a known truth."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning import training
from fullchain.step import Given
from fullchain.unfolding import event_table, generate, generative_samples, unfolded_file
from fullchain.unfolding.generative_settings import FlowMatchingSettings
from fullchain.unfolding.generative_unfolding import fitted
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Level, Measured, Problem, Simulation

NAMES = ("mass", "multiplicity", "z_g")
OBSERVABLES = {
    "mass": {"label": "m", "low": 0, "high": 60, "unit": "GeV"},
    "multiplicity": {"label": "M", "low": 0, "high": 60, "kind": "integer"},
    "z_g": {"label": "z", "low": 0, "high": 0.5, "kind": "groomed"},
}
CLASSIFIER = {"layers": [16], "training": {"epochs": 8, "batch_size": 256, "learning_rate": 0.02}}
TRAINING = {"epochs": 12, "batch_size": 128, "learning_rate": 5e-3, "patience": 12}
COMMON = {
    "iterations": 1,
    "samples": 4,
    "variation_samples": 2,
    "data_replicas": 2,
    "simulation_replicas": 2,
    "further_epochs": 3,
    "training": TRAINING,
    "classifier": CLASSIFIER,
}
METHODS = {
    "cinn": {"kind": "cinn", "blocks": 2, "layers": [16], **COMMON},
    "matching": {"kind": "flow_matching", "layers": [24, 24], **COMMON},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def sample(rows: int, seed: int, change: float = 0.0) -> Simulation:
    rng = np.random.default_rng(seed)
    mass = rng.lognormal(2.8 + change, 0.4, rows)
    number = rng.poisson(15 + 0.3 * mass).astype(float)
    z_g = np.where(rng.random(rows) < 0.1, 0.0, 0.1 * 5 ** rng.random(rows))
    truth = np.stack([mass, number, z_g], axis=1)
    chance = rng.normal(1, 0.15, rows)

    def seen(scale: float) -> Level:
        flipped = np.where(z_g > 0, np.clip(z_g * rng.normal(1, 0.1, rows), 0.1, 0.5), 0.0)
        values = np.stack([mass * chance * scale, np.rint(0.8 * number), flipped], axis=1)
        passed = values[:, 0] > 8
        return Level(np.where(passed[:, None], values, np.nan), passed)

    gen = mass > 8
    ids = np.stack([np.ones(rows, int), np.full(rows, seed), np.arange(rows)], axis=1)
    events = Simulation(
        NAMES,
        Level(np.where(gen[:, None], truth, np.nan), gen),
        seen(1.0),
        np.ones(rows),
        ids,
        {"jes_up": seen(1.05)},
        {"isr_up": np.exp(0.1 * (mass / 16 - 1))},
    )
    return events.take(np.flatnonzero(gen | events.reco.passed | events.shifted["jes_up"].passed))


def tables(folder: Path) -> dict[str, list[Path]]:
    units = {"mass": "GeV", "multiplicity": "", "z_g": ""}
    paths = {"simulation": [folder / "mc.parquet"], "data": [folder / "data.parquet"]}
    event_table.write(paths["simulation"][0], sample(700, 1), units, {})
    event_table.write(paths["data"][0], sample(300, 2, 0.1), units, {})
    return paths


def settings(**changes: Any) -> Given:
    measurement = {
        "simulation": {"samples": ["mc"]},
        "data": {"samples": ["data"]},
        "observables": list(NAMES),
        "shifts": ["jes_up"],
        "factors": ["isr_up"],
        "alternatives": {"other": {"samples": ["mc"]}},
    }
    content = {
        "measurements": {"jets": measurement | changes},
        "observables": OBSERVABLES,
        "methods": METHODS,
    }
    return Given({"seed": 3, "unfolding": content})


def run(folder: Path, name: str, method: str, alternative: str = "", **changes: Any) -> Path:
    generate.main(
        **tables(folder),
        measurement="jets",
        method=method,
        alternative=alternative,
        unfolded=folder / name / "unfolded.parquet",
        history=folder / name / "history.json",
        settings=settings(**changes),
    )
    return folder / name


@pytest.mark.parametrize("method", ["cinn", "matching"])
def test_what_is_written(tmp_path, method):
    place = run(tmp_path, "out", method)
    found = unfolded_file.read(place / "unfolded.parquet")
    events = int(sample(300, 2, 0.1).reco.passed.sum())
    nominal = found.weights["nominal"]
    assert set(found.weights) == {
        "nominal",
        *("ensemble_0", "ensemble_1", "data_0", "data_1", "simulation_0", "simulation_1"),
        *("shift_jes_up", "shift_isr_up"),
    }
    assert len(found.values) == events * (4 + 2 + 2 + 2 + 2)
    first = slice(0, 4 * events)
    assert (found.ids[first].reshape(events, 4, 3) == found.ids[first][::4][:, None]).all()
    assert len(np.unique(found.ids[:, 2])) == events
    np.testing.assert_allclose(
        nominal, 0.5 * (found.weights["ensemble_0"] + found.weights["ensemble_1"])
    )
    for name, weight in found.weights.items():
        assert weight.sum() == pytest.approx(events, rel=0.25), name
    multiplicity, z_g = found.values[:, 1], found.values[:, 2]
    assert (multiplicity == np.rint(multiplicity)).all()
    assert ((z_g == 0) | ((z_g >= 0.1) & (z_g <= 0.5))).all()
    assert 0 < np.average(z_g == 0, weights=nominal) < 0.3
    history = json.loads((place / "history.json").read_text())
    assert history["iterations"][0]["effective_sample_size"] > 10
    assert {len(one) for one in history["iterations"][0]["spectra"].values()} == {50}
    assert set(history["calibration"]["observables"]) == set(NAMES)
    assert history["control"]["auc_error"] > 0
    assert 0 <= history["outside_support"] < 0.1
    assert history["outside_support_error"] > 0
    assert set(history["outside_support_by_definition"]) == {
        "range",
        "far",
        *(f"range_{name}" for name in NAMES),
    }
    # Under a larger scale of the detector the same data stand for a smaller mass.
    shift = found.weights["shift_jes_up"] - nominal
    assert (shift * found.values[:, 0]).sum() < 0
    assert not list(place.glob("checkpoint*"))


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Interrupt the training when its second epoch is saved, and expect that."""
    save = training.checkpoint.save

    def stop(path: Path, mark: str, state: Any) -> None:
        save(path, mark, state)
        if "last" in path.name and len(state["history"]["train"]) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(training.checkpoint, "save", stop)
        yield


def test_the_same_bit_for_bit_also_after_an_interruption(tmp_path, monkeypatch, capfd):
    place = run(tmp_path, "whole", "matching")
    with interrupted(monkeypatch):
        run(tmp_path, "broken", "matching")
    capfd.readouterr()
    again = run(tmp_path, "broken", "matching")
    assert "going on after epoch 2" in capfd.readouterr().err
    for name in ("unfolded.parquet", "history.json"):
        assert (again / name).read_bytes() == (place / name).read_bytes()


def test_another_alternative_leaves_the_checkpoint_of_an_interrupted_one(
    tmp_path, monkeypatch, capfd
):
    """Alternatives of a method stand in one folder, named by their files."""

    def made(name: str) -> None:
        generate.main(
            **tables(tmp_path),
            measurement="jets",
            method="matching",
            alternative=name,
            unfolded=tmp_path / "alternatives" / f"{name}.parquet",
            history=tmp_path / "alternatives" / f"{name}.history.json",
            settings=settings(alternatives={one: {"samples": ["mc"]} for one in ("a", "b")}),
        )

    with interrupted(monkeypatch):
        made("a")
    made("b")
    capfd.readouterr()
    made("a")
    assert "going on after epoch 2" in capfd.readouterr().err
    assert not list((tmp_path / "alternatives").glob("checkpoint*"))


def test_an_alternative_gives_neither_replicas_nor_shifts(tmp_path):
    place = run(tmp_path, "out", "matching", alternative="other")
    found = set(unfolded_file.read(place / "unfolded.parquet").weights)
    assert found == {"nominal", "ensemble_0", "ensemble_1"}


def test_data_beyond_the_simulation_are_said(tmp_path, capfd):
    paths = tables(tmp_path)
    units = {"mass": "GeV", "multiplicity": "", "z_g": ""}
    event_table.write(paths["data"][0], sample(300, 2, 2.0), units, {})
    generate.main(
        **paths,
        measurement="jets",
        method="matching",
        alternative="other",
        unfolded=tmp_path / "unfolded.parquet",
        history=tmp_path / "history.json",
        settings=settings(),
    )
    assert "jets, matching: " in (said := capfd.readouterr().err)
    assert "% of the data are outside of the range of the simulation" in said
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["outside_support"] > 0.3


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="no column 'pass_reco__jer_up'"):
        run(tmp_path, "out", "matching", shifts=["jer_up"])


def gaussian(rows: int, mean: float, width: float, seed: int, accepted: bool = True) -> Simulation:
    """Efficiency falls and fakes rise along the axis."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(mean, width, rows)
    seen = truth + rng.normal(0, 0.7, rows)
    reco = rng.random(rows) < 1 / (1 + np.exp(truth - 1.5))
    gen = rng.random(rows) < 0.95 - 0.3 / (1 + np.exp(-2 * seen))
    if not accepted:
        reco, gen = np.ones((2, rows), dtype=bool)
    ids = np.stack([np.ones(rows, int), np.ones(rows, int), np.arange(rows)], axis=1)
    return Simulation(
        ("x",),
        Level(np.where(gen, truth, np.nan)[:, None], gen),
        Level(np.where(reco, seen, np.nan)[:, None], reco),
        np.ones(rows),
        ids,
    ).take(np.flatnonzero(gen | reco))


def test_a_factor_that_makes_weights_negative_is_named():
    events = sample(700, 1)
    events.factors["isr_up"][np.flatnonzero(events.gen.passed)[:2]] = -0.1
    data = sample(300, 2).take(np.flatnonzero(sample(300, 2).reco.passed))
    posed = Problem(events, Measured(NAMES, data.reco.values, data.weight))
    observables = {
        name: ObservableSettings.model_validate(one) for name, one in OBSERVABLES.items()
    }
    how = FlowMatchingSettings.model_validate(METHODS["matching"])
    with pytest.raises(InputError, match=r"efficiency, shift_isr_up: 2 of .* negative"):
        fitted(posed, observables, how, seed=5, measurement="jets", replica_seed=1)


def gaussian_problem(accepted: bool) -> tuple[Problem, np.ndarray]:
    simulation = gaussian(4000, 0.0, 1.0, 1, accepted)
    data = gaussian(3000, 0.6, 0.7, 2, accepted)
    seen = data.reco.passed
    measured = Measured(("x",), data.reco.values[seen], data.weight[seen])
    scale = seen.sum() / simulation.weight[simulation.reco.passed].sum()
    return Problem(simulation.weighted(simulation.weight * scale), measured), data.gen.values[
        data.gen.passed, 0
    ]


def unfolded(
    problem: Problem, iterations: int, **changes: Any
) -> tuple[Any, np.ndarray, np.ndarray]:
    how = FlowMatchingSettings.model_validate(
        {
            **METHODS["matching"],
            "iterations": iterations,
            "stop_drift": 0,
            "samples": 5,
            "ensemble": 1,
            "control": None,
            "training": {
                "epochs": 60,
                "batch_size": 256,
                "learning_rate": 4e-3,
                "patience": 60,
                "schedule": "cosine",
            },
            "layers": [48, 48, 48],
            "further_epochs": 30,
            "classifier": {},
            **changes,
        }
    )
    found = fitted(
        problem,
        {"x": ObservableSettings(label="x", low=-4, high=4)},
        how,
        seed=5,
        measurement="gaussian",
        replica_seed=1,
        only_nominal=True,
    )
    sample, _ = generative_samples.unfolded(found, "gaussian", 1, 0)
    return found, sample.values[:, 0], sample.weights["nominal"]


def moments(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    mean = np.average(values, weights=weight)
    return np.array([mean, np.sqrt(np.average((values - mean) ** 2, weights=weight))])


def test_iteration_removes_the_prior():
    """A smearing of 0.7 draws to the prior: the mean from .6 to .40, the width from .7 to .88.

    Three exact iterations leave a tenth of the one bias and a third of the other.
    """
    problem, _ = gaussian_problem(accepted=False)
    known = np.array([0.6, 0.7])
    biases = [np.abs(moments(*unfolded(problem, iterations)[1:]) - known) for iterations in (0, 3)]
    assert biases[0][0] > 0.15
    assert biases[0][1] > 0.1
    assert biases[1][0] < 0.35 * biases[0][0]
    assert biases[1][1] < 0.6 * biases[0][1]


def test_fakes_and_inefficiency_are_corrected():
    problem, truth = gaussian_problem(accepted=True)
    found, values, weight = unfolded(problem, 3)
    known = moments(truth, np.ones(len(truth)))
    assert weight.sum() == pytest.approx(len(truth), rel=0.08)
    np.testing.assert_allclose(moments(values, weight), known, atol=0.09)
    # Without either correction the same samples are wrong in number and mean.
    inverse = found.accepted.inverse_efficiency(values[:, None])[0][:, 0]
    genuine = np.repeat(found.accepted.genuine_part(problem.data.values)[:, 0], 5)
    assert (weight / inverse).sum() < 0.9 * len(truth)
    assert (weight / genuine).sum() > 1.1 * len(truth)
    assert moments(values, weight / inverse)[0] < known[0] - 0.09


def two_peaks(rows: int, seed: int) -> Simulation:
    """At -1 and 1, of width 0.2; all events pass both levels."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([-1.0, 1.0], rows) + rng.normal(0, 0.2, rows)
    everything = np.ones(rows, dtype=bool)
    levels = [Level(one[:, None], everything) for one in (truth, truth + rng.normal(0, 0.7, rows))]
    ids = np.stack([np.ones(rows, int), np.ones(rows, int), np.arange(rows)], axis=1)
    return Simulation(("x",), *levels, np.ones(rows), ids)


@pytest.mark.parametrize(("given", "left"), [("particle", 0.3), ("both", 0.6)])
def test_the_control_mends_samples_of_a_bad_posterior(given, left):
    """Hardly trained, samples are normal, and a third of them lies where no event is."""
    data = two_peaks(2000, 2).reco.values
    posed = Problem(two_peaks(2000, 1), Measured(("x",), data, np.ones(2000)))
    training = {"epochs": 1, "batch_size": 256, "learning_rate": 1e-3}
    bad = {"training": training, "further_epochs": 1}
    control = {"given": given, "samples": 3}
    found, values, weight = unfolded(posed, 0, **bad, control=control)
    _, same, mended = unfolded(posed, 0, **bad, control={**control, "reweights": True})
    np.testing.assert_array_equal(same, values)
    # Each measured event keeps its sum; all pass, so that efficiencies are 1.
    sums = [one.reshape(2000, 5).sum(axis=1) for one in (weight, mended)]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-6)
    wrong, right = (np.average(np.abs(values) < 0.4, weights=one) for one in (weight, mended))
    assert wrong > 0.2
    assert right < left * wrong
    record = generative_samples.unfolded(found, "gaussian", 1, 0)[1]["control"]
    assert record["given"] == given and record["reweights"] is False
    assert record["auc"] - 0.5 > 10 * record["auc_error"]
    assert record["quantiles"]["0.1"] < 0.2


def test_too_few_events_pass_both_levels():
    problem, _ = gaussian_problem(accepted=True)
    simulation = problem.simulation
    reco = simulation.reco.passed & ~simulation.gen.passed
    level = Level(np.where(reco[:, None], simulation.reco.values, np.nan), reco)
    broken = Simulation(simulation.names, simulation.gen, level, simulation.weight, simulation.ids)
    with pytest.raises(InputError, match="passes both levels"):
        unfolded(Problem(broken, problem.data), 0)


def test_data_that_are_not_finite_or_missing():
    problem, _ = gaussian_problem(accepted=True)
    values = problem.data.values.copy()
    values[4] = np.nan
    with pytest.raises(InputError, match=r"data: 1 of"):
        unfolded(Problem(problem.simulation, Measured(("x",), values, problem.data.weight)), 0)
    with pytest.raises(InputError, match="there is no event"):
        unfolded(Problem(problem.simulation, Measured(("x",), values[:0], np.ones(0))), 0)
