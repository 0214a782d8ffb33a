"""Convert a network with hls4ml, emulate its C++ code and compare it with the network."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import (
    fixed_network,
    hls_comparison,
    hls_limits,
    hls_project,
    project_archive,
)
from fullchain.firmware import stimuli as stimuli_file
from fullchain.firmware.fixed_network import FixedPointNetwork
from fullchain.firmware.fixed_point import Array
from fullchain.firmware.hls_emulation import compiled, compiler_version
from fullchain.firmware.hls_layers import steps
from fullchain.firmware.hls_project import Project
from fullchain.firmware.hls_settings import HlsSettings
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.value_ranges import spans
from fullchain.step import Given, Input, Output

NOT_EMULATED = ("oneAPI",)
"""Backends whose code needs a compiler of the vendor."""


def main(
    *,
    network: Annotated[Path, Input("fixed-point network, JSON")],
    stimuli: Annotated[Path, Input("inputs and expected outputs, HDF5")],
    archive: Annotated[Path, Output("projects of all backends, tar.gz")],
    outputs: Annotated[Path, Output("outputs of the emulation, HDF5")],
    report: Annotated[Path, Output("comparison of every layer, ranges, types, JSON")],
    settings: Given,
) -> None:
    """Write projects, emulate, compare."""
    chosen = settings.model("firmware.hls", HlsSettings)
    fixed, about = fixed_network.read(network)
    vectors = stimuli_file.read(stimuli)
    for backend in chosen.backends:
        hls_limits.check(fixed, backend, chosen)
    emulated = [name for name in chosen.backends if name not in NOT_EMULATED]
    if not emulated:
        raise InputError(
            f"firmware.hls.backends: {', '.join(NOT_EMULATED)} cannot be emulated with "
            f"{chosen.compiler}, so that nothing shows that the project is the network; put "
            "Vitis, Vivado or Quartus first"
        )
    if chosen.emulate == "first":
        emulated = emulated[:1]
    content: dict[str, Any] = {
        "about": about,
        "versions": {"hls4ml": hls_project.VERSION, "compiler": compiler_version(chosen.compiler)},
        "mode": "exact" if chosen.precision is None else "by hand",
        "settings": chosen.model_dump(mode="json", exclude={"build", "build_timeout"}),
        "inputs": spans([fixed.inputs.format]),
        "outputs": list(fixed.outputs),
        "projects": {},
        "emulations": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        made: Array | None = None
        for backend in chosen.backends:
            folder = Path(scratch) / "projects" / backend
            project = hls_project.convert(fixed, backend, chosen, folder)
            hls_project.write(project, folder, chosen)
            if backend in emulated:
                found, entry = _emulate(fixed, vectors, project, folder, chosen)
                content["emulations"][backend] = entry
                made = found if made is None else made
            content["projects"][backend] = {
                "layers": hls_project.described(project),
                "said": project.said,
            }
        assert made is not None
        _check_types(content["projects"], emulated[0])
        project_archive.pack(archive, Path(scratch) / "projects")
    stimuli_file.write_outputs(outputs, made, "hls4ml")
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _check_types(projects: dict[str, Any], emulated: str) -> None:
    """Check that projects that are not emulated hold their values as the emulated one does."""
    known = {one["name"]: one["types"] for one in projects[emulated]["layers"]}
    for backend, project in projects.items():
        for layer in project["layers"]:
            if layer["types"] != known.get(layer["name"]):
                raise InputError(
                    f"layer {layer['name']}: hls4ml {hls_project.VERSION} gives it other types for "
                    f"{backend} ({layer['types']}) than for {emulated} "
                    f"({known.get(layer['name'], 'no such layer')}), which is compared with "
                    f"the network; put {backend} first or leave it out of firmware.hls.backends"
                )


def _emulate(
    network: FixedPointNetwork, vectors: Stimuli, project: Project, folder: Path,
    chosen: HlsSettings,
) -> tuple[Array, dict[str, Any]]:  # fmt: skip
    emulation = compiled(project, folder, chosen.compiler)
    by_hand = chosen.precision is not None
    found_steps = steps(network, project, emulation, by_hand=by_hand)
    found, floats, layers = hls_comparison.compare(
        network, vectors, emulation, found_steps, by_hand=by_hand, jets_profiled=chosen.profile
    )
    entry = stimuli_file.comparison(vectors.outputs, found, vectors.origin) | {
        "first_layer_that_differs": hls_comparison.first_difference(layers),
        "agreement": hls_comparison.agreement(found, vectors.outputs),
        "float": {
            "largest_difference": float(np.abs(found - floats).max(initial=0.0)),
            "agreement": hls_comparison.agreement(found, floats),
            "jets_agreement": hls_comparison.agreement(
                found[: vectors.jets], floats[: vectors.jets]
            ),
        },
        "layers": layers,
    }
    if by_hand:
        entry["weights_that_do_not_fit"] = hls_comparison.weights_that_do_not_fit(found_steps)
        _check_overflows(entry, chosen)
    elif chosen.require_equal:
        _check_equal(entry, project)
    return found, entry


def _check_equal(entry: dict[str, Any], project: Project) -> None:
    name = entry["first_layer_that_differs"]
    if not entry["mismatches"] and name is None:
        return
    layer = next((one for one in entry["layers"] if one["name"] == name), entry)
    where = f"layer {name} is the first one that differs" if name else "no layer before differs"
    raise InputError(
        f"the emulation of hls4ml ({project.backend}) differs from the network in "
        f"{entry['mismatches']} of {entry['vectors']} vectors; {where} ({layer['mismatches']} "
        f"vectors, by {layer['largest_difference']:g} at most). Take another backend, io_type or "
        "strategy, or set firmware.hls.require_equal to false to have the report"
    )


def _check_overflows(entry: dict[str, Any], chosen: HlsSettings) -> None:
    assert chosen.precision is not None
    if chosen.precision.overflow == "report":
        return
    for layer in entry["layers"]:
        for what, counts in layer["overflows"].items():
            if counts["jets"]:
                raise InputError(
                    f"firmware.hls.precision: layer {layer['name']}: {counts['jets']} of "
                    f"{layer['values']['jets']} values of jets overflow its type of {what} (up to "
                    f"{layer['activations']['highest']:g}, down to "
                    f"{layer['activations']['lowest']:g}); give it more integer bits in "
                    "firmware.hls.precision, or set firmware.hls.precision.overflow to report"
                )
        wrong = entry["weights_that_do_not_fit"].get(layer["name"], 0)
        if wrong:
            raise InputError(
                f"firmware.hls.precision: layer {layer['name']}: {wrong} weights or biases "
                "overflow their type; give them more integer bits in firmware.hls.precision, or "
                "set firmware.hls.precision.overflow to report"
            )
