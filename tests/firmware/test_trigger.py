"""The step: efficiencies of a known truth, rates, pairs of implementations, bad input."""

import copy
import json

import numpy as np
import pytest
import torch
from scipy import stats

from fullchain.errors import InputError
from fullchain.firmware import (
    fixed_network,
    float_network,
    forest,
    forest_file,
    stimulate,
    stimuli,
    tasks,
    trigger,
    trigger_figure_names,
    trigger_figures,
    trigger_jets,
    trigger_numbers,
)
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, InputNumbers
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.trigger_jets import SCALARS, TriggerJets
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

EVENTS = 3000
SHIFT = 1.5
CLASSES = {
    "q": {"samples": ["qcd"], "labels": ["light"]},
    "t": {"samples": ["tt"], "labels": ["top"]},
}


def write_jets(folder, sample, label, shift, number=EVENTS, seed=1):
    """Write one jet per event whose only feature is normal, with mean `shift`."""
    generator = np.random.default_rng(seed)
    scalars = {name: np.zeros(number, dtype=kind) for name, kind in SCALARS.items()}
    scalars["event"] = np.arange(number, dtype=np.uint64)
    scalars["run"] += 1
    scalars["weight"] += 2.0
    scalars["pt"] = generator.uniform(500, 700, number).astype(np.float32)
    scalars["label"] += label
    candidates = np.zeros((number, 1, 2))
    # The level-1 pT is 2 % above the offline one, with a resolution of 15 GeV.
    candidates[:, 0, 0] = 1.02 * scalars["pt"] + generator.normal(0, 15, number)
    candidates[:, 0, 1] = 1.0
    jets = TriggerJets(
        generator.normal(shift, 1, (number, 1)).astype(np.float32),
        candidates.astype(np.float32),
        scalars,
        ("x",),
        ("pt", "pt_share"),
    )
    path = folder / f"{sample}.h5"
    trigger_jets.write(path, jets, sample)
    return path


def settings_of(kind="network", **chosen):
    values = {
        "signals": {
            "tt": {"samples": ["tt"], "labels": ["top"]},
            "zprime": {"samples": ["zprime"], "labels": ["top"]},
        },
        "triggers": {"t": ["t"]},
        "fractions": [0.02, 0.1],
        "bootstraps": 40,
    } | chosen
    return Given(
        {
            "seed": 1,
            "firmware": {
                "classes": CLASSES,
                "split": {"validation": 0.1, "test": 0.8},
                "stimuli": {"random": 50, "extreme": 10},
                "trigger": values,
                "models": {"m": {"kind": kind}},
            },
        }
    )


def classifier():
    """Logits (-x, x) in steps of 1/64, so that the log-odds of t are 2 x."""
    inputs = InputNumbers(
        ("x",), np.zeros(1), np.zeros(1, dtype=np.int64),
        Format.uniform(1, signed=True, integer=3, fractional=6),
    )  # fmt: skip
    layer = Dense("output", np.array([[-1.0, 1.0]]), np.zeros(2), "linear", None)
    return FixedPointNetwork(inputs, 0, (layer,), ("q", "t"))


@pytest.fixture(name="files", scope="module")
def files_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trigger")
    jets = [
        write_jets(folder, "qcd", 1, 0.0),
        write_jets(folder, "tt", 5, SHIFT, seed=2),
        write_jets(folder, "zprime", 5, 0.5, number=300, seed=3),
    ]
    fixed_network.write(folder / "network.json", classifier(), {})
    vectors = folder / "stimuli.h5"
    stimulate.main(
        network=folder / "network.json", jets=jets, model="m", vectors=vectors,
        settings=settings_of(),
    )  # fmt: skip
    outputs = stimuli.read(vectors).outputs
    stimuli.write_outputs(folder / "rtl.h5", outputs, "verilator")
    coarse = np.round(outputs)
    stimuli.write_outputs(folder / "coarse.h5", coarse, "coarse")
    manifest = {"sample": "qcd", "sum_of_weights": 4 * 2.0 * EVENTS, "cross_section_pb": 1000.0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def run(files, name="report.json", *, settings=None, **more):
    given = {
        "model": "m",
        "point": "p",
        "stimuli": files / "stimuli.h5",
        "jets": [files / f"{sample}.h5" for sample in ("qcd", "tt", "zprime")],
        "outputs": [files / "rtl.h5", files / "coarse.h5"],
        "manifests": [files / "manifest.json"],
    } | more
    trigger.main(**given, report=files / name, settings=settings or settings_of())
    return json.loads((files / name).read_text())


@pytest.fixture(name="content", scope="module")
def content_fixture(files):
    return run(files)


def test_efficiencies_are_the_analytic_ones(content):
    judged = content["triggers"]["t"]["implementations"]["quantised"]
    for point in judged["points"]:
        assert point["background"]["value"] <= point["fraction"] < point["looser"]
        for signal, shift in (("tt", SHIFT), ("zprime", 0.5)):
            wanted = stats.norm.sf(stats.norm.isf(point["fraction"]) - shift)
            found = point["signals"][signal]
            assert found["low"] < found["value"] < found["high"]
            # Thresholds fluctuate too: the error with them is the larger one.
            assert found["deviation"] > 0.4 * (found["high"] - found["low"])
            assert abs(found["value"] - wanted) < 4 * found["deviation"]
    value, error = judged["areas"]["tt"]
    assert abs(value - stats.norm.cdf(SHIFT / np.sqrt(2))) < 4 * error


def test_all_jets_of_the_test_part_count_those_of_no_class_too(content):
    assert content["samples"].keys() == {"qcd", "tt", "zprime"}
    assert content["signals"]["zprime"]["jets"] == content["samples"]["zprime"] > 200
    point = content["triggers"]["t"]["implementations"]["quantised"]["points"][0]
    assert point["signals"]["zprime"]["events"] == content["samples"]["zprime"]


def test_rates_are_those_of_the_cross_section(content):
    # 1000 pb at 2e34 are 20 Hz, of which a quarter has a jet.
    assert content["background"]["rate"] == pytest.approx(5.0)


def test_thresholds_at_rates_in_hertz(files):
    beyond = {"fractions": [], "rates": [0.25, 50.0], "bootstraps": 20}
    with pytest.raises(InputError, match=r"rates: 50 Hz is not below the 5 Hz of all"):
        run(files, "rates.json", settings=settings_of(**beyond))
    chosen = {"fractions": [], "rates": [0.25], "bootstraps": 20}
    found = run(files, "rates.json", settings=settings_of(**chosen))
    points = found["triggers"]["t"]["implementations"]["quantised"]["points"]
    assert [point["fraction"] for point in points] == [pytest.approx(0.05)]


def test_same_bits_are_the_same_efficiency_and_other_bits_are_not(content):
    compared = content["triggers"]["t"]["quantised_less"]
    assert all(row["difference"] == [0.0, 0.0] for row in compared["verilator"])
    assert any(row["difference"][1] > 0 for row in compared["coarse"])
    coarse = content["triggers"]["t"]["implementations"]["coarse"]
    assert coarse["distinct_scores"] < 20
    # A coarse score cannot have the rate, and what it has is said.
    assert all(
        row["achieved"][0] <= row["fraction"] and row["achieved"][0] < row["achieved"][1]
        for row in compared["coarse"]
    )


def test_turn_on_of_the_jet_pt_is_what_it_was_made_with(content):
    points = content["triggers"]["pt"]["implementations"]["level-1"]["points"]
    found = points[1]["signals"]["tt"]["turn_on"]["fit"]
    threshold = points[1]["threshold"]
    for (value, error), truth in (
        (found["midpoint"], threshold / 1.02),
        (found["width"], 15 / 1.02),
    ):
        assert abs(value - truth) < 4 * error
    bins = points[1]["signals"]["tt"]["turn_on"]["bins"]
    assert bins[0]["value"] < 0.01
    # The score of the model knows nothing of pT.
    flat = content["triggers"]["t"]["implementations"]["quantised"]["points"][1]
    assert flat["signals"]["tt"]["turn_on"]["fit"] is None


def test_curves_and_distributions_are_parts(content):
    judged = content["triggers"]["t"]["implementations"]["quantised"]
    part = judged["curve"]["background"]
    assert part == sorted(part)
    assert part[-1] == 1.0
    assert judged["curve"]["signals"]["tt"][0][-1] == 1.0
    for values, _ in judged["distributions"]["of"].values():
        assert sum(values) == pytest.approx(1.0)


def test_two_runs_give_the_same_bytes(files, content):
    assert run(files, "again.json") == content
    assert (files / "again.json").read_bytes() == (files / "report.json").read_bytes()


def test_the_network_in_floating_point_is_compared_on_the_same_jets(files, tmp_path):
    settings = tasks.settings_of(
        {"kind": "network", "architecture": {"quantities": ["x"], "layers": []}}, "test"
    )
    network = float_network.build(settings, 1, ("q", "t"))
    with torch.no_grad():
        network.dense["output"].weight.copy_(torch.tensor([[-1.0, 1.0]]))
    trained = float_network.Trained(
        network, settings, ("x",), np.zeros(1), np.zeros(1, dtype=np.int64), ("q", "t"), ("q", "t")
    )
    float_network.write(tmp_path / "float.pt", trained)
    found = run(files, "float.json", trained=[tmp_path / "float.pt"])["triggers"]["t"]
    judged = found["implementations"]
    assert list(judged) == ["float", "quantised", "verilator", "coarse"]
    # Inputs in steps of 1/64 tie where those of floating point do not.
    assert judged["float"]["distinct_scores"] > judged["quantised"]["distinct_scores"]
    for float_point, point in zip(
        judged["float"]["points"], judged["quantised"]["points"], strict=True
    ):
        assert point["threshold"] == pytest.approx(float_point["threshold"], abs=0.1)
    for row in found["quantised_less"]["float"]:
        assert abs(row["difference"][0]) < 0.05


def test_trees_in_floating_point_are_compared_too(files, tmp_path):
    # One cut at 1: the score of t is -1 or 1 where that of the network is x.
    nodes = np.array([0, forest.LEAF, forest.LEAF]), np.array([1.0, 0.0, 0.0])
    children = np.array([1, -1, -1]), np.array([2, -1, -1])
    trees = tuple(
        forest.Tree(*nodes, *children, np.array([0.0, -sign, sign])) for sign in (-1.0, 1.0)
    )
    grown = forest.Forest(
        ("x",), np.zeros(1), np.zeros(1, dtype=np.int64), ("q", "t"), np.zeros(2), (trees,)
    )
    forest_file.write(tmp_path / "forest.json", grown, {"model": "m"})
    trained = [tmp_path / "forest.json"]
    found = run(files, "trees.json", trained=trained, settings=settings_of("trees"))["triggers"]
    judged = found["t"]["implementations"]
    assert judged["float"]["distinct_scores"] == 2
    assert any(row["difference"][0] > 0 for row in found["t"]["quantised_less"]["float"])


def test_an_efficiency_of_nothing_has_an_error(content):
    changed = copy.deepcopy(content)
    for point in changed["triggers"]["pt"]["implementations"]["level-1"]["points"]:
        point["signals"]["tt"] |= {"value": 0.0, "deviation": 0.0, "low": 0.0, "high": 0.25}
    rows = {row.name: row for row in trigger_numbers.metrics([changed])}
    metric = rows["trigger.pt.tt.efficiency"]
    assert (metric.value, metric.uncertainty) == (0.0, 0.25)
    table = trigger_numbers.tables([changed])[1]
    cell = table.rows[0][2 + list(changed["signals"]).index("tt")]
    assert (cell.value, cell.uncertainty) == (0.0, 25.0)


def test_an_anomaly_model_has_one_trigger(files, tmp_path):
    score = FixedPointNetwork(
        classifier().inputs, 0, (Dense("d", np.ones((1, 1)), np.zeros(1), "linear", None),
        fixed_network.SquaredNorm("norm", None)), ("score",),
    )  # fmt: skip
    fixed_network.write(tmp_path / "network.json", score, {})
    settings = settings_of("anomaly", bootstraps=20)
    jets = [files / f"{sample}.h5" for sample in ("qcd", "tt", "zprime")]
    stimulate.main(
        network=tmp_path / "network.json", jets=jets, model="m",
        vectors=tmp_path / "stimuli.h5", settings=settings,
    )  # fmt: skip
    found = run(
        files, "anomaly.json", settings=settings, stimuli=tmp_path / "stimuli.h5", outputs=[],
        manifests=[],
    )  # fmt: skip
    assert found["background"]["rate"] is None
    assert list(found["triggers"]) == ["pt", "anomaly"]
    point = found["triggers"]["anomaly"]["implementations"]["quantised"]["points"][1]
    # x^2 above the quantile of a chi-squared distribution, of the shifted signal.
    limit = stats.chi2.isf(0.1, 1)
    wanted = stats.ncx2.sf(limit, 1, SHIFT**2)
    signal = point["signals"]["tt"]
    assert abs(signal["value"] - wanted) < 4 * signal["deviation"]


def test_numbers_and_figures_come_from_the_report(files, content, tmp_path):
    rows = trigger_numbers.metrics([content])
    write_metrics(tmp_path / "metrics.json", "firmware", rows)
    by_name = {row.name: row for row in rows}
    # Equal outputs are no number; others are.
    assert "trigger.m.p.t.tt.less_verilator" not in by_name
    assert by_name["trigger.m.p.t.tt.less_coarse"].uncertainty > 0
    point = content["triggers"]["t"]["implementations"]["quantised"]["points"][1]
    assert by_name["trigger.m.p.t.tt.efficiency"].value == point["signals"]["tt"]["value"]
    assert "trigger.pt.tt.auc" in by_name
    tables = trigger_numbers.tables([content])
    write_tables(tmp_path / "tables.json", "firmware", tables)
    assert [table.name for table in tables] == [
        "trigger_efficiency_1", "trigger_efficiency_2", "trigger_thresholds",
    ]  # fmt: skip
    assert "Hz" in tables[0].title
    drawn = trigger_figures.figures([content])
    names = trigger_figure_names.trigger_figure_names(content["signals"], [("m", "p")])
    assert list(drawn) == names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": settings_of(background=["qcd2"])}, r"trigger.background.*sample qcd2"),
        ({"settings": settings_of(triggers={"b": ["b"]})}, r"triggers.b: b is none of"),
        ({"settings": settings_of(rates=[1.0]), "manifests": []}, r"rates.*manifests of qcd"),
        ({"settings": settings_of("autoencoder")}, r"2 outputs for 1 inputs"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_jets(files, change, words):
    with pytest.raises(InputError, match=words):
        run(files, "bad.json", **change)
    assert not (files / "bad.json").exists()


def test_files_that_do_not_fit_each_other(files, tmp_path):
    order = [files / f"{sample}.h5" for sample in ("tt", "qcd", "zprime")]
    with pytest.raises(InputError, match=r"stimuli.h5: vectors of other jets .*sample differ"):
        run(files, "bad.json", jets=order)
    with pytest.raises(InputError, match=r"outputs of verilator were given already"):
        run(files, "bad.json", outputs=[files / "rtl.h5", files / "rtl.h5"])
    stimuli.write_outputs(tmp_path / "short.h5", np.zeros((3, 2)), "hls4ml")
    with pytest.raises(InputError, match=r"short.h5: outputs of shape \(3, 2\)"):
        run(files, "bad.json", outputs=[tmp_path / "short.h5"])
