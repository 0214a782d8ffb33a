"""From toys to figures and tables: the steps of the evaluation, with a method in bins."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fullchain.cli import Command
from fullchain.errors import InputError
from fullchain.metrics import read_metrics
from fullchain.stage_tables import read_tables
from fullchain.step import Given
from fullchain.unfolding import (
    calibration,
    classifier_control,
    comparison_tables,
    coverage,
    diagnosis,
    evaluate,
    event_table,
    figures,
    iterate,
    plot,
    published,
    tabulate,
    toy,
)
from fullchain.unfolding.measurement_settings import MeasurementSettings
from fullchain.unfolding.sample import Level
from fullchain.unfolding.toy_settings import BackgroundToySettings, X, default_toys

TOYS = {name: one.model_dump() for name, one in default_toys().items()}
TOYS["gaussian"]["events"] = TOYS["gaussian_data"]["events"] = 3000
TOYS["gaussian_background"] = BackgroundToySettings(events=1000).model_dump()
MEASUREMENTS = {
    "gaussian": {
        "simulation": {"samples": ["gaussian"]},
        "data": {"samples": ["gaussian_data"]},
        "background": {"samples": ["gaussian_background"], "expected": 0.1},
        "observables": ["x"],
    },
    "closure": {
        "simulation": {"samples": ["gaussian"], "half": "first"},
        "data": {"samples": ["gaussian"], "half": "second"},
        "observables": ["x"],
        "kind": "closure",
    },
    "recorded": {
        "simulation": {"samples": ["gaussian"]},
        "data": {"samples": ["recorded"]},
        "background": {"samples": ["gaussian_background"], "expected": 0.1},
        "observables": ["x"],
    },
}
REPLICAS = 30
METHOD = {
    "kind": "ibu", "iterations": 8, "data_replicas": REPLICAS, "simulation_replicas": REPLICAS,
}  # fmt: skip
SETTINGS = Given(
    {
        "seed": 11,
        "unfolding": {
            "toys": TOYS,
            "observables": {"x": X.model_dump()},
            "methods": {"ibu": METHOD, "other": {"kind": "tunfold"}},
            "measurements": MEASUREMENTS,
            "evaluation": {"replicas": 40},
            "coverage": {
                "methods": ["ibu"], "experiments": 20, "replicas": 12, "bootstrapped": 4,
                "simulation": {"events": 3000}, "data": {"events": 3000},
                "background_events": 2000,
            },
        },
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folder with the tables, and all numbers and figures."""
    folder = tmp_path_factory.mktemp("run")
    for name in TOYS:
        toy.main(name=name, events=folder / f"{name}.parquet", settings=SETTINGS)
    table = event_table.read([folder / "gaussian_data.parquet"], ["x"])
    seen = table.take(np.flatnonzero(table.reco.passed))
    nothing = np.zeros(len(seen), dtype=bool)
    recorded = type(seen)(
        seen.names, Level(np.full_like(seen.gen.values, np.nan), nothing), seen.reco,
        seen.weight, seen.ids,
    )  # fmt: skip
    event_table.write(folder / "recorded.parquet", recorded, {"x": ""}, {})
    for name in MEASUREMENTS:
        measured(folder, name)
    coverage.main(method="ibu", coverage=folder / "coverage.json", settings=SETTINGS)
    several = [folder / name / "performance.json" for name in MEASUREMENTS]
    covered = [folder / "coverage.json"]
    plot.main(
        performance=several, coverage=covered, index=folder / "figures" / "index.json",
        settings=SETTINGS,
    )  # fmt: skip
    tabulate.main(
        performance=several, coverage=covered, metrics=folder / "metrics.json",
        comparison=folder / "tables.json", settings=SETTINGS,
    )  # fmt: skip
    return folder


def files(folder, name):
    chosen = MeasurementSettings.model_validate(MEASUREMENTS[name])
    below = chosen.background.samples if chosen.background else ()
    return {
        what: [folder / f"{sample}.parquet" for sample in samples]
        for what, samples in (
            ("simulation", chosen.simulation.samples),
            ("data", chosen.data.samples),
            ("background", below),
        )
    }


def measured(folder, name, target="performance.json"):
    tables = files(folder, name)
    if target == "performance.json":
        iterate.main(
            **tables, measurement=name, method="ibu", spectra=folder / name / "spectra.json",
            settings=SETTINGS,
        )  # fmt: skip
    evaluate.main(
        **tables, spectra=folder / name / "spectra.json", measurement=name, method="ibu",
        performance=folder / name / target, settings=SETTINGS,
    )  # fmt: skip


def numbers(folder, name):
    return json.loads((folder / name / "performance.json").read_text())


def test_the_truth_of_the_gaussian_case_is_found(run):
    found = numbers(run, "gaussian")["observables"]["x"]
    moments = found["metric"]["moments"]
    assert found["metric"]["truth_is_known"]
    assert moments["mean"]["truth"] == pytest.approx(0.2, abs=0.001)
    assert moments["width"]["truth"] == pytest.approx(0.8, abs=0.002)
    for quantity in moments.values():
        if isinstance(quantity, dict):
            assert abs(quantity["difference"]) < 4.0 * quantity["difference_deviation"]
            assert quantity["difference_deviation"] == pytest.approx(quantity["deviation"])
    triangular = found["metric"]["triangular"]
    difference = triangular["difference"]
    assert difference["value"] < -3.0 * difference["deviation"]
    assert len(triangular["replicas"]) == REPLICAS
    assert found["published"]["closure"]["chi_squared"]["p_value"] > 1e-3
    assert sum(found["published"]["truth"]) < 0.9 * TOYS["gaussian_data"]["events"]


def test_refolding_agrees_with_the_data_where_the_simulation_does_not(run):
    detector = numbers(run, "gaussian")["observables"]["x"]["published"]["detector"]
    assert detector["how"] == "response"
    assert detector["of_refolded"]["chi_squared"]["p_value"] > 0.01
    assert detector["of_simulation"]["chi_squared"]["p_value"] < 1e-6
    refolded = detector["of_refolded"]["triangular"]["value"]
    assert refolded < 0.3 * detector["of_simulation"]["triangular"]["value"]


def test_a_closure_is_against_the_truth_of_its_events(run):
    found = numbers(run, "closure")["observables"]["x"]
    moments = found["metric"]["moments"]
    assert moments["covariance_of"] == "unfolded spectrum less truth"
    # Truth and data are of the same events: their difference is surer than the result.
    assert moments["mean"]["difference_deviation"] < 0.9 * moments["mean"]["deviation"]
    assert abs(moments["mean"]["difference"]) < 4.0 * moments["mean"]["difference_deviation"]
    assert found["published"]["closure"]["chi_squared"]["p_value"] > 1e-3


def test_recorded_data_have_no_truth_and_are_refolded(run):
    found = numbers(run, "recorded")["observables"]["x"]
    assert found["metric"]["truth"] is None
    assert "triangular" not in found["metric"] and "closure" not in found["published"]
    known = numbers(run, "gaussian")["observables"]["x"]["published"]["detector"]
    assert found["published"]["detector"]["refolded"] == pytest.approx(known["refolded"], rel=0.1)


def test_iterations_lead_away_from_the_prior(run):
    found = numbers(run, "gaussian")["observables"]["x"]
    steps = found["iterations"]
    values = [one["value"] for one in steps["triangular"]]
    assert len(values) == len(steps["diagnostics"]) == METHOD["iterations"]
    assert values[-1] == pytest.approx(found["metric"]["triangular"]["method"]["value"])
    assert values[0] < found["metric"]["triangular"]["prior"]["value"]
    changes = [one["change"] for one in steps["diagnostics"]]
    assert changes == sorted(changes, reverse=True)


def test_two_runs_give_the_same_bytes(run):
    measured(run, "closure", "again.json")
    again = (run / "closure" / "again.json").read_bytes()
    assert again == (run / "closure" / "performance.json").read_bytes()


def test_the_figures_are_those_that_the_workflow_expects(run):
    drawn = json.loads((run / "figures" / "index.json").read_text())
    chosen = SimpleNamespace(
        measurements=MEASUREMENTS,
        methods={"ibu": SimpleNamespace(kind="ibu")},
        coverage=object(),
        methods_of=lambda measurement: ["ibu"],
    )
    assert {one["name"] for one in drawn} == set(figures.names(chosen))
    for one in drawn:
        assert (run / "figures" / f"{one['name']}.pdf").stat().st_size > 5000


def test_generative_methods_have_a_figure_more():
    chosen = SimpleNamespace(
        measurements={"zjets": None},
        methods={"ibu": SimpleNamespace(kind="ibu"), "cfm": SimpleNamespace(kind="flow_matching")},
        coverage=None,
        methods_of=lambda measurement: ["ibu", "cfm"],
    )
    assert "calibration_zjets" in figures.names(chosen)
    chosen.methods_of = lambda measurement: ["ibu"]
    assert "calibration_zjets" not in figures.names(chosen)
    assert "prior_zjets" in figures.names(chosen)
    chosen.methods_of = lambda measurement: ["cfm"]
    assert "prior_zjets" not in figures.names(chosen)
    assert "coverage" not in figures.names(chosen)


def test_every_metric_has_an_uncertainty_and_tables_have_all_methods(run):
    stage, metrics = read_metrics(run / "metrics.json")
    assert stage == "unfolding"
    names = [one.name for one in metrics]
    assert "gaussian.ibu.x.triangular" in names and "ibu.coverage.mean.width" in names
    assert not any(name.startswith("recorded.ibu.x.triangular") for name in names)
    assert all(one.uncertainty > 0 for one in metrics)
    _, tables = read_tables(run / "tables.json")
    assert [one.name for one in tables] == [
        "triangular_gaussian", "triangular_closure", "unfolding_tests", "unfolding_coverage",
    ]  # fmt: skip
    assert len(tables[2].rows) == len(MEASUREMENTS)


def test_data_beyond_the_simulation_are_a_metric_of_each_method(run):
    one = numbers(run, "gaussian")
    (binned,) = [row for row in tabulate.method_metrics(one) if "outside" in row.name]
    assert binned.name == "gaussian.ibu.x.outside_support"
    assert binned.value == one["diagnosis"]["observables"]["x"]["outside_support"]
    of_events = {"outside_support": 0.1, "outside_support_error": 0.02, "observables": {}}
    found = tabulate.method_metrics({**one, "method": "cinn", "diagnosis": of_events})
    (row,) = [row for row in found if "outside" in row.name]
    assert (row.name, row.value, row.uncertainty) == ("gaussian.cinn.outside_support", 0.1, 0.02)
    assert row.uncertainty_kind == "counting"


def test_diagnostics_of_trainings_are_metrics_with_their_spread(run):
    def steps(size):
        last = {"effective_sample_size": size, "drift": 0.01 * size, "clipped_fraction": 0.0}
        return [{name: -1.0 for name in last}, last]

    members = {"ensemble_0": steps(1.0), "ensemble_1": steps(3.0), "data_0": steps(9.0)}
    kept = diagnosis.diagnosed({}, {"members": members}, "metric")
    assert kept["ensemble"]["effective_sample_size"] == [1.0, 3.0]
    one = {**numbers(run, "gaussian"), "method": "multifold", "diagnosis": kept}
    rows = {row.name.split(".", 2)[-1]: row for row in tabulate.method_metrics(one)}
    assert rows["effective_sample_size"].value == 2.0
    assert rows["effective_sample_size"].uncertainty == pytest.approx(2.0**0.5)
    assert rows["drift"].value == pytest.approx(0.02) and "clipped_fraction" not in rows
    alone = diagnosis.diagnosed({}, {"members": {"ensemble_0": steps(1.0)}}, "metric")
    assert "ensemble" not in alone and "ensemble" not in diagnosis.diagnosed({}, {"members": 3}, "")


def test_the_uniformity_of_quantiles_is_a_metric(run):
    one = numbers(run, "gaussian") | {"method": "cinn"}
    found = calibration.uniformity(np.linspace(0.0, 1.0, 500), np.ones(500)).as_dict()
    one["diagnosis"]["calibration"] = {"observables": {"x": found}}
    rows = {row.name: row for row in tabulate.method_metrics(one)}
    row = rows["gaussian.cinn.x.quantiles_chi_squared"]
    assert row.value == found["chi2"] and row.uncertainty == (2 * found["degrees"]) ** 0.5
    assert "Kolmogorov-Smirnov p" in row.note


def test_published_values_stand_beside_the_same_method_only_and_are_marked(run):
    one = numbers(run, "gaussian")
    one["observables"] = {"mass": one["observables"]["x"]}
    rows = {row.name: row for row in tabulate.method_metrics(one)}
    assert rows["gaussian.ibu.mass.triangular"].published == 9.31
    assert "unverified" in rows["gaussian.ibu.mass.triangular"].source
    assert "unverified" in rows["gaussian.ibu.mass.triangular"].note
    one["kind"] = "closure"
    rows = {row.name: row for row in tabulate.method_metrics(one)}
    assert rows["gaussian.ibu.mass.triangular"].published is None
    assert published.beside("omnifold", "multifold", "z_g") == 0.15
    assert published.beside("omnifold", "unifold", "z_g") is None
    assert published.beside("cinn", None, "mass") is None


def test_coverage_is_that_of_the_expected_width(run):
    found = json.loads((run / "coverage.json").read_text())["quantities"]
    for one in found.values():
        # Of few events and experiments: that errors are of the right size.
        assert one["width"]["value"] == pytest.approx(one["expected_width"], rel=0.6)
        assert abs(one["mean"]["value"]) < 1.5
        assert one["experiments"] == 20


def test_coverage_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="take one of the kind ibu, omnifold, cinn or"):
        coverage.main(method="other", coverage=tmp_path / "c.json", settings=SETTINGS)


def test_coverage_of_omnifold_has_the_spread_of_its_ensemble_in_it(tmp_path):
    training = {"epochs": 1, "batch_size": 100}
    method = {
        "kind": "omnifold", "iterations": 1, "ensemble": 4, "layers": [8], "training": training,
    }  # fmt: skip
    chosen = {
        "experiments": 10, "replicas": 5, "bootstrapped": 1, "background_events": 100,
        "simulation": {"events": 200}, "data": {"events": 200},
    }  # fmt: skip
    unfolding = {
        "coverage": chosen,
        "methods": {"multifold": method, "unifold": {**method, "inputs": "unifold"}},
        "observables": {"x": X.model_dump()},
    }
    settings = Given({"seed": 1, "unfolding": unfolding})
    coverage.main(method="multifold", coverage=tmp_path / "c.json", settings=settings)
    found = json.loads((tmp_path / "c.json").read_text())["quantities"]
    for one in found.values():
        # Three sources: data, simulation, and the network with three degrees of freedom.
        assert 3.0 < one["freedom"] < 11.0
        assert one["uncertainty"] == pytest.approx(one["spread"]["value"], rel=0.8)
    with pytest.raises(InputError, match="take multifold"):
        coverage.main(method="unifold", coverage=tmp_path / "c.json", settings=settings)


@pytest.mark.parametrize("step", [toy, evaluate, coverage, tabulate, plot])
def test_steps_have_a_command_line(step):
    assert Command("unfolding", step.main).types


def test_the_dependence_on_the_prior_is_a_metric_with_an_error(run):
    one = numbers(run, "gaussian")
    rows = {row.name: row for row in tabulate.method_metrics(one)}
    (found,) = one["observables"]["x"]["published"]["prior_dependence"]
    row = rows["gaussian.ibu.x.prior_dependence"]
    assert (row.value, row.uncertainty) == (found["rms"]["value"], found["rms"]["deviation"])
    assert "flat prior" in row.label and row.uncertainty > 0
    found["rms"] = None
    assert row.name not in {other.name for other in tabulate.method_metrics(one)}


def controlled(run, **changes):
    """Numbers of a method in bins, as if it were a generative one with a control."""
    one = numbers(run, "gaussian") | {"method_kind": "cinn", "method": "cinn"}
    rng = np.random.default_rng(3)
    logits, labels = 0.3 * rng.normal(size=1000), np.repeat([1.0, 0.0], 500)
    record = classifier_control._record(
        logits, labels, np.ones(1000), np.tile(np.arange(500), 2), 3
    )
    about = {"given": "particle", "reweights": True, "learned": True}
    one["diagnosis"] = {"observables": {}, "control": {**about, **record, **changes}}
    return one


def test_weights_of_the_control_are_metrics_with_errors_or_limits(run):
    one = controlled(run)
    rows = {row.name: row for row in tabulate.method_metrics(one) if "control" in row.name}
    record = one["diagnosis"]["control"]
    found = rows["gaussian.cinn.control.quantile_99"]
    assert found.value == record["quantiles"]["0.99"] and found.limit is None
    assert found.uncertainty == record["quantile_errors"]["0.99"] > 0
    # Of 500 events none is beyond 99.9 %.
    limits = {name.split(".")[-1]: row.limit for name, row in rows.items() if row.limit}
    assert limits == {"quantile_0_1": "upper", "quantile_99_9": "lower", "largest": "lower"}
    assert rows["gaussian.cinn.control.auc"].value == record["auc"]
    assert rows["gaussian.cinn.control.effective_part"].uncertainty > 0
    assert not [
        row
        for row in tabulate.method_metrics(controlled(run, learned=False))
        if "control" in row.name
    ]


def test_the_control_has_a_table_and_a_panel(run, tmp_path):
    several = [controlled(run), controlled(run, learned=False), numbers(run, "closure")]
    table = {one.name: one for one in comparison_tables.tables(several, [])}["unfolding_control"]
    assert [row[0] for row in table.rows] == ["gaussian, cinn", "gaussian, cinn"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.rows[1][2] == "too few events"
    path = tmp_path / "performance.json"
    path.write_text(json.dumps(several[0]))
    index = tmp_path / "figures" / "index.json"
    plot.main(performance=[path], index=index, settings=SETTINGS)
    drawn = {entry["name"]: entry for entry in json.loads(index.read_text())}
    assert "Last panel: weights w = D/(1-D)" in drawn["calibration_gaussian"]["caption"]


def test_figures_do_without_discriminators_where_there_are_no_data(run, tmp_path):
    one = numbers(run, "recorded")
    for of in ("of_refolded", "of_simulation"):
        one["observables"]["x"]["metric"]["detector"][of]["triangular"] = None
    path = tmp_path / "performance.json"
    path.write_text(json.dumps(one))
    index = tmp_path / "figures" / "index.json"
    plot.main(performance=[path], index=index, settings=SETTINGS)
    assert "discriminators_recorded" in {one["name"] for one in json.loads(index.read_text())}


def test_quantiles_of_posteriors_are_drawn_where_they_were_tested(run, tmp_path):
    one = numbers(run, "gaussian") | {"method_kind": "cinn"}
    content = {"counts": [1.1, 0.9, 1.0, 1.0], "errors": [0.1] * 4, "ks_probability": 0.5}
    one["diagnosis"]["calibration"] = {"observables": {"x": content}}
    path = tmp_path / "performance.json"
    path.write_text(json.dumps(one))
    index = tmp_path / "figures" / "index.json"
    plot.main(performance=[path], index=index, settings=SETTINGS)
    names = {entry["name"] for entry in json.loads(index.read_text())}
    assert "calibration_gaussian" in names and "coverage" not in names
