"""The step `ratio`: on the synthetic problem, whose answer is known, and on a table of events."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.inference import (
    ratio,
    ratio_figure_names,
    ratio_figures,
    ratio_file,
    ratio_methods,
    ratio_numbers,
    ratio_templates,
    synthetic_model,
    unbinned,
)
from fullchain.inference.ratio_settings import RatioSettings
from fullchain.inference.ratio_source import SyntheticSource
from fullchain.metrics import write_metrics
from fullchain.seeds import stream
from fullchain.stage_tables import write_tables
from fullchain.step import Given

SMALL = {
    "events": {
        "training": 8000,
        "validation": 2000,
        "calibration": 40_000,
        "check": 10_000,
        "templates": 30_000,
    },
    "network": {"members": 2, "layers": [16, 16]},
    "training": {"epochs": 5, "batch_size": 250, "learning_rate": 1e-2},
    "experiments": {"number": 60, "of_members": 60, "nuisance": [0.0]},
}


def run(folder, chosen, **paths):
    folder.mkdir(parents=True, exist_ok=True)
    values = RatioSettings.model_validate(chosen).model_dump(mode="json")
    ratio.main(
        ratio_json=folder / "ratio.json",
        networks=folder / "ratio.pt",
        settings=Given({"seed": 2, "inference": {"ratio": values}}),
        **paths,
    )
    return json.loads((folder / "ratio.json").read_text())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratio")
    return folder, run(folder, SMALL)


def test_learned_fits_agree_with_exact_densities(small):
    _, content = small
    methods = content["experiments"][0]["methods"]
    exact = methods["exact"]
    for loss in ("cross_entropy", "mlc"):
        found, members = methods[loss], content["experiments"][0]["members"][loss]
        assert found["failed"] == 0
        error = math.hypot(found["shift"][1], members["shift_error_of_mean"])
        # Within a fifth of the uncertainty of one experiment, and what the networks scatter by.
        assert abs(found["shift"][0]) < 3.0 + 3 * error
        assert found["wider"][0] == pytest.approx(1.0, abs=0.05)
        assert abs(found["coverage"][0] - 0.683) < 3.5 * found["coverage"][1]
    expected = content["experiments"][0]["expected"]
    assert exact["uncertainty"][0] == pytest.approx(expected["exact"]["signal"], rel=0.03)
    assert methods["binned"]["uncertainty"][0] == pytest.approx(
        expected["binned"]["signal"], rel=0.03
    )
    assert expected["binned"]["signal"] > expected["exact"]["signal"]


def test_calibration_brings_the_mean_ratio_to_one(small):
    _, content = small
    for report in content["losses"].values():
        mean, error = report["after"]["signal"]["mean_ratio"]
        assert abs(mean - 1) < 4 * error
        for value, mean, error in report["after"]["nuisance"]["mean_ratio"]:
            assert abs(mean - 1) < 5 * error + 1e-12, value


def test_the_file_of_networks_gives_the_same_densities(small):
    folder, content = small
    loaded = ratio_file.load(folder / "ratio.pt")
    assert list(loaded) == ["cross_entropy", "mlc"]
    settings = RatioSettings.model_validate(content["settings"])
    some = SyntheticSource(settings, 2).experiments(0.0, range(3))
    one = loaded["mlc"]
    assert one.features == ("x0", "x1", "x2")
    data = ratio_methods.data(one.tables(some.x), some)
    fits = unbinned.fit(unbinned.Model(1000.0, 0.4, 0.8), data, 50.0)
    best = content["profile"]["signal"][int(np.argmin(content["profile"]["methods"]["mlc"]))]
    assert float(fits.values[0, 0]) == pytest.approx(best, abs=2.0)
    signal, background = one.density_terms(some.x[:10])
    assert signal.shape == (10,)
    assert background.shape == (10, 7)


def test_a_file_of_something_else_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        ratio_file.load(tmp_path / "ratio.pt")
    (tmp_path / "ratio.pt").write_text("nothing")
    with pytest.raises(InputError, match="not learned ratios"):
        ratio_file.load(tmp_path / "ratio.pt")


def test_figures_metrics_and_tables(small, tmp_path):
    _, content = small
    drawn = ratio_figures.figures([content])
    settings = RatioSettings.model_validate(content["settings"])
    assert list(drawn) == ratio_figure_names.ratio_figure_names(settings)
    for fig, caption in drawn.values():
        assert len(caption) > 80
        fig.canvas.draw()
    metrics = ratio_numbers.metrics([content])
    write_metrics(tmp_path / "metrics.json", "inference", metrics)
    write_tables(tmp_path / "tables.json", "inference", ratio_numbers.tables([content]))
    names = {one.name for one in metrics}
    assert {
        "ratio.fit0.mlc.coverage",
        "ratio.fit0.exact.bound",
        "ratio.mlc.after.mean_ratio",
    } <= names
    assert ratio_figure_names.ratio_figure_names(None) == []


def test_equal_settings_give_equal_bytes(tmp_path):
    tiny = {
        "events": {
            "training": 500,
            "validation": 200,
            "calibration": 5000,
            "check": 2000,
            "templates": 20_000,
        },
        "losses": ["mlc"],
        "network": {"members": 2, "layers": [8], "link": "square"},
        "training": {"epochs": 2, "batch_size": 100},
        "calibration": {"kind": "isotonic", "nuisance": "histogram"},
        "experiments": {"number": 20, "of_members": 0, "nuisance": [0.3]},
    }
    run(tmp_path / "a", tiny)
    run(tmp_path / "b", tiny)
    first, second = ((tmp_path / name / "ratio.json").read_bytes() for name in "ab")
    assert first == second


# A table of one's own events: the synthetic problem again, at five values of the shift.

OWN = {
    **SMALL,
    "losses": ["mlc"],
    "model": {"signal": 50.0, "background": 1000.0, "constraint": 0.4, "reach": 0.8},
    "own": {
        "events": ["table.parquet"],
        "features": ["a", "b", "c"],
        "weight": "w",
        "nuisance": "shift",
    },
    "experiments": {"number": 40, "of_members": 20, "nuisance": [0.0, 0.4]},
}


def own_columns(events=30_000):
    chance = stream(4, "own")
    pieces = [(synthetic_model.sample_signal(events, chance), 1, np.nan)]
    for shift in (0.0, -0.8, -0.4, 0.4, 0.8):
        drawn = synthetic_model.sample_background(
            events // (1 if shift == 0 else 3), shift, 3.0, chance
        )
        pieces.append((drawn, 0, shift))
    x = np.concatenate([one for one, _, _ in pieces])
    sizes = [len(one) for one, _, _ in pieces]
    return {
        "a": x[:, 0],
        "b": x[:, 1],
        "c": x[:, 2],
        "label": np.repeat([label for _, label, _ in pieces], sizes),
        "shift": np.repeat([shift for _, _, shift in pieces], sizes),
        "w": np.full(len(x), 0.5),
    }


def write(path, columns):
    pq.write_table(pa.table(columns), path)
    return [path]


def test_a_table_of_own_events_is_learned_and_fitted(tmp_path):
    events = write(tmp_path / "events.parquet", own_columns())
    chance = stream(4, "measured")
    measured = np.concatenate(
        [
            synthetic_model.sample_signal(50, chance),
            synthetic_model.sample_background(1000, 0.0, 3.0, chance),
        ]
    )
    data = write(tmp_path / "data.parquet", dict(zip("abc", measured.T, strict=True)))
    content = run(tmp_path / "out", OWN, events=events, data=data)
    assert "points" not in content["losses"]["mlc"]
    first, second = content["experiments"]
    assert "exact" not in first["methods"]
    assert "exact" not in first["expected"]
    for found in (first, second):
        numbers = found["methods"]["mlc"]
        assert abs(numbers["pull_mean"][0]) < 0.5 + 3 * numbers["pull_mean"][1]
        assert abs(numbers["coverage"][0] - 0.683) < 0.08 + 3 * numbers["coverage"][1]
    fit = content["measurement"]["fits"]["mlc"]
    assert content["measurement"]["events"] == 1050
    assert fit["low"] < fit["signal"] < fit["high"]
    assert abs(fit["signal"] - 50) < 4 * fit["uncertainty"]
    drawn = ratio_figures.figures([content])
    settings = RatioSettings.model_validate(content["settings"])
    assert list(drawn) == ratio_figure_names.ratio_figure_names(settings)
    assert ratio_numbers.metrics([content])
    assert len(ratio_numbers.tables([content])) == 2


def changed(**columns):
    return {**own_columns(3000), **columns}


def test_bad_tables_are_named(tmp_path):
    good = own_columns(3000)

    def refused(columns, message, settings=OWN):
        with pytest.raises(InputError, match=message):
            run(tmp_path, settings, events=write(tmp_path / "bad.parquet", columns))

    a = good["a"].copy()
    a[5] = np.nan
    refused({**good, "a": a}, "column a: row 5 is not a finite number")
    refused({**good, "label": good["label"] + 1}, "column label: only 1")
    refused({**good, "w": -good["w"]}, "weights must be finite and not negative")
    refused({**good, "shift": good["shift"] * 2}, "column shift: values of background must be")
    refused({name: good[name] for name in good if name != "c"}, "no column c; there are a, b")
    refused({**good, "c": ["x"] * len(a)}, "column c")
    background = good["label"] == 0
    refused({name: one[background] for name, one in good.items()}, "no signal in the part training")
    signal = ~background
    refused({name: one[signal] for name, one in good.items()}, "no background with 0")
    nominal = signal | (good["shift"] == 0)
    alone = {**OWN, "experiments": {"number": 20, "of_members": 0}}
    only = {name: one[nominal] for name, one in good.items()}
    refused(only, "no shifted background", alone)
    refused({**good, "w": np.where(signal, 0.0, 1.0)}, "sum to zero")
    other = {**OWN, "experiments": {"number": 20, "nuisance": [0.3], "of_members": 0}}
    refused(good, "the table has no background with 0.3", other)


def test_tables_and_settings_go_together(tmp_path):
    with pytest.raises(InputError, match=r"give the table with --events"):
        run(tmp_path, OWN)
    events = write(tmp_path / "events.parquet", own_columns(300))
    with pytest.raises(InputError, match=r"set inference\.ratio\.own\.features"):
        run(tmp_path, SMALL, events=events)
    with pytest.raises(InputError, match=r"none\.parquet: no such file"):
        run(tmp_path, OWN, events=[tmp_path / "none.parquet"])
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match="not a table of events"):
        run(tmp_path, OWN, events=[tmp_path / "text.parquet"])


def test_bins_with_few_events_are_merged():
    events = SyntheticSource(RatioSettings.model_validate(SMALL), 1).templates([0.0])
    # Scores up to 0.62 only.
    log_ratios = {name: torch.linspace(-3.0, 0.5, 30_000) for name in ("signal", 0.0)}
    signal, background, merged = ratio_templates.fill(log_ratios, events, 10)
    assert merged.tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 6, 6] or merged.tolist()[5:] == [5] * 5
    assert len(signal) == int(merged.max()) + 1
    assert float(signal.sum()) == pytest.approx(1.0)
    assert background.shape == (1, len(signal))
    log_ratios = {"signal": torch.full((30_000,), 3.0), 0.0: torch.full((30_000,), -3.0)}
    with pytest.raises(InputError, match=r"fewer than two, even merged"):
        ratio_templates.fill(log_ratios, events, 10)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"experiments": {"nuisance": [0.9]}}, "not inside"),
        ({"losses": ["mlc", "mlc"]}, "stands twice"),
        ({"network": {"members": 1}}, "greater than or equal to 2"),
    ],
)
def test_bad_settings(chosen, message):
    with pytest.raises(ValidationError, match=message):
        RatioSettings.model_validate(chosen)
