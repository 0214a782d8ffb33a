"""The step that unfolds in bins."""

import json

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.step import Given
from fullchain.unfolding import event_table, iterate, spectrum_file
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.sample import Level, Simulation


def table(path, problem, values, *, shifted=False):
    """Write simulated events; with `values` also data or background, which fail the gen level."""
    if values is None:
        one = problem.simulation
        if shifted:
            up = Level(one.reco.values + 0.1, one.reco.passed)
            one = Simulation(
                one.names,
                one.gen,
                one.reco,
                one.weight,
                one.ids,
                {"jes_up": up},
                {"isr_up": np.where(one.ids[:, 2] % 2, 1.2, 0.8)},
            )
    else:
        rows = len(values)
        none = Level(np.full_like(values, np.nan), np.zeros(rows, dtype=bool))
        ids = np.stack([np.ones(rows), np.ones(rows), np.arange(rows)], axis=1).astype(np.int64)
        recorded = Level(values, np.ones(rows, dtype=bool))
        one = Simulation(problem.simulation.names, none, recorded, np.ones(rows), ids)
    event_table.write(path, one, dict.fromkeys(one.names, ""), {})
    return path


@pytest.fixture(scope="module")
def tables(gaussian, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    problem = gaussian(3000, 3000, dimensions=2)[0]
    return {
        "simulation": [table(folder / "simulation.parquet", problem, None, shifted=True)],
        "data": [table(folder / "data.parquet", problem, problem.data.values)],
        "background": [table(folder / "background.parquet", problem, problem.background.values)],
    }


def given(method=None, observables=None, **changes):
    measurement = {
        "simulation": {"samples": ["mc"]},
        "data": {"samples": ["data"]},
        "background": {"samples": ["noise"], "expected": 0.1},
        "observables": ["x", "y"],
        "shifts": ["jes_up"],
        "factors": ["isr_up"],
        "alternatives": {"other": {"samples": ["other"]}},
    }
    one = {"label": "x", "low": -3.0, "high": 3.0, "bins": 24}
    chosen = {"kind": "ibu", "data_replicas": 5, "simulation_replicas": 6}
    return Given(
        {
            "seed": 7,
            "unfolding": {
                "observables": observables or {"x": one, "y": one | {"edges": [-2, -1, 0, 1, 2]}},
                "measurements": {"toy": measurement | changes},
                "methods": {"ibu": chosen | (method or {})},
            },
        }
    )


def run(tables, path, settings=None, **options):
    iterate.main(
        **tables,
        measurement="toy",
        method="ibu",
        spectra=path,
        settings=settings or given(),
        **options,
    )
    return path


def test_spectra_of_all_observables_in_both_binnings(tables, tmp_path):
    path = run(
        tables,
        tmp_path / "spectra.json",
        given(
            {"joint": [["x", "y"], ["x", "z"]]},
            {name: {"label": name, "low": -3.0, "high": 3.0, "bins": 24} for name in "xyz"},
        ),
    )
    found, about = spectrum_file.read(path)
    assert {binning: set(one) for binning, one in found.items()} == {
        "metric": {"x", "y"},
        "published": {"x", "y"},
    }
    spectrum = found["metric"]["x"]
    assert (len(spectrum.counts), len(found["published"]["x"].counts)) == (24, 10)
    assert set(spectrum.covariances) == {"data", "simulation"}
    assert set(spectrum.shifts) == {"jes_up", "isr_up"}
    assert spectrum.covariances["data"].shape == (24, 24)
    assert (about["method"], about["kind"], about["measurement"]) == ("ibu", "ibu", "toy")
    assert (about["data_replicas"], about["simulation_replicas"]) == (5, 6)
    report = about["unfoldings"]["metric"]["x"]
    assert report["iterations"] == IbuSettings().iterations
    total = spectrum.counts.sum() + sum(spectrum.outside)
    assert report["unfolded_events"] == pytest.approx(total)
    assert len(report["by_iteration"]) == report["iterations"]
    np.testing.assert_allclose(report["by_iteration"][-1], spectrum.counts)
    assert len(report["detector_level"]["refolded"]) == 24
    replicas = spectrum_file.read_replicas(path)
    both = np.cov(replicas["metric"]["x"]["data"], replicas["metric"]["y"]["data"], rowvar=False)
    np.testing.assert_allclose(both[:24, :24], spectrum.covariances["data"], rtol=1e-3, atol=0.1)
    # The measurement has no z
    joint = spectrum_file.read_joint(path)
    assert set(joint) == set(about["joint"]) == {"x x y"}
    assert joint["x x y"].counts.shape == (10, 10)
    projected = joint["x x y"].projections["x"]
    np.testing.assert_allclose(projected.edges, found["published"]["x"].edges)
    assert projected.counts.sum() == pytest.approx(found["published"]["x"].counts.sum(), rel=0.05)


def test_two_runs_give_the_same_bytes(tables, tmp_path):
    paths = [run(tables, tmp_path / f"{number}.json") for number in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_another_simulation_is_a_shift(tables, tmp_path):
    others = {"alternatives": tables["simulation"], "names": ["other"] * len(tables["simulation"])}
    path = run(tables, tmp_path / "spectra.json", **others)
    found, about = spectrum_file.read(path)
    assert about["alternatives"] == ["other"]
    plain = spectrum_file.read(run(tables, tmp_path / "plain.json"))[0]
    for binning, spectra in found.items():
        for name, one in spectra.items():
            before = plain[binning][name]
            # The same events, so that nothing changes.
            np.testing.assert_allclose(one.shifts["model_other"], 0.0, atol=1e-9)
            np.testing.assert_array_equal(one.counts, before.counts)
            assert set(one.shifts) == {*before.shifts, "model_other"}


def test_files_of_other_simulations_need_names(tables, tmp_path):
    with pytest.raises(InputError, match="1 files of other simulations have 0 names"):
        run(tables, tmp_path / "spectra.json", alternatives=tables["simulation"][:1])


def test_replicas_need_not_be_kept(tables, tmp_path):
    path = run(tables, tmp_path / "spectra.json", given({"keep_replicas": False}))
    assert spectrum_file.read_replicas(path) == {}
    assert set(spectrum_file.read(path)[0]["metric"]["x"].covariances) == {"data", "simulation"}


def test_what_is_lost_is_said(tables, tmp_path, capsys):
    """The data have a wide background, which nobody tells of, in bins up to six widths."""
    wide = {name: {"label": name, "low": -6.0, "high": 6.0, "bins": 120} for name in ("x", "y")}
    path = run(
        tables | {"background": []},
        tmp_path / "spectra.json",
        given(observables=wide, background=None),
    )
    report = json.loads(path.read_text())["about"]["unfoldings"]["metric"]["x"]
    assert 0 < report["outside_support"] < 0.05
    lost = report["outside_support"] * report["data_events"]
    assert lost == pytest.approx(round(lost))
    assert "of the data are in bins that no simulated event fills" in capsys.readouterr().err


def test_an_unknown_observable_is_named(tables, tmp_path):
    one = {"label": "x", "low": -3.0, "high": 3.0}
    with pytest.raises(InputError, match=r"'y' is not in unfolding\.observables"):
        run(tables, tmp_path / "spectra.json", given(observables={"x": one}))
    with pytest.raises(InputError, match=r"'q' is not in unfolding\.observables"):
        run(tables, tmp_path / "spectra.json", given({"joint": [["x", "q"]]}))


def test_edges_without_events_are_named(tables, tmp_path):
    one = {"label": "x", "low": 30.0, "high": 40.0}
    with pytest.raises(InputError, match=r"'x': no simulated event .* between its edges 30 and 40"):
        run(tables, tmp_path / "spectra.json", given(observables={"x": one, "y": one}))
    assert not (tmp_path / "spectra.json").exists()
