"""The page of a point as HTML: self-contained, the same bytes for the same numbers."""

import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from fullchain.checksums import checksum
from fullchain.firmware.fixed_network import FixedPointNetwork
from fullchain.firmware.model_kinds import TREE_EMULATIONS
from fullchain.firmware.network_census import census, fixed_type
from fullchain.paper.rounding import rounded

Content = Mapping[str, Any]
TEMPLATE = "point_page.html.j2"

__data__ = ("point_page.html.j2",)

REPORTED = {"conifer": "conifer", "hls4ml": "hls4ml", "rtl": "verilator"}
"""Emulations that a report of their own compares, and its name."""


@dataclass(frozen=True)
class Archive:
    """A file whose content is fixed by its checksum."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Archive":
        """Give name, bytes and SHA-256 of a file."""
        return cls(path.name, path.stat().st_size, checksum(path))


@dataclass(frozen=True)
class Page:
    """What is known of a point.

    Parameters
    ----------
    model, point
        Names.
    evaluation
        JSON of `evaluate`.
    known
        JSON of other steps, by the name of the file without its suffix.
    network
        The network; None for trees.
    archives
        Files that the page fixes by checksums.
    """

    model: str
    point: str
    evaluation: Content
    known: Content
    network: FixedPointNetwork | None
    archives: tuple[Archive, ...]


def render(page: Page) -> str:
    """Give the HTML text of a page."""
    here = importlib.resources.files("fullchain.firmware")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"measured": measured, "count": count}
    judged = page.evaluation["points"][page.point]
    return environment.get_template(TEMPLATE).render(
        page=page,
        known=page.known,
        judged=judged,
        synthesis=page.known.get("synthesis") or page.known.get("conifer", {}).get("synthesis"),
        jets=sum(page.evaluation["jets"].values()),
        comparisons=comparisons(judged, page.known),
        versions=versions(page.known),
        census=None if page.network is None else census(page.network),
        inputs=inputs_of(page.network),
        names=names_of(page.evaluation),
        timing=timing(page.known),
        projects={one.name for one in page.archives},
    )


def measured(pair: Any) -> str:
    """Write a number with its error; a dash where the jets do not fix one."""
    value, error = pair
    if value is None:
        return "–"
    if error == 0:
        return f"{value:g} (exact)"
    found = rounded(value, error)
    times = f" × 10^{found.exponent}" if found.exponent else ""
    text = f"{found.value} ± {found.uncertainty}" if found.uncertainty else found.value
    return f"({text}){times}" if times else text


def count(value: Any) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u202f")


def inputs_of(network: FixedPointNetwork | None) -> list[dict[str, Any]]:
    """Give name, shift, exponent and type of each input."""
    if network is None:
        return []
    numbers = network.inputs
    return [
        {
            "name": name,
            "shift": f"{numbers.shift[index]:.10g}",
            "exponent": int(numbers.exponent[index]),
            "type": fixed_type(numbers.format, index),
        }
        for index, name in enumerate(numbers.names)
    ]


def names_of(evaluation: Content) -> list[str]:
    """Give the numbers of performance that are shown, in order."""
    return list(evaluation["float"]["numbers"])


def comparisons(judged: Content, known: Content) -> list[dict[str, Any]]:
    """Give each comparison to the bit: what with what, vectors and mismatches by origin."""
    rows = []
    for name, entry in judged["emulations"].items():
        if REPORTED.get(name) in known:
            continue
        rows.append({"what": name, "with": "quantised model", **_compared(entry)})
    for backend, entry in known.get("hls4ml", {}).get("emulations", {}).items():
        rows.append(
            {"what": f"hls4ml for {backend}", "with": "quantised model", **_compared(entry)}
        )
    for name, entry in known.get("conifer", {}).get("emulations", {}).items():
        what = f"conifer, {TREE_EMULATIONS.get(name, name)}"
        rows.append({"what": what, "with": "quantised model", **_compared(entry)})
    if "verilator" in known:
        rows.append({"what": "Verilog", "with": "quantised model", **_compared(known["verilator"])})
    if "netlist" in known:
        rows.append(
            {
                "what": f"netlist of {known['synthesis']['tool']}"
                if "synthesis" in known
                else "netlist",
                "with": "Verilog",
                **_compared(known["netlist"]),
            }
        )
    return rows


def _compared(entry: Content) -> dict[str, Any]:
    return {
        "vectors": entry["vectors"],
        "mismatches": entry["mismatches"],
        "by_origin": dict(entry.get("by_origin", {})),
    }


def versions(known: Content) -> dict[str, str]:
    """Give versions of tools that the reports name."""
    found: dict[str, str] = {}
    for name, entry in known.items():
        for key, value in {**entry.get("versions", {}), **entry}.items():
            if key in ("verilator", "g++", "da4ml", "hls4ml", "compiler", "conifer"):
                found[key] = str(value)
        for part in (entry, entry.get("vhdl"), entry.get("synthesis")):
            if isinstance(part, dict) and "tool" in part and "version" in part:
                found[f"{part['tool']} ({name})"] = str(part["version"])
    return dict(sorted(found.items()))


def timing(known: Content) -> list[tuple[str, str]]:
    """Give stages, interval and latency of the pipeline."""
    rtl, emulated = known.get("rtl"), known.get("verilator", {})
    if rtl is None:
        latency = known.get("conifer", {}).get("vhdl", {}).get("latency")
        return [] if latency is None else [("latency, measured in simulation", f"{latency} clocks")]
    clock = rtl.get("clock_period")
    rows = [
        ("stages of the pipeline", str(rtl["stages"])),
        ("initiation interval", f"{rtl['initiation_interval']} clock"),
    ]
    if "latency_cycles" in emulated:
        rows.append(("latency, measured in emulation", f"{emulated['latency_cycles']} clocks"))
    if clock is not None:
        rows.append(("clock that the constraints ask for", f"{clock:g} ns ({1e3 / clock:g} MHz)"))
        rows.append(("latency at that clock", f"{rtl['stages'] * clock:g} ns"))
    return rows
