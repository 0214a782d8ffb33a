"""Reports of vendor tools as the numbers that the open synthesis gives too.

Every report has `tool`, `label`, and the counts `lut`, `ff`, `dsp` (and others where the tool has
them), as exact integers. The label says what was done: estimates and synthesised designs must not
be set side by side without it.
"""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from hls4ml.report import parse_oneapi_report, parse_vivado_report

from fullchain.errors import InputError

Report = dict[str, Any]

C_SYNTHESIS = {
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM_18K",
    "uram": "URAM",
}
SYNTHESIS = C_SYNTHESIS | {"dsp": "DSP48E"}


def hls(folder: Path, tool: str, version: str | None, vivado: str | None) -> list[Report]:
    """Read the reports of Vitis HLS or Vivado HLS in a project of hls4ml.

    Gives that of the C synthesis by a version of the tool, and that of the synthesis by a version
    of Vivado where it was run.

    Raises
    ------
    InputError
        There is no report of a C synthesis, or it is none.
    """
    try:
        with redirect_stdout(io.StringIO()):
            found = parse_vivado_report(str(folder))
        estimated = found["CSynthesisReport"]
        reports = [
            {
                "tool": tool,
                "label": f"{tool}, C synthesis, estimated",
                "version": version,
                **_counts(estimated, C_SYNTHESIS),
                "latency": [int(estimated[name]) for name in ("BestLatency", "WorstLatency")],
                "initiation_interval": [
                    int(estimated[name]) for name in ("IntervalMin", "IntervalMax")
                ],
                "clock_period": float(estimated["TargetClockPeriod"]),
                "estimated_clock_period": float(estimated["EstimatedClockPeriod"]),
            }
        ]
        if "VivadoSynthReport" in found:
            reports.append(
                {
                    "tool": "Vivado",
                    "label": f"Vivado, synthesised from {tool}, unplaced",
                    "version": vivado,
                    **_counts(found["VivadoSynthReport"], SYNTHESIS),
                }
            )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, SyntaxError) as problem:
        raise InputError(
            f"{tool} left no report of its C synthesis that can be read ({problem!r}); look at its "
            "log, or take another version of the tool"
        ) from None
    return reports


def _counts(found: dict[str, str], names: dict[str, str]) -> dict[str, int | float]:
    # Half a block RAM is possible in reports of Vivado.
    numbers = {ours: float(found[theirs]) for ours, theirs in names.items() if theirs in found}
    for needed in ("lut", "ff", "dsp"):
        if needed not in numbers:
            raise KeyError(names[needed])
    return {ours: int(one) if one == int(one) else one for ours, one in numbers.items()}


def oneapi(folder: Path, version: str | None) -> list[Report]:
    """Read the reports of oneAPI in a project of hls4ml, one for each target that was made.

    Raises
    ------
    InputError
        There is no report.
    """
    try:
        with redirect_stdout(io.StringIO()):
            found = parse_oneapi_report(str(folder)) or {}
        reports = []
        for target, one in found.items():
            total = one["HLS"]["total"]
            reports.append(
                {
                    "tool": "oneAPI",
                    "label": f"oneAPI, {target}, estimated",
                    "version": version,
                    "lut": round(float(total["alut"])),
                    "ff": round(float(total["reg"])),
                    "dsp": round(float(total["dsp"])),
                    "bram": round(float(total["ram"])),
                    "mlab": round(float(total["mlab"])),
                    "latency": [float(one["Loop"]["worstLatency"])] * 2,
                    "initiation_interval": [int(one["Loop"]["worstII"])] * 2,
                    "fmax": float(one["Loop"]["worstFrequency"]),
                }
            )
        if not reports:
            raise KeyError("*.prj")
    except (KeyError, IndexError, TypeError, ValueError, OSError) as problem:
        raise InputError(
            f"oneAPI left no report that can be read ({problem!r}); look at its log, or take "
            "another version of the tool"
        ) from None
    return reports
