"""Distributed arithmetic: logic that is the network to the bit, and the archive of its Verilog."""

import dataclasses
import io
import json
import tarfile

import numpy as np
import pytest
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.firmware import (
    distributed_arithmetic,
    fixed_network,
    project_archive,
    rtl_project,
    stimuli,
    trace,
)
from fullchain.firmware.distributed_arithmetic import Method
from fullchain.firmware.fixed_network import (
    Dense,
    FixedPointNetwork,
    Flatten,
    InputNumbers,
    SquaredNorm,
    Sum,
)
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.rtl_settings import RtlSettings
from fullchain.step import Given

METHOD = Method(delay_constraint=2, adder_size=1, carry_size=None, table_bits=8)


def settings(**chosen):
    content = RtlSettings.model_validate(chosen).model_dump(mode="json")
    return Given({"seed": 3, "firmware": {"rtl": content}})


def vectors(network, number=400):
    generator = np.random.default_rng(7)
    extreme = stimuli.extreme_inputs(network.inputs.format, network.input_shape, 50, generator)
    return np.concatenate(
        [
            extreme,
            stimuli.random_inputs(network.inputs.format, network.input_shape, number, generator),
        ]
    )


def network_of(layers, fractional=2, candidates=0, outputs=1, width=2):
    inputs = InputNumbers(
        tuple(f"x{number}" for number in range(width)),
        np.zeros(width),
        np.zeros(width, dtype=np.int64),
        Format.uniform(width, signed=True, integer=1, fractional=fractional),
    )
    names = tuple(f"y{number}" for number in range(outputs))
    network = FixedPointNetwork(inputs, candidates, tuple(layers), names)
    network.check()
    return network


def one(weight, bias, activation, output):
    return Dense("only", np.array(weight)[:, None], np.array([bias]), activation, output)


def traced(network, method=None, cutoff=3, stages=None):
    logic = distributed_arithmetic.combinational(network, method or METHOD)
    pipeline, _ = distributed_arithmetic.pipelined(logic, cutoff, stages)
    return pipeline


def assert_exact(network, method=None, cutoff=3):
    pipeline = traced(network, method, cutoff)
    inputs = vectors(network)
    found = distributed_arithmetic.run(pipeline, inputs.reshape(len(inputs), -1))
    np.testing.assert_array_equal(found, network.evaluate(inputs))
    return distributed_arithmetic.numbers(pipeline)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "chosen",
    [
        {"uniform": True},
        {},
        {"candidates": 3},
        {"norm": True},
        {"weight_bits": 6, "activation_bits": 6, "sizes": (6, 8, 8, 4)},
    ],
    ids=["uniform", "pruned", "candidates", "norm", "wide"],
)
def test_logic_is_exact(random_network, chosen, seed):
    numbers = assert_exact(random_network(seed=seed, **chosen))
    assert numbers["stages"] >= 1
    assert bool(numbers["tables"]) == bool(chosen.get("norm"))


def test_flattened_candidates_are_exact(random_network):
    shared = random_network((2, 3, 3), candidates=2, seed=5)
    weight = np.random.default_rng(1).integers(-3, 4, (6, 2)) / 4
    last = Dense("last", weight, np.array([0.25, -1.0]), "linear", None)
    layers = (shared.layers[0], Flatten("flat"), last)
    network = dataclasses.replace(shared, layers=layers, outputs=("a", "b"))
    network.check()
    assert_exact(network)


@pytest.mark.parametrize("integer", [-1, 0, 1, 2])
@pytest.mark.parametrize("fractional", [-1, 0, 1, 3])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_all_formats_round_and_saturate(activation, signed, fractional, integer):
    output = Format.uniform(1, signed=signed, integer=integer, fractional=fractional)
    layers = [one([-1.5, 0.75], 0.125, activation, output), one([0.5], 0.25, "linear", None)]
    network = network_of([layers[0], dataclasses.replace(layers[1], name="last")])
    try:
        assert_exact(network)
    except InputError as problem:
        assert "no output depends on an input" in str(problem)
        assert np.ptp(network.evaluate(vectors(network))) == 0


def test_saturation_is_made_only_where_it_can_happen():
    fits = Format.uniform(1, signed=False, integer=2, fractional=1)
    narrow = Format.uniform(1, signed=False, integer=1, fractional=1)
    for output, selections in ((fits, 0), (narrow, 1)):
        network = network_of([one([1.0, 0.5], 0.0, "relu", output)])
        assert assert_exact(network)["selections"] == selections


def test_rounding_and_bias_are_one_addition():
    output = Format.uniform(1, signed=False, integer=3, fractional=0)
    without = network_of([one([1.0, 0.5], 0.0, "relu", output)])
    biased = network_of([one([1.0, 0.5], 0.75, "relu", output)])
    assert assert_exact(without)["adders"] == assert_exact(biased)["adders"] == 2


@pytest.mark.parametrize("table_bits", [4, 5, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_squares_are_exact_from_tables_of_any_width(table_bits, signed):
    output = Format.uniform(2, signed=signed, integer=2, fractional=6)
    weight = np.array([[1.0, -0.25], [0.5, 1.0]])
    dense = Dense("latent", weight, np.array([0.125, 0.0]), "linear", output)
    network = network_of([dense, SquaredNorm("norm", None)], fractional=6)
    numbers = assert_exact(network, dataclasses.replace(METHOD, table_bits=table_bits))
    assert numbers["tables"] >= 2


def test_sum_of_constants_and_an_input_that_is_not_used():
    weight = np.array([[0.0, 1.0], [0.0, 0.0]])
    output = Format.uniform(2, signed=False, integer=2, fractional=2)
    dense = Dense("shared", weight, np.array([0.5, 0.0]), "relu", output)
    network = network_of([dense, Sum("sum", None)], candidates=2, outputs=2)
    numbers = assert_exact(network)
    assert numbers["inputs"] == [[1, 1, 2], [0, 0, 0], [1, 1, 2], [0, 0, 0]]
    assert numbers["input_bits"] == 8


def test_too_many_stages_raise_the_cutoff(random_network):
    network = random_network((8, 16, 16, 4), seed=2)
    logic = distributed_arithmetic.combinational(network, METHOD)
    free, cutoff = distributed_arithmetic.pipelined(logic, 2, None)
    assert cutoff == 2
    bound, larger = distributed_arithmetic.pipelined(logic, 2, 3)
    assert len(free.solutions) > 3 >= len(bound.solutions)
    assert larger > 2
    inputs = vectors(network)
    np.testing.assert_array_equal(
        distributed_arithmetic.run(free, inputs), distributed_arithmetic.run(bound, inputs)
    )


def test_first_layer_that_differs_is_named(random_network, monkeypatch):
    network = random_network((4, 6, 5, 3), uniform=True)
    true = distributed_arithmetic._rounded_positive
    calls = []

    def wrong(value, fractional):
        # From the second layer on: the first one has six channels.
        calls.append(value)
        return true(value, fractional - (len(calls) > 6))

    monkeypatch.setattr(distributed_arithmetic, "_rounded_positive", wrong)
    pipeline = traced(network)
    calls.clear()

    def logic(*arguments):
        calls.clear()
        return made(*arguments)

    made = distributed_arithmetic._logic
    monkeypatch.setattr(distributed_arithmetic, "_logic", logic)
    with pytest.raises(InputError, match=r"layer dense2: the logic of da4ml differs .* in \d+ of"):
        distributed_arithmetic.check(network, pipeline, vectors(network), METHOD)


def test_bad_networks_are_named(random_network):
    network = network_of([one([1 + 2.0**-30, 1.0], 0.0, "linear", None)])
    with pytest.raises(InputError, match="layer only: a weight has more than the 24 bits"):
        distributed_arithmetic.combinational(network, METHOD)
    with pytest.raises(InputError, match="no output depends on an input"):
        traced(network_of([one([0.0, 0.0], 1.0, "linear", None)]))


def run(folder, network, **chosen):
    folder.mkdir()
    fixed_network.write(folder / "network.json", network, {})
    archive, report = folder / "rtl.tar.gz", folder / "rtl.json"
    trace.main(
        network=folder / "network.json", archive=archive, report=report, settings=settings(**chosen)
    )
    return archive, report


def test_archive_has_the_same_bytes_and_no_place_or_time(tmp_path, random_network):
    network = random_network(norm=True)
    first, second = (run(tmp_path / name, network) for name in ("a", "b"))
    for one_file, other in zip(first, second, strict=True):
        assert one_file.read_bytes() == other.read_bytes()
    with tarfile.open(first[0]) as tar:
        names = tar.getnames()
        for member in tar.getmembers():
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            content = tar.extractfile(member).read()
            assert b"/tmp" not in content
            assert str(tmp_path).encode() not in content
    assert names == sorted(names)
    wanted = {
        "README.txt", "build_vivado_prj.tcl", "build_quartus_prj.tcl", "model/pipeline.json",
        "src/jet_tagger.v", "src/jet_tagger_stage0.v", "src/jet_tagger.xdc", "metadata.json",
        "src/static/shift_adder.v",
    }  # fmt: skip
    assert wanted <= set(names)
    assert any(name.startswith("src/table_") for name in names)


def test_report_describes_the_ports(tmp_path, random_network):
    network = random_network(uniform=True)
    archive, report = run(tmp_path / "a", network, top="tagger", latency_cutoff=2, clock_period=2.5)
    content = json.loads(report.read_text())
    assert content["top"] == "tagger"
    assert content["stages"] > 1
    assert content["initiation_interval"] == 1
    assert content["latency_cutoff"] == content["latency_cutoff_asked"] == 2
    assert content["output_names"] == ["y0", "y1", "y2"]
    assert content["inputs"] == [[1, 1, 2]] * 4
    assert content["input_bits"] == 16
    assert content["estimate"]["lut"] > 0
    assert content["da4ml"]
    project_archive.unpack(archive, tmp_path / "unpacked", "trace")
    source = (tmp_path / "unpacked/src/tagger.v").read_text()
    assert "input [15:0] model_inp" in source
    assert f"[{content['output_bits'] - 1}:0] model_out" in source
    assert source.count("_inp <=") == content["stages"]
    assert "2.5" in (tmp_path / "unpacked/src/tagger.xdc").read_text()
    readme = (tmp_path / "unpacked/README.txt").read_text()
    assert "vivado -mode batch -source build_vivado_prj.tcl" in readme
    assert "model_inp [15:0]" in readme


def test_bad_archives_and_settings_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file; run firmware trace"):
        rtl_project.unpack(tmp_path / "none.tar.gz", "jet_tagger", tmp_path)
    (tmp_path / "text.tar.gz").write_text("text")
    with pytest.raises(InputError, match="not an archive of a project"):
        rtl_project.unpack(tmp_path / "text.tar.gz", "jet_tagger", tmp_path)
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "README.txt").write_text("nothing")
    (tmp_path / "empty.tar.gz").write_bytes(project_archive.packed(folder))
    with pytest.raises(InputError, match=r"0 files src/jet_tagger\.v"):
        rtl_project.unpack(tmp_path / "empty.tar.gz", "jet_tagger", tmp_path / "out")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    (tmp_path / "bad.tar.gz").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="outside"):
        rtl_project.unpack(tmp_path / "bad.tar.gz", "jet_tagger", tmp_path / "out")
    for wrong in ({"top": "Jet Tagger"}, {"stages_at_most": 0}, {"clock_period": 0}):
        with pytest.raises(ValidationError):
            RtlSettings.model_validate(wrong)
