"""The file of templates: names of its histograms, and reading them back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import uproot

from fullchain.errors import InputError
from fullchain.inference.histfactory import Array, Template

NOMINAL = "nominal"


def key(region: str, sample: str, variation: str) -> str:
    """Path of a histogram in the file."""
    return f"{region}/{sample}/{variation}"


def shift_name(variation: str) -> str:
    """Name of the template of an object shift, for example ``jes_up``."""
    return f"shift_{variation}"


def weight_name(column: str) -> str:
    """Name of the template of a weight column, for example ``w_isr_up``."""
    return f"weight_{column.removeprefix('w_')}"


def read_templates(path: Path) -> tuple[dict[tuple[str, str, str], Template], dict[str, Array]]:
    """Read all templates, and the bin edges of each region.

    Returns
    -------
    tuple
        Templates by (region, sample, variation), and edges by region.

    Raises
    ------
    InputError
        The file is missing or is not a ROOT file, or two histograms of a region differ in bins.
    """
    templates: dict[tuple[str, str, str], Template] = {}
    edges: dict[str, Array] = {}
    try:
        file = uproot.open(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:
        raise InputError(f"{path}: not a ROOT file ({problem})") from None
    with file:
        for name in file.keys(cycle=False, filter_classname="TH1*"):
            region, sample, variation = name.split("/")
            histogram = file[name]
            here = histogram.axis().edges()
            known = edges.setdefault(region, here)
            if not np.array_equal(known, here):
                raise InputError(
                    f"{path}: {name} has {len(here) - 1} bins {_text(here)}, another sample of "
                    f"region {region} has {len(known) - 1} bins {_text(known)}; fill them together"
                )
            templates[region, sample, variation] = Template(
                np.asarray(histogram.values(), dtype=float),
                np.asarray(histogram.variances(), dtype=float),
            )
    return templates, edges


def _text(edges: Array) -> str:
    return ", ".join(f"{edge:g}" for edge in edges)


def read_json(path: Path) -> Any:
    """Read a JSON file that another step wrote.

    Raises
    ------
    InputError
        The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that writes it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: not a JSON file ({problem})") from None


def read_manifests(paths: list[Path], samples: list[str]) -> dict[str, dict[str, Any]]:
    """Sum of weights, events and cross section of each sample, from the sample manifests.

    Raises
    ------
    InputError
        A sample has no manifest, or a manifest has no positive sum of weights.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        content = read_json(path)
        try:
            found[content["sample"]] = {
                "events": content["events"],
                "sum_of_weights": content["sum_of_weights"],
                "cross_section_pb": content["cross_section_pb"],
            }
        except (KeyError, TypeError):
            raise InputError(f"{path}: not the manifest of a sample") from None
        if not content["sum_of_weights"] > 0:
            raise InputError(f"{path}: the sum of weights is {content['sum_of_weights']}, not > 0")
    for name in samples:
        if name not in found:
            raise InputError(f"sample {name!r} has jets but no manifest; give ntuples' manifest")
    return found
