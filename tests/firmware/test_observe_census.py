"""What the trigger sees, by class: known medians, histograms, figures, tables, bad input."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.firmware import census, feature_census, trigger_jets
from fullchain.firmware.census_figure_names import census_figure_names
from fullchain.firmware.census_figures import figures, shown
from fullchain.firmware.census_numbers import metrics, tables
from fullchain.firmware.feature_census import edges, histogram, quantiles
from fullchain.firmware.inputs_settings import FEATURES
from fullchain.firmware.trigger_jets import SCALARS, TriggerJets
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

CLASSES = {
    "q": {"samples": ["qcd"], "labels": ["light", "b"]},
    "g": {"samples": ["qcd"], "labels": ["gluon"]},
    "t": {"samples": ["tt"], "labels": ["top"], "fully_contained": True},
}


def toy(seed: int, labels: list, n: int = 400) -> TriggerJets:
    generator = np.random.default_rng(seed)
    scalars = {name: np.zeros(n, dtype=kind) for name, kind in SCALARS.items()}
    scalars["event"] = np.arange(n).astype(np.uint64)
    scalars["label"] = np.resize(np.array(labels, dtype=np.int8), n)
    scalars["label_fully_contained"] = np.arange(n) % 4 > 0
    features = generator.normal(scalars["label"][:, None], 1.0, (n, len(FEATURES)))
    features[:, -1] = generator.poisson(20 + 5 * scalars["label"])
    candidates = np.full((n, 2, 2), 0.25)
    names = ("pt", "pt_share")
    return TriggerJets(
        features.astype(np.float32), candidates.astype(np.float32), scalars, FEATURES, names
    )


def files(folder) -> list:
    paths = [folder / "qcd.h5", folder / "tt.h5"]
    trigger_jets.write(paths[0], toy(1, [0, 1]), "qcd")
    trigger_jets.write(paths[1], toy(2, [5]), "tt")
    return paths


def run(paths, report, classes=CLASSES):
    given = Given({"seed": 1, "firmware": {"classes": classes}})
    census.main(jets=paths, report=report, settings=given)
    return json.loads(report.read_text())


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("census")
    return run(files(folder), folder / "census.json")


def test_counts_medians_and_errors_are_those_of_the_jets(content):
    jets = {name: about["jets"] for name, about in content["classes"].items()}
    assert jets == {"q": 200, "g": 200, "t": 300}
    for label, truth, number in (("q", 1, 200), ("g", 0, 200), ("t", 5, 300)):
        found = [content["features"][name]["classes"][label] for name in FEATURES[:-1]]
        values, errors = np.array([one["median"] for one in found]).T
        # the median of a Gaussian has an error of sqrt(pi / 2n)
        expected = np.sqrt(np.pi / 2 / number)
        assert errors.mean() == pytest.approx(expected, rel=0.25)
        assert (np.abs(values - truth) < 4 * expected).all()
        widths = np.array([one["width"][0] for one in found])
        assert widths.mean() == pytest.approx(1.0, abs=0.06)
        mean, error = content["features"]["multiplicity"]["classes"][label]["mean"]
        assert error == pytest.approx(np.sqrt((20 + 5 * truth) / number), rel=0.3)
        assert abs(mean - 20 - 5 * truth) < 4 * error
    assert content["features"]["leading_share"]["classes"]["q"]["median"] == [0.5, 0.0]


def test_histograms_hold_every_jet_once(content):
    for feature in content["features"].values():
        assert (np.diff(feature["edges"]) > 0).all()
        for label, one in feature["classes"].items():
            counted = one["histogram"]
            total = sum(counted["counts"]) + counted["below"] + counted["above"]
            assert total == content["classes"][label]["jets"]


def test_two_runs_give_equal_bytes(tmp_path):
    paths = files(tmp_path)
    run(paths, tmp_path / "a.json")
    run(paths, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_bins_of_whole_numbers_hold_whole_numbers():
    found = edges(np.array([3.0, 4.0, 5.0, 9.0]))
    assert (found % 1 == 0.5).all() and (np.diff(found) % 1 == 0).all()
    assert histogram(np.array([3.0, 4.0, 4.0]), found)["counts"][:2] == [1, 2]
    assert np.diff(edges(np.full(5, 0.3)))[0] > 0, "all values equal"


def test_quantiles_follow_the_weights():
    values = np.array([3.0, 1.0, 2.0])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    assert quantiles(values, weights, [0.5])[:, 0].tolist() == [2.0, 1.0, 2.0]


def test_errors_count_events_and_not_jets():
    values = np.repeat(np.random.default_rng(2).normal(size=300), 4)
    target = np.zeros(1200, dtype=int)
    together, apart = (
        feature_census.census({"x": values}, target, ["q"], event, 200, 1)
        for event in (np.repeat(np.arange(300), 4), np.arange(1200))
    )
    assert [one["classes"]["q"]["events"] for one in (together, apart)] == [300, 1200]
    errors = [one["features"]["x"]["classes"]["q"]["mean"][1] for one in (together, apart)]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.2)
    # That of 300 independent values, within the error of an error from 200 replicas.
    assert errors[0] == pytest.approx(values.std() / np.sqrt(300), rel=0.25)


def test_figures_tables_and_metrics(content, tmp_path):
    drawn = figures([content])
    assert list(drawn) == census_figure_names()
    fig, caption = drawn[census_figure_names()[0]]
    assert "q 200, g 200, t 300" in caption
    labels = [ax.get_xlabel() for ax in fig.axes]
    assert "multiplicity" in labels and len(labels) == 6
    plt.close(fig)
    given = metrics([content])
    write_metrics(tmp_path / "metrics.json", "firmware", given)
    values = {metric.name: metric.value for metric in given}
    assert values["inputs.t.jets"] == 300
    assert values["inputs.g.multiplicity"] < values["inputs.t.multiplicity"]
    table = tables([content])[0]
    write_tables(tmp_path / "tables.json", "firmware", [table])
    assert [row[0] for row in table.rows] == [*FEATURES, "leading_share"]


def test_figures_take_any_features(content):
    assert shown(["d2_b1", "c1_b1"]) == ["c1_b1", "d2_b1"]
    few = {name: content["features"][name] for name in ("d2_b1", "m2_b1", "c2_b1", "c2_b2")}
    fig, _ = figures([{**content, "features": few}])[census_figure_names()[0]]
    assert sum(ax.axison for ax in fig.axes) == 4
    plt.close(fig)
    assert figures([]) == {} and metrics([]) == [] and tables([]) == []


def test_bad_input_is_named(tmp_path):
    paths = files(tmp_path)
    with pytest.raises(InputError, match="no files of trigger jets"):
        run([], tmp_path / "a.json")
    other = CLASSES | {"W": {"samples": ["wjet"], "labels": ["W"]}}
    with pytest.raises(InputError, match=r"firmware\.classes\.W: no such jets in wjet"):
        run(paths, tmp_path / "a.json", other)
    jets = toy(3, [5])
    fewer = TriggerJets(
        jets.features[:, :3], jets.candidates, jets.scalars, FEATURES[:3], jets.candidate_names
    )
    trigger_jets.write(tmp_path / "fewer.h5", fewer, "tt")
    with pytest.raises(InputError, match=r"fewer\.h5: other features or candidates"):
        run([*paths, tmp_path / "fewer.h5"], tmp_path / "a.json")
