"""Fronts, tables, figures and the page of a point."""

import gzip
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.firmware import (
    describe,
    evaluation_figure_names,
    fixed_network,
    pareto,
    pareto_figures,
    pareto_numbers,
    performance_figures,
    performance_numbers,
    point_page,
)
from fullchain.firmware.evaluation_settings import EvaluationSettings
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.float_scores import KINDS
from fullchain.firmware.judged_model import Emulated, class_jets, judged_model
from fullchain.firmware.network_census import census, described, fixed_type
from fullchain.firmware.pareto import Design, front, smallest
from fullchain.firmware.point_files import by_point, having, in_one, named
from fullchain.firmware.published_points import POINTS
from fullchain.firmware.stimuli import EXTREME, JET, RANDOM, Stimuli
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

CLASSES = ("q", "g", "W", "Z", "t")
CHOSEN = EvaluationSettings(bootstraps=20, efficiencies=(0.5,), grid=10)


def design(name, lut, accuracy, loss=0.0, **more):
    return Design(
        "m", name, "network", (accuracy, 0.005), (loss, 0.002), (accuracy + 0.1, 0.003), lut=lut,
        **more,
    )  # fmt: skip


def test_the_front_holds_what_nothing_beats():
    found = [
        design("large", 5000, 0.80),
        design("beaten", 3000, 0.70),
        design("middle", 2000, 0.75),
        design("same_size", 2000, 0.74),
        design("small", 500, 0.60),
        design("unknown", None, 0.99),
    ]
    assert [one.point for one in front(found)] == ["small", "middle", "large"]
    assert front([]) == []


def test_the_smallest_design_is_one_that_loses_at_most_one_percent_on_the_validation_part():
    found = [
        design("large", 5000, 0.70, validation=(0.801, 0.80)),
        design("middle", 2000, 0.70, validation=(0.801, 0.792)),
        # Equal to its own float model, which is no good; the best one on the test part.
        design("small", 500, 0.90, validation=(0.785, 0.785)),
        design("not judged", 100, 0.95),
        design("not synthesised", None, 0.70, validation=(0.79, 0.80)),
    ]
    assert smallest(found).point == "middle"
    assert smallest(found, 0.02).point == "small"
    assert smallest(found[:0]) is None
    assert smallest(found[3:]) is None


def judged(model="m", seed=1, bits=2.0):
    """Give an evaluation of symbols: each jet shows its class with chance 0.7."""
    random = np.random.default_rng(seed)
    target = np.repeat(np.arange(5), 200)
    shown = np.where(random.random(1000) < 0.7, target, random.integers(0, 5, 1000))
    logits = 2.0 * (shown[:, None] == np.arange(5)) + random.normal(size=(1000, 5))
    outputs = np.concatenate([np.round(logits * bits) / bits, np.zeros((20, 5))])
    number = np.arange(1000)
    columns = {"target": target, "sample": 0 * number, "run": 0 * number, "event": number}
    columns["luminosityBlock"] = 0 * number
    origin = np.repeat([JET, RANDOM, EXTREME], [1000, 15, 5]).astype(np.int8)
    vectors = Stimuli(np.zeros((1020, 3)), outputs, origin, columns, ("qcd",))
    points = {
        "exact": Emulated(vectors, {"rtl": outputs}),
        "off": Emulated(vectors, {"hls4ml": np.roll(outputs, 1, axis=1)}),
    }
    content = judged_model(logits, points, class_jets(columns, CLASSES), "classes", CHOSEN, 3)
    about = {"model": model, "kind": "network", "classes": list(CLASSES)}
    about["settings"] = CHOSEN.model_dump(mode="json")
    return json.loads(json.dumps({**about, **content}))


@pytest.fixture(name="evaluation", scope="module")
def evaluation_fixture():
    return judged()


def known_points():
    rtl = {"stages": 5, "clock_period": 5.0, "estimate": {"lut": 900, "ff": 100}}
    rtl["initiation_interval"] = 1
    synthesis = {
        "tool": "Yosys", "label": "Yosys, unplaced", "version": "0.70", "family": "xcup",
        "lut": 1000, "ff": 90, "dsp": 0, "carry": 7,
    }  # fmt: skip
    one = {"model": "m", "point": "exact", "rtl": rtl, "synthesis": synthesis}
    one["census"] = {"ebops": 1100, "mean_weight_bits": 1.5}
    accuracies = {"float": {"accuracy": [0.71, 0.01]}, "quantised": {"accuracy": [0.69, 0.01]}}
    one["quantisation"] = {"performance": accuracies}
    return [one]


def test_designs_join_what_steps_wrote(evaluation):
    found = pareto.designs([evaluation], known_points())
    assert [one.name for one in found] == ["m exact", "m off"]
    known, unknown = found
    assert (known.lut, known.dsp, known.stages, known.latency) == (1000, 0, 5, 25.0)
    assert (known.ebops, known.estimate) == (1100, 900)
    assert known.validation == (0.71, 0.69)
    assert unknown.lut is None and unknown.latency is None and unknown.validation is None
    performance = known_points()[0]["quantisation"]["performance"]
    trees = {"model": "m", "point": "off", "conifer": {"performance": performance}}
    assert pareto.designs([evaluation], [trees])[1].validation == (0.71, 0.69)
    numbers = evaluation["points"]["exact"]["quantised"]["numbers"]
    assert list(known.accuracy) == numbers["balanced_accuracy"]
    assert pareto.designs([{**evaluation, "kind": "anomaly"}], []) == []


def test_metrics_and_tables_can_be_written_and_say_what_was_found(tmp_path, evaluation):
    found = pareto.designs([evaluation], known_points())
    rows = performance_numbers.metrics([evaluation]) + pareto_numbers.metrics(found)
    write_metrics(tmp_path / "metrics.json", "firmware", rows)
    tables = performance_numbers.tables([evaluation]) + pareto_numbers.tables(found)
    write_tables(tmp_path / "tables.json", "firmware", tables)
    values = {row.name: row for row in rows}
    assert values["performance.m.exact.rtl.mismatches"].value == 0
    assert values["performance.m.off.hls4ml.mismatches"].value > 900
    assert values["performance.m.float.balanced_accuracy"].uncertainty > 0
    overview = next(table for table in tables if table.name == "performance")
    assert any("equal to the quantised" in row for row in overview.rows)
    published = next(table for table in tables if table.name == "published_points")
    assert len(published.rows) == len(POINTS)
    assert "KANEL" in published.caption and "cannot be compared" in published.caption
    assert performance_numbers.tables([]) == pareto_numbers.tables([]) == []


def test_the_area_of_an_anomaly_score_is_not_said_to_be_one_of_classes(evaluation):
    name = "performance.m.float.auc.macro"
    for kind, words in (("network", "of a class against the rest"), ("anomaly", "of a signal")):
        rows = performance_numbers.metrics([{**evaluation, "kind": kind}])
        assert words in next(row for row in rows if row.name == name).label


def test_the_smallest_design_stands_in_the_metrics():
    more = {"ff": 10, "dsp": 0, "stages": 4, "validation": (0.8, 0.8)}
    rows = pareto_numbers.metrics([design("a", 700, 0.7, -0.005, **more)])
    values = {row.name: row.value for row in rows}
    accuracy = next(row for row in rows if row.name == "pareto.smallest.balanced_accuracy")
    assert (accuracy.value, accuracy.uncertainty) == (0.7, 0.005)
    assert "on the test part; the design is chosen on the validation part" in accuracy.note
    assert values["pareto.smallest.lut"] == 700 and values["pareto.smallest.dsp"] == 0
    assert values["pareto.front"] == 1
    assert pareto_numbers.metrics([design("a", None, 0.7)]) == []


def test_published_points_of_both_data_sets_are_kept_apart():
    assert {one.data for one in POINTS} == {"OpenML", "CERNBox"}
    assert [one.method for one in POINTS if one.data == "CERNBox"] == ["LogicNets"]
    figure, caption = pareto_figures.figures([design("a", 700, 0.7)])[evaluation_figure_names.LUT]
    assert "cannot be compared" in caption and "KANEL" in caption
    ours, theirs = figure.axes
    labels = theirs.get_legend_handles_labels()[1]
    assert labels == ["published, OpenML", "published, CERNBox"]
    drawn = [line.get_xdata() for line in ours.get_lines()]
    assert all(1232 not in values for values in drawn)


def test_figures_are_those_that_are_named(evaluation):
    found = pareto.designs([evaluation], known_points())
    models = {"m": {"kind": "network", "points": {"exact": {}, "off": {}}}}
    drawn = {**performance_figures.figures([evaluation]), **pareto_figures.figures(found)}
    assert set(drawn) == set(evaluation_figure_names.evaluation_figure_names(models))
    for _, caption in drawn.values():
        assert len(caption) > 80


def test_a_census_counts_bits(random_network):
    network = random_network((4, 5, 3), weight_bits=4)
    found = census(network)
    weights = [layer.weight for layer in network.layers]
    assert found["weights"] == 4 * 5 + 5 * 3
    assert found["zero_weights"] == sum(int((weight == 0).sum()) for weight in weights)
    assert found["largest_weight_bits"] <= 3
    assert found["ebops"] == sum(one["ebops"] for one in found["layers"]) > 0
    assert [one["outputs"] for one in found["layers"]] == [5, 3]
    counted = {name: one.get("weight") for name, one in found["bits"].items()}
    assert counted.pop("inputs") is None
    for layer, (name, one) in zip(network.layers, counted.items(), strict=True):
        assert (name, sum(one["numbers"])) == (layer.name, layer.weight.size)
        assert one["numbers"][0] == (layer.weight == 0).sum()
        assert len(one["numbers"]) == one["largest"] + 1 <= 4
    shared = census(random_network((4, 5, 3), candidates=6))["layers"]
    assert [one["kind"] for one in shared] == ["dense", "sum", "dense"]


def test_formats_are_named_as_in_hls_code():
    numbers = Format(np.array([True, False, False]), np.array([1, 2, 1]), np.array([3, 4, -1]))
    assert [fixed_type(numbers, channel) for channel in range(3)] == [
        "ap_fixed<5,2>",
        "ap_ufixed<6,2>",
        "pruned",
    ]
    assert described(numbers)["pruned"] == 1 and described(numbers)["uniform"] is None
    same = Format.uniform(3, signed=False, integer=2, fractional=4)
    assert described(same)["uniform"] == "ap_ufixed<6,2>"
    assert described(None) is None


def test_files_of_points_are_known_by_their_folders(tmp_path, random_network):
    paths = []
    for point in ("a", "b"):
        folder = tmp_path / "m" / point
        folder.mkdir(parents=True)
        (folder / "rtl.json").write_text('{"stages": 3}')
        paths.append(folder / "rtl.json")
    fixed_network.write(tmp_path / "m/b/network.json", random_network(), {})
    found = by_point([*paths, tmp_path / "m/b/network.json"])
    assert [(one["model"], one["point"]) for one in found] == [("m", "a"), ("m", "b")]
    assert [one["point"] for one in having(found, "rtl", "census")] == ["b"]
    assert in_one(found, "rtl")[0] == {"stages": 3, "model": "m", "point": "a"}
    assert set(named(found, "rtl")) == {"m_a", "m_b"}
    with pytest.raises(InputError, match="a second rtl of m, a"):
        by_point([paths[0], paths[0]])
    with pytest.raises(InputError, match=r"m/a/rlt\.json: .* no kind rlt, only network, .*conifer"):
        by_point([tmp_path / "m/a/rlt.json"])


class Page(HTMLParser):
    """What a page holds: cells of its tables by section, and whether its elements are closed."""

    EMPTY = ("meta", "br", "link")

    def __init__(self, text):
        super().__init__()
        self.open, self.section, self.tables, self.row = [], "", {}, None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert not {"src", "href"} & set(attributes)
        if tag == "h2":
            self.section = attributes["id"]
        if tag == "tr":
            self.row = []
            self.tables.setdefault(self.section, []).append(self.row)
        if tag in ("td", "th"):
            self.row.append("")
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.row is not None and {"td", "th"} & set(self.open):
            self.row[-1] += data.strip()


@pytest.fixture(name="written")
def written_fixture(tmp_path, evaluation, random_network):
    network = random_network((4, 6, 5))
    fixed_network.write(tmp_path / "network.json", network, {})
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    compared = {
        "vectors": 1020, "mismatches": 0, "largest_difference": 0.0,
        "by_origin": {"jets": {"vectors": 1000, "mismatches": 0}},
    }  # fmt: skip
    known = known_points()[0]
    contents = {
        "rtl": known["rtl"],
        "synthesis": known["synthesis"],
        "verilator": {**compared, "latency_cycles": 5, "verilator": "5.48.0"},
        "netlist": {**compared, "mismatches": 3},
        "placement": {"tool": "nextpnr", "label": "nextpnr, ECP5", "fits": True},
    }
    contents["hls4ml"] = {"projects": {"Vitis": {}, "oneAPI": {}}, "emulations": {}}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    for name in ("rtl.tar.gz", "hls4ml.tar.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"project", mtime=0))

    def write(page="page.html", **changes):
        arguments = {
            "model": "m",
            "point": "exact",
            "evaluation": tmp_path / "evaluation.json",
            "networks": [tmp_path / "network.json"],
            "numbers": [tmp_path / f"{name}.json" for name in contents],
            "archives": [tmp_path / "rtl.tar.gz", tmp_path / "hls4ml.tar.gz"],
            **changes,
        }
        given = Given({"firmware": {"models": {"m": {"kind": "network"}}}})
        describe.main(**arguments, page=tmp_path / page, settings=given)
        return (tmp_path / page).read_text(encoding="utf-8")

    return write


def test_the_page_shows_all_that_is_known_of_a_point(written, tmp_path):
    text = written()
    page = Page(text)
    rows = {row[0]: row for row in page.tables["exactness"]}
    assert rows["Verilog"][1:4] == ["quantised model", "1\u202f020", "0"]
    # That of the evaluation is the same comparison.
    assert "rtl" not in rows
    assert rows["netlist of Yosys"][1:4] == ["Verilog", "1\u202f020", "3"]
    assert len(rows["rtl.tar.gz"][2]) == 64
    resources = {row[0]: row for row in page.tables["resources"]}
    assert resources["Yosys"] == ["Yosys", "xcup", "1\u202f000", "90", "0", "7"]
    assert resources["latency at that clock"][1] == "25 ns"
    assert [row[0] for row in page.tables["architecture"]] == ["layer", "dense1", "dense2"]
    assert len(page.tables["inputs"]) == 5
    accuracy = next(row for row in page.tables["performance"] if row[0] == "balanced_accuracy")
    assert re.fullmatch(r"0\.\d+ ± 0\.\d+", accuracy[1])
    assert accuracy[-1] == "0 (exact)"
    assert "never to be compared" in text and "Yosys, unplaced" in text
    for command in ("vitis-run --mode hls", "build_vivado_prj.tcl", "build_quartus_prj.tcl"):
        assert command in text
    assert str(tmp_path) not in text
    assert written("again.html") == text


def test_the_page_of_trees_shows_what_conifer_found(written, tmp_path):
    conifer = {
        "emulations": {"vhdl": {"vectors": 200, "mismatches": 0}},
        "vhdl": {"latency": 3},
        "synthesis": {"label": "Yosys, unplaced", "lut": 700, "ff": 50, "dsp": 0},
    }
    (tmp_path / "conifer.json").write_text(json.dumps(conifer))
    page = Page(written(networks=[], numbers=[tmp_path / "conifer.json"], archives=[]))
    assert ["conifer, VHDL in GHDL", "quantised model", "200", "0", ""] in page.tables["exactness"]
    assert page.tables["resources"][1][2:5] == ["700", "50", "0"]
    assert page.tables["resources"][2] == ["latency, measured in simulation", "3 clocks"]


def test_the_page_of_trees_needs_no_network(written):
    text = written(networks=[], numbers=[], archives=[])
    page = Page(text)
    # Without the report of the emulation its comparison is that of the evaluation.
    assert page.tables["exactness"][1][:4] == ["rtl", "quantised model", "1\u202f020", "0"]
    assert "architecture" not in page.tables
    assert "Not synthesised" in text and "No project was given" in text


def test_every_kind_of_model_has_a_page(written, tmp_path):
    path = tmp_path / "evaluation.json"
    before = json.loads(path.read_text())
    texts = set()
    for kind in KINDS:
        path.write_text(json.dumps({**before, "kind": kind}))
        texts.add(Page(written()) and written().split(" as firmware")[0])
    assert len(texts) == len(KINDS) == 4


def test_a_page_of_another_model_is_refused(written):
    with pytest.raises(InputError, match=r"not of m, other"):
        written(point="other")
    with pytest.raises(InputError, match=r"not of other, exact"):
        written(model="other")


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ([0.71234, 0.0123], "0.712 ± 0.012"),
        ([0.0, 0.0], "0 (exact)"),
        ([None, None], "–"),
    ],
)
def test_numbers_are_rounded_to_their_errors(pair, text):
    assert point_page.measured(pair) == text
