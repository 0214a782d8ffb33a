"""Conversion with hls4ml: projects, emulation, comparison, errors."""

import dataclasses
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.firmware import (
    convert,
    fixed_network,
    hls_comparison,
    hls_limits,
    hls_project,
    one_bit_masks,
    project_archive,
    stimuli,
)
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Flatten
from fullchain.firmware.fixed_point import Array, Format
from fullchain.firmware.hls_layers import Step
from fullchain.firmware.hls_modules import ConvertibleNetwork, step_name
from fullchain.firmware.hls_settings import HlsSettings
from fullchain.step import Given

Make = Callable[..., FixedPointNetwork]


def vectors_of(network: FixedPointNetwork, number: int) -> stimuli.Stimuli:
    generator = np.random.default_rng(5)
    inputs = np.concatenate(
        [
            stimuli.random_inputs(network.inputs.format, network.input_shape, number, generator),
            stimuli.extreme_inputs(network.inputs.format, network.input_shape, 100, generator),
        ]
    )
    jets = number // 2
    origin = np.repeat(np.arange(3, dtype=np.int8), [jets, number - jets, 100])
    return stimuli.Stimuli(
        inputs.reshape(len(inputs), -1),
        network.evaluate(inputs),
        origin,
        {"pt": np.full(jets, 600.0)},
        ("qcd",),
    )


def run(network: FixedPointNetwork, folder: Path, **chosen: Any) -> dict[str, Any]:
    """Run the step and give its report."""
    fixed_network.write(folder / "network.json", network, {"model": "small"})
    stimuli.write(folder / "stimuli.h5", vectors_of(network, 600))
    convert.main(
        network=folder / "network.json",
        stimuli=folder / "stimuli.h5",
        archive=folder / "hls4ml.tar.gz",
        outputs=folder / "hls4ml.h5",
        report=folder / "hls4ml.json",
        settings=Given({"firmware": {"hls": chosen}}),
    )
    report: dict[str, Any] = json.loads((folder / "hls4ml.json").read_text(encoding="utf-8"))
    return report


def check_equal(network: FixedPointNetwork, folder: Path, report: dict[str, Any]) -> None:
    """All outputs, and the outputs of all layers with code, are those of the network."""
    found, implementation = stimuli.read_outputs(folder / "hls4ml.h5")
    assert implementation == "hls4ml"
    np.testing.assert_array_equal(found, vectors_of(network, 600).outputs)
    for entry in report["emulations"].values():
        assert (entry["vectors"], entry["mismatches"]) == (700, 0)
        assert entry["first_layer_that_differs"] is None
        for layer in entry["layers"]:
            assert layer["mismatches"] == 0
            assert (layer["hls4ml"] is None) == (layer["kind"] == "flatten")
            if layer["hls4ml"]:
                assert layer["vectors"] == 700


def flattened(network: FixedPointNetwork) -> FixedPointNetwork:
    """Replace the sum over candidates by their channels one after the other."""
    shared, last = network.layers[0], network.layers[-1]
    assert isinstance(shared, Dense) and isinstance(last, Dense)
    wide = network.candidates * len(shared.bias)
    generator = np.random.default_rng(2)
    dense = dataclasses.replace(last, weight=generator.integers(-7, 8, (wide, len(last.bias))) / 8)
    return dataclasses.replace(network, layers=(shared, Flatten("all"), dense))


def saturating(network: FixedPointNetwork) -> FixedPointNetwork:
    """Let an output saturate at a value with more fractional bits than its sums have."""
    first = network.layers[0]
    assert isinstance(first, Dense) and first.output is not None
    weight, bias = first.weight.copy(), first.bias.copy()
    weight[:, 0], bias[0] = 1.0, 0.0
    integer, fractional = first.output.integer.copy(), first.output.fractional.copy()
    integer[0], fractional[0] = 0, 6
    output = Format(first.output.signed, integer, fractional)
    dense = dataclasses.replace(first, weight=weight, bias=bias, output=output)
    return dataclasses.replace(network, layers=(dense, *network.layers[1:]))


def test_formats_that_differ_by_channel_are_emulated_to_the_bit(
    random_network: Make, tmp_path: Path
) -> None:
    network = saturating(random_network((4, 6, 3), candidates=5, seed=3))
    report = run(network, tmp_path)
    check_equal(network, tmp_path, report)
    assert report["mode"] == "exact"
    assert list(report["projects"]) == ["Vitis", "Vivado", "oneAPI"]
    with tarfile.open(tmp_path / "hls4ml.tar.gz") as tar:
        names = tar.getnames()
        assert all(entry.mtime == 0 and entry.uname == "" for entry in tar.getmembers())
        texts = [file.read().decode() for name in names if (file := tar.extractfile(name))]
    for needed in ("Vitis/build_prj.tcl", "Vivado/build_prj.tcl", "oneAPI/CMakeLists.txt"):
        assert needed in names
    assert not [name for name in names if name.endswith((".so", ".o"))]
    assert not [text for text in texts if str(tmp_path) in text or "/site-packages/" in text]
    # Values that saturate are those that the formats of the network say.
    first, rounded = network.layers[0], vectors_of(network, 600)
    assert isinstance(first, Dense) and first.output is not None
    unrounded = first.unrounded(rounded.inputs.reshape(-1, *network.input_shape))
    layer = report["emulations"]["Vitis"]["layers"][0]
    assert layer["overflows"]["format"]["all"] == first.output.overflows(unrounded).sum()
    assert layer["overflows"]["format"]["jets"] == first.output.overflows(unrounded[:300]).sum()
    assert layer["activations"]["highest"] == unrounded[:300].max()


def test_a_precision_by_hand_says_what_it_costs(random_network: Make, tmp_path: Path) -> None:
    network = random_network((4, 6, 3), seed=4)
    by_hand = {
        "default": "fixed<16,6>",
        "layers": {"dense1": {"activation": "ufixed<4,0>"}, "dense2": {"accum": "auto"}},
    }
    with pytest.raises(InputError, match=r"layer dense1: \d+ of 1800 values of jets overflow"):
        run(network, tmp_path, backends=["Vitis"], precision=by_hand)
    assert not (tmp_path / "hls4ml.tar.gz").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "io_type", "strategy"),
    [
        ("sum", "io_stream", "distributed_arithmetic"),
        ("flatten", "io_stream", "resource"),
        ("norm", "io_stream", "latency"),
        ("flatten", "io_parallel", "distributed_arithmetic"),
    ],
)
def test_all_layers_in_all_ways(
    random_network: Make, tmp_path: Path, io_type: str, kind: str, strategy: str
) -> None:
    candidates = 0 if kind == "norm" else 4
    network = random_network((4, 6, 3), candidates=candidates, uniform=True, norm=kind == "norm")
    if kind == "flatten":
        network = flattened(network)
    report = run(network, tmp_path, backends=["Vitis"], io_type=io_type, strategy=strategy)
    check_equal(network, tmp_path, report)


@pytest.mark.slow
def test_other_compilations_and_rounding_in_the_next_layer(
    random_network: Make, tmp_path: Path
) -> None:
    network = random_network(uniform=True)
    report = run(network, tmp_path, backends=["Quartus", "Vivado", "oneAPI"], emulate="all")
    check_equal(network, tmp_path, report)
    assert list(report["emulations"]) == ["Quartus", "Vivado"]
    network = random_network()
    chosen = {"io_type": "io_stream", "strategy": "distributed_arithmetic"}
    report = run(network, tmp_path, backends=["Vitis"], **chosen)
    check_equal(network, tmp_path, report)
    assert report["emulations"]["Vitis"]["layers"][0]["rounded_in_next_layer"]
    by_hand = {"default": "fixed<16,6>"}
    report = run(network, tmp_path, backends=["Vitis"], precision=by_hand)
    entry = report["emulations"]["Vitis"]
    assert report["mode"] == "by hand"
    # Ten fractional bits and no rounding: as float to a few of them, not as the network.
    assert entry["float"]["largest_difference"] < 0.02 < entry["largest_difference"]
    assert entry["float"]["jets_agreement"][0] > 290
    assert entry["mismatches"] > 0 and entry["first_layer_that_differs"] == "dense1"


def test_projects_are_the_same_bytes_wherever_they_are_written(
    random_network: Make, tmp_path: Path
) -> None:
    network = random_network()
    archives = []
    for place in ("here", "somewhere/else"):
        for backend in ("Vitis", "oneAPI", "Vivado"):
            folder = tmp_path / place / backend
            chosen = HlsSettings()
            project = hls_project.convert(network, backend, chosen, folder)
            hls_project.write(project, folder, chosen)
        archives.append(tmp_path / place / "archive.tar.gz")
        project_archive.pack(archives[-1], tmp_path / place)
    assert archives[0].read_bytes() == archives[1].read_bytes()


@pytest.mark.parametrize("kind", ["sum", "flatten", "norm", "dense"])
def test_the_module_for_hls4ml_is_the_network(random_network: Make, kind: str) -> None:
    candidates = 3 if kind in ("sum", "flatten") else 0
    network = random_network((4, 6, 3), candidates=candidates, norm=kind == "norm", seed=7)
    if kind == "flatten":
        network = flattened(network)
    inputs = stimuli.random_inputs(
        network.inputs.format, network.input_shape, 300, np.random.default_rng(1)
    )
    with torch.no_grad():
        found = ConvertibleNetwork(network, formats=True)(torch.from_numpy(inputs)).numpy()
    np.testing.assert_array_equal(found, network.evaluate(inputs))


class Altered:
    """An emulation that is the network but for one value of one layer."""

    def __init__(self, network: FixedPointNetwork, layer: int, row: int) -> None:
        self.network, self.layer, self.row = network, layer, row

    def run(self, inputs: Array) -> Iterator[tuple[Array, dict[str, Array]]]:
        traces = {}
        for number, (layer, _, rounded) in enumerate(self.network.steps(inputs)):
            values = rounded.copy()
            if number >= self.layer:
                values[self.row] += 0.25
            traces[step_name(number + 1, layer)] = values
        yield values, traces


def test_the_first_layer_that_differs_is_named(random_network: Make) -> None:
    network = random_network((4, 5, 4, 3))
    vectors = vectors_of(network, 200)
    steps = [
        Step(layer, step_name(number, layer), step_name(number, layer), False, {})
        for number, layer in enumerate(network.layers, start=1)
    ]
    made: Any = Altered(network, 1, 20)
    outputs, _, layers = hls_comparison.compare(
        network, vectors, made, steps, by_hand=False, jets_profiled=100
    )
    assert [layer["mismatches"] for layer in layers] == [0, 1, 1]
    assert layers[1]["largest_difference"] == 0.25
    assert hls_comparison.first_difference(layers) == "dense2"
    entry = stimuli.comparison(vectors.outputs, outputs, vectors.origin)
    entry |= {"first_layer_that_differs": "dense2", "layers": layers}
    project = hls_project.Project("Vitis", None, [])
    with pytest.raises(InputError, match=r"1 of 300 vectors; layer dense2 is the first one"):
        convert._check_equal(entry, project)


def test_weights_beyond_a_type_by_hand_are_counted(random_network: Make) -> None:
    layer = random_network().layers[0]
    assert isinstance(layer, Dense)
    small = Format.uniform(1, signed=True, integer=-1, fractional=3)  # -0.5 to 0.375
    types = {"weight": small, "bias": Format.uniform(1, signed=True, integer=2, fractional=3)}
    steps = [Step(layer, "step1_dense1", None, False, types)]
    beyond = int(((layer.weight > 0.375) | (layer.weight < -0.5)).sum())
    assert beyond > 0
    counts = hls_comparison.weights_that_do_not_fit(steps)
    assert counts == {"dense1": beyond}
    entry = {
        "layers": [{"name": "dense1", "overflows": {}}],
        "weights_that_do_not_fit": counts,
    }
    stop = HlsSettings.model_validate({"precision": {}})
    with pytest.raises(InputError, match=f"layer dense1: {beyond} weights or biases overflow"):
        convert._check_overflows(entry, stop)
    convert._check_overflows(
        entry, HlsSettings.model_validate({"precision": {"overflow": "report"}})
    )


def test_vectors_of_another_network_are_refused(random_network: Make) -> None:
    network, other = random_network(seed=1), random_network(seed=2)
    made: Any = Altered(network, 9, 0)
    steps = [Step(layer, "", None, False, {}) for layer in network.layers]
    with pytest.raises(InputError, match="outputs of another network"):
        hls_comparison.compare(
            network, vectors_of(other, 50), made, steps, by_hand=False, jets_profiled=9
        )
    wide = vectors_of(random_network((6, 5, 3)), 50)
    with pytest.raises(InputError, match="the vectors have 6 inputs"):
        hls_comparison.compare(network, wide, made, steps, by_hand=False, jets_profiled=9)


def test_what_a_backend_cannot_take_is_named(random_network: Make) -> None:
    network, one_format = random_network(), random_network(uniform=True)
    stream = HlsSettings(io_type="io_stream")
    with pytest.raises(InputError, match=r"layer dense1: its formats differ.*Vitis.*io_parallel"):
        hls_limits.check(network, "Vitis", stream)
    hls_limits.check(one_format, "Vitis", stream)
    with pytest.raises(InputError, match=r"layer dense1: .* cannot write for Quartus"):
        hls_limits.check(network, "Quartus", HlsSettings())
    with pytest.raises(InputError, match="not for oneAPI"):
        hls_limits.check(one_format, "oneAPI", HlsSettings(strategy="distributed_arithmetic"))
    wrong = HlsSettings.model_validate({"precision": {"layers": {"dense7": {}}}})
    with pytest.raises(InputError, match=r"layers.dense7: the network has no such layer; it has d"):
        hls_limits.check(network, "Vitis", wrong)
    types = {"layers": {"dense2": {"activation": "fixed<8,3>"}}}
    with pytest.raises(InputError, match="layer dense2 has no ReLU"):
        hls_limits.check(network, "Vitis", HlsSettings.model_validate({"precision": types}))


def test_settings_without_sense_are_refused() -> None:
    for wrong in (
        {"precision": {"default": "fixed<16>"}},
        {"precision": {"default": "auto"}},
        {"backends": ["Vitis", "Vitis"]},
        {"strategy": "distributed_arithmetic", "reuse_factor": 2},
        {"backends": []},
    ):
        with pytest.raises(ValueError, match=r"precision|auto|twice|reuse|at least 1"):
            HlsSettings.model_validate(wrong)


def test_a_missing_compiler_is_named_and_oneapi_alone_proves_nothing(
    random_network: Make, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no program g\+\+-none.*apt install g\+\+"):
        run(random_network(), tmp_path, compiler="g++-none")
    with pytest.raises(InputError, match="oneAPI cannot be emulated"):
        run(random_network(), tmp_path, backends=["oneAPI"])


@pytest.mark.parametrize("signed", [False, True])
def test_one_bit_on_two_of_oneapi(tmp_path: Path, signed: bool) -> None:
    # ac_fixed is the same code in the projects for Quartus, which g++ compiles.
    places = sorted(Path(hls4ml.__file__).parent.rglob("ac_fixed.h"))
    values = np.arange(-24, 25) / 8
    integer = 1 if signed else 2
    one = Format(np.array([signed]), np.array([integer - signed]), np.array([1 - integer]))
    assert one.width == 1
    line = one_bit_masks.statement(0, signed, integer, "RND", "SAT")
    source = tmp_path / "one.cpp"
    source.write_text(
        '#include "ac_fixed.h"\n#include <cstdio>\n'
        "int main() { for (int k = -24; k < 25; k++) {\n"
        "  ac_fixed<8,4,true> inp[1] = {k / 8.0}; ac_fixed<6,4,true> out[1];\n"
        f"  {line}\n"
        '  std::printf("%g ", out[0].to_double()); } }\n',
        encoding="utf-8",
    )
    command = ["g++", "-std=c++11", "-w", f"-I{places[0].parent}", str(source), "-o"]
    subprocess.run([*command, str(tmp_path / "one")], check=True)
    printed = subprocess.run([str(tmp_path / "one")], capture_output=True, text=True, check=True)
    found = np.array(printed.stdout.split(), dtype=float)
    np.testing.assert_array_equal(found, one.quantise(values[:, None])[:, 0])
