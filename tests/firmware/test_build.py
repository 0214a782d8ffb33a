"""Vendor tools: running them and reading their reports.

The reports here are written by hand after the grammar of the tools' own ones (csynth.xml of Vitis
HLS, report_utilization and report_timing_summary of Vivado, the JSON lines of oneAPI); the programs
are shell scripts that copy them. No vendor tool is run.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from fullchain.errors import InputError
from fullchain.firmware import build, hls_reports, project_archive, vendor_tools
from fullchain.step import Given

CSYNTH = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<UserAssignments><unit>ns</unit><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>3.412</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<Best-caseLatency>7</Best-caseLatency><Average-caseLatency>7</Average-caseLatency>
<Worst-caseLatency>8</Worst-caseLatency>
<Interval-min>1</Interval-min><Interval-max>1</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources><BRAM_18K>0</BRAM_18K><DSP>3</DSP><FF>1234</FF><LUT>5678</LUT><URAM>0</URAM></Resources>
<AvailableResources><BRAM_18K>5376</BRAM_18K><DSP>12288</DSP><FF>3456000</FF><LUT>1728000</LUT>
<URAM>1280</URAM></AvailableResources>
</AreaEstimates>
</profile>
"""

APP = '<project xmlns="com.autoesl.autopilot.project"><solutions><solution name="solution1"/>'
APP += "</solutions></project>"

VSYNTH = """1. CLB Logic
------------
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
| CLB LUTs*                  | 2607 |     0 |          0 |   1728000 |  0.15 |
| CLB Registers              | 2502 |     0 |          0 |   3456000 |  0.07 |
2. BLOCKRAM
| Block RAM Tile |  0.5 |     0 |          0 |      2688 |  0.02 |
| URAM           |    0 |     0 |          0 |      1280 |  0.00 |
3. ARITHMETIC
| DSPs      |    2 |     0 |          0 |     12288 |  0.02 |
"""


def archive_of(folder: Path, files: dict[str, str]) -> Path:
    """Pack files by name."""
    for name, text in files.items():
        path = folder / "content" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project_archive.pack(folder / "archive.tar.gz", folder / "content")
    return folder / "archive.tar.gz"


def tool(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program on the PATH; asked for its version, it says 2023.2."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        f'#!/bin/sh\ncase "$1" in -version|--version) echo "{name} v2023.2 (64-bit)"; exit;; esac\n'
        f"{script}\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    if str(folder) not in os.environ["PATH"]:
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def run(tmp_path: Path, archive: Path, **chosen: Any) -> dict[str, Any]:
    build.main(
        archive=archive,
        report=tmp_path / "build.json",
        settings=Given({"firmware": {"hls": chosen}}),
    )
    content: dict[str, Any] = json.loads((tmp_path / "build.json").read_text(encoding="utf-8"))
    return content


PROJECT = {"Vitis/project.tcl": 'set project_name "tagger"\nset backend "vitis"\n'}


def vitis_script(reports: Path) -> str:
    place = "tagger_prj/solution1/syn/report"
    return (
        '[ "$1 $2 $3 $4" = "--mode hls --tcl build_prj.tcl" ] || exit 9\n'
        "grep -q 'vsynth 1' build_opt.tcl && grep -q 'csim 0' build_opt.tcl || exit 8\n"
        f"mkdir -p {place} && cp {reports}/csynth.xml {place}/tagger_csynth.xml\n"
        f"cp {reports}/hls.app tagger_prj/hls.app && cp {reports}/vsynth.rpt vivado_synth.rpt\n"
    )


@pytest.fixture(name="reports")
def reports_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    contents = {
        "csynth.xml": CSYNTH, "hls.app": APP, "vsynth.rpt": VSYNTH,     }  # fmt: skip
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_vitis_is_run_and_its_reports_are_read(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path / "bin", "vitis-run", vitis_script(reports), monkeypatch)
    tool(tmp_path / "bin", "vivado", "exit 1", monkeypatch)
    archive = archive_of(tmp_path, PROJECT)
    estimated, synthesised = run(tmp_path, archive, build=["vitis"])["reports"]
    assert estimated == {
        "tool": "Vitis HLS",
        "label": "Vitis HLS, C synthesis, estimated",
        "version": "2023.2",
        "lut": 5678,
        "ff": 1234,
        "dsp": 3,
        "bram": 0,
        "uram": 0,
        "latency": [7, 8],
        "initiation_interval": [1, 1],
        "clock_period": 5.0,
        "estimated_clock_period": 3.412,
    }
    assert synthesised["label"] == "Vivado, synthesised from Vitis HLS, unplaced"
    found = {name: synthesised[name] for name in ("lut", "ff", "dsp", "bram")}
    assert found == {"lut": 2607, "ff": 2502, "dsp": 2, "bram": 0.5}


def test_oneapi_reports_are_read(tmp_path: Path) -> None:
    place = tmp_path / "build" / "tagger.report.prj" / "reports" / "resources" / "json"
    place.mkdir(parents=True)
    (place / "quartus.ndjson").write_text("{}", encoding="utf-8")
    (place / "loop_attr.ndjson").write_text(
        '{"name": "a", "af": "480.0", "ii": "1", "lt": "31.0"}\n', encoding="utf-8"
    )
    lines = ['{"name": "Total", "data": [900, 1500, 2, 3, 4]}']
    lines += ['{"name": "Available", "data": [974400, 1948800, 7110, 4510, 48720]}']
    (place / "summary.ndjson").write_text("\n".join(lines), encoding="utf-8")
    (found,) = hls_reports.oneapi(tmp_path, "2025.0")
    assert (found["lut"], found["ff"], found["bram"], found["dsp"]) == (900, 1500, 2, 3)
    assert found["latency"] == [31.0, 31.0] and found["fmax"] == 480.0
    assert found["label"] == "oneAPI, report, estimated"
    with pytest.raises(InputError, match="oneAPI left no report"):
        hls_reports.oneapi(tmp_path / "nowhere", None)


def test_missing_tools_and_failures_are_named(
    tmp_path: Path, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path, PROJECT)
    for name, missing in (
        ("vitis", "vitis-run or vitis_hls"),
        ("vivado_hls", "vivado_hls"),
        ("oneapi", "icpx"),
    ):
        with pytest.raises(InputError, match=rf"no program {missing} .*firmware synthesise"):
            run(tmp_path, archive, build=[name])
    with pytest.raises(InputError, match="no vendor tool is named"):
        run(tmp_path, archive)
    tool(tmp_path / "bin", "vivado_hls", "exit 0", monkeypatch)
    tool(tmp_path / "bin", "vivado", "exit 0", monkeypatch)
    with pytest.raises(InputError, match="no project for Vivado, only Vitis; add Vivado"):
        run(tmp_path, archive, build=["vivado_hls"])
    tool(tmp_path / "bin", "vitis-run", "echo 'ERROR: no licence'; exit 3", monkeypatch)
    with pytest.raises(InputError, match=r"vitis-run failed with code 3: ERROR: no licence"):
        run(tmp_path, archive, build=["vitis"])
    tool(tmp_path / "bin", "vitis-run", "exit 0", monkeypatch)
    with pytest.raises(InputError, match="Vitis HLS left no report of its C synthesis"):
        run(tmp_path, archive, build=["vitis"])
    # A script that starts another program, which must not go on without it.
    tool(tmp_path / "bin", "vitis-run", f"sleep 3; touch {tmp_path}/went_on", monkeypatch)
    with pytest.raises(InputError, match=r"not ready after 0.2 s; raise firmware.hls.build_time"):
        run(tmp_path, archive, build=["vitis"], build_timeout=0.2)
    assert not (tmp_path / "build.json").exists()
    time.sleep(3.2)
    assert not (tmp_path / "went_on").exists()


def test_broken_archives_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar.gz"
    with pytest.raises(InputError, match="no such file; run firmware convert"):
        project_archive.unpack(broken, tmp_path / "x", "convert")
    broken.write_bytes(b"no archive")
    with pytest.raises(InputError, match="not an archive of a project"):
        project_archive.unpack(broken, tmp_path / "x", "convert")


def test_the_version_of_a_tool_is_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tmp_path / "bin", "vivado", "exit 1", monkeypatch)
    assert vendor_tools.version("vivado") == "2023.2"
