"""Run vendor tools on the projects of a network, and read their reports."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import hls_reports, project_archive, vendor_tools
from fullchain.firmware.hls_reports import Report
from fullchain.firmware.hls_settings import HlsSettings
from fullchain.step import Given, Input, Output


def main(
    *,
    archive: Annotated[Path, Input("projects of hls4ml, tar.gz")],
    report: Annotated[Path, Output("numbers of every report, JSON")],
    settings: Given,
) -> None:
    """Unpack projects, run the tools, read reports."""
    chosen = settings.model("firmware.hls", HlsSettings)
    if not chosen.build:
        raise InputError(
            "firmware.hls.build: no vendor tool is named; name vitis, vivado_hls or oneapi"
        )
    runs: dict[str, Callable[[Path, HlsSettings], list[Report]]] = {
        "vitis": _vitis,
        "vivado_hls": _vivado_hls,
        "oneapi": _oneapi,
    }
    reports: list[Report] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "projects"
        project_archive.unpack(archive, folder, "convert")
        for tool in chosen.build:
            reports += runs[tool](folder, chosen)
    write_text(report, json.dumps({"reports": reports}, indent=1, allow_nan=False) + "\n")


def _program(*names: str) -> str:
    return vendor_tools.program(
        *names,
        setting="firmware.hls.build",
        instead="leave it out of firmware.hls.build: firmware synthesise gives figures by the open "
        "route (Yosys) without vendor tools",
    )


def _run(command: list[str], folder: Path, chosen: HlsSettings) -> None:
    vendor_tools.run(command, folder, chosen.build_timeout, "firmware.hls.build_timeout")


def _project(folder: Path, backend: str) -> Path:
    if not (folder / backend).is_dir():
        raise InputError(
            f"the archive has no project for {backend}, only "
            f"{', '.join(sorted(path.name for path in folder.iterdir()))}; add {backend} to "
            "firmware.hls.backends and convert again"
        )
    return folder / backend


def _vitis(folder: Path, chosen: HlsSettings) -> list[Report]:
    name = _program("vitis-run", "vitis_hls")
    versions = [vendor_tools.version(one) for one in (name, _program("vivado"))]
    project = _project(folder, "Vitis")
    options = {"reset": 1, "csim": 0, "synth": 1, "cosim": 0, "validation": 0}
    options |= {"export": 0, "vsynth": 1, "fifo_opt": 0}
    lines = [f"    {option} {value}" for option, value in options.items()]
    text = "\n".join(["array set opt {", *lines, "}", ""])
    (project / "build_opt.tcl").write_text(text, encoding="utf-8")
    old = [name, "-f", "build_prj.tcl"]
    new = [name, "--mode", "hls", "--tcl", "build_prj.tcl"]
    _run(old if name == "vitis_hls" else new, project, chosen)
    return hls_reports.hls(project, "Vitis HLS", *versions)


def _vivado_hls(folder: Path, chosen: HlsSettings) -> list[Report]:
    name = _program("vivado_hls")
    versions = [vendor_tools.version(one) for one in (name, _program("vivado"))]
    project = _project(folder, "Vivado")
    options = "reset=1 csim=0 synth=1 cosim=0 validation=0 export=0 vsynth=1 fifo_opt=0"
    _run([name, "-f", "build_prj.tcl", options], project, chosen)
    return hls_reports.hls(project, "Vivado HLS", *versions)


def _oneapi(folder: Path, chosen: HlsSettings) -> list[Report]:
    compiler, cmake, make = (_program(name) for name in ("icpx", "cmake", "make"))
    version = vendor_tools.version(compiler)
    project = _project(folder, "oneAPI") / "build"
    project.mkdir(exist_ok=True)
    _run([cmake, ".."], project, chosen)
    _run([make, "report"], project, chosen)
    return hls_reports.oneapi(project.parent, version)
