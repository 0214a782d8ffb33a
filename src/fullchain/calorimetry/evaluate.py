"""Judge generated showers against the full simulation, as the CaloChallenge does."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.calorimetry import (
    comparison,
    coverage,
    energy_comparison,
    energy_groups,
    feature_bins,
    features,
    frechet,
    geometry,
    kernel_distance,
    shower_file,
    shower_physics,
    shower_sums,
)
from fullchain.calorimetry.comparison import Pair
from fullchain.calorimetry.evaluation_checks import check, check_units, energies_of
from fullchain.calorimetry.evaluation_settings import EvaluationSettings
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_physics import Lengths
from fullchain.calorimetry.shower_sums import Features, VoxelSums
from fullchain.errors import InputError
from fullchain.progress import progress
from fullchain.saved_numbers import read_numbers
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output

Array = NDArray[Any]

HELD = 2**24
"""Voxels that are held at a time."""


def main(
    *,
    name: Annotated[str, Option("of the model, or of the reference")],
    generated: Annotated[Path, Input("showers that are judged, HDF5")],
    test: Annotated[Path, Input("showers of the full simulation, HDF5")],
    geometry_xml: Annotated[Path, Input("geometry of both, XML")],
    train: Annotated[
        list[Path], Input("showers of the training, HDF5: energies beyond theirs are marked")
    ] = [],  # noqa: B006
    showers: Annotated[
        list[Path],
        Input("showers.json of the set: name, threshold, depths of layers, Moliere radius"),
    ] = [],  # noqa: B006
    showers_set: Annotated[
        str, Option("name of the set of showers; else that of showers.json, or of the particle")
    ] = "",
    threshold: Annotated[
        float, Option("energy below which a voxel is empty [MeV]; -1: that of showers.json, or 0")
    ] = -1.0,
    model: Annotated[
        str, Option("name in calorimetry.models whose energies left out of training are marked")
    ] = "",
    left_out: Annotated[list[float], Option("energies left out of training [MeV]")] = [],  # noqa: B006
    role: Annotated[
        Literal["model", "reference"],
        Option("reference: independent showers of the full simulation, with energies of their own"),
    ] = "model",
    evaluation: Annotated[Path, Output("all numbers, JSON")],
    settings: Given,
) -> None:
    """Read both files in pieces, compare, write."""
    chosen = settings.model("calorimetry.evaluation", EvaluationSettings)
    shape = geometry.load(str(geometry_xml))
    known = read_numbers(showers[0], "calorimetry") if showers else {}
    least = threshold if threshold >= 0 else float(known.get("threshold_mev", 0.0))
    lengths = _lengths(known, shape, showers)
    radii = shower_physics.radii(shape, lengths.moliere_radius)
    without = [*left_out, *(settings[f"calorimetry.models.{model}.leave_out"] if model else [])]
    with progress(f"evaluation of {name}", 4.0, "steps") as advance:
        found, expected = (
            shower_sums.measure(_chunks(path, shape), shape, least) for path in (generated, test)
        )
        check_units(found, str(generated))
        check_units(expected, str(test))
        check(found, expected, (str(generated), str(test)), role == "model", chosen.least)
        advance(1)
        groups = energy_groups.groups_of(expected.energies, chosen.slices)
        edges = feature_bins.logarithmic(np.array([expected.highest]), 49, least)
        sums = [
            shower_sums.add_voxels(_chunks(path, shape), shape, groups, edges, least, radii)
            for path in (generated, test)
        ]
        advance(1)
        random = stream(settings.seed, "calorimetry", "evaluation", "bootstrap")
        both = comparison.pair(found, expected, chosen.bootstraps, random)
        trained = _trained(train, without)
        content = {
            "name": name,
            "role": role,
            "set": showers_set or known.get("set", shape.name),
            "geometry": geometry.as_xml(shape),
            "showers": [len(found), len(expected)],
            "paired": both.paired,
            "threshold": least,
            "depths": None if lengths.depths is None else lengths.depths.tolist(),
            "settings": chosen.model_dump(mode="json"),
            **compared(both, (sums[0], sums[1]), shape, least, edges),
            "physics": {
                kind: shower_physics.summary(
                    one.reduced,
                    radii,
                    lengths,
                    stream(settings.seed, "calorimetry", "evaluation", "physics", kind),
                )
                for kind, one in zip(("generated", "test"), sums, strict=True)
            },
        }
        advance(1)
        content["distances"] = distances(both, chosen, settings.seed)
        at = energy_comparison.at_energies(
            both,
            (sums[0], sums[1]),
            groups,
            groups.kinds(without, trained),
            shape,
            least,
            chosen.least,
            lengths.depths,
        )
        content["energies"] = {
            "discrete": groups.discrete,
            "left_out": sorted(set(without)),
            "trained": trained,
            "groups": at,
            "neighbours": energy_comparison.against_neighbours(at),
        }
        advance(1)
    write_text(evaluation, json.dumps(content, allow_nan=False) + "\n")


def _lengths(known: Mapping[str, Any], shape: Geometry, showers: list[Path]) -> Lengths:
    """Give depths of layers and Moliere radius as far as showers.json knows them."""
    physics = known.get("physics", {})
    radius, found = physics.get("moliere_radius"), physics.get("depths")
    if found is None:
        return Lengths(None, radius)
    if len(found) != len(shape.layers):
        raise InputError(
            f"{showers[0]}: depths of {len(found)} layers, the geometry has {len(shape.layers)}; "
            "give the file of the same set"
        )
    return Lengths(np.array(found), radius)


def _chunks(path: Path, shape: Geometry) -> Iterator[Showers]:
    """Read a file in pieces that need little memory."""
    number, first = max(1, HELD // shape.voxels), 0
    while len(chunk := shower_file.read(path, shape, first, number)):
        yield chunk
        first += number
        if len(chunk) < number:
            return


def _trained(train: list[Path], left_out: list[float]) -> tuple[float, float] | None:
    """Lowest and highest energy of the training."""
    if not train:
        return None
    energies = np.concatenate([energies_of(path) for path in train])
    for energy in left_out:
        energies = energies[np.abs(energies - energy) > energy_groups.TOLERANCE * energy]
    return float(energies.min()), float(energies.max())


def compared(
    both: Pair, sums: tuple[VoxelSums, VoxelSums], shape: Geometry, threshold: float, edges: Array
) -> dict[str, Any]:
    """Separations, histograms, response, correlations and mean showers of all energies."""
    found = comparison.compare(
        both, shape, threshold, spectra=(edges, sums[0].spectra, sums[1].spectra)
    )
    return {
        "separations": found.each,
        "means": found.means,
        "histograms": found.histograms,
        "response": comparison.response(both),
        "correlations": comparison.correlations(both, shape),
        "mean_shower": {
            name: (one.shapes.sum(axis=(0, 1)) / one.showers.sum()).tolist()
            for name, one in zip(("generated", "test"), sums, strict=True)
        },
    }


def distances(both: Pair, settings: EvaluationSettings, seed: int) -> dict[str, Any]:
    """FPD, KPD, precision, recall, density and coverage on high-level features."""
    first, second = (_scaled(both.generated, both.test), _scaled(both.test, both.test))
    how = settings.frechet
    found: dict[str, Any] = {"features": first.shape[1]}
    for key, replace in (("fpd", True), ("fpd_subsampled", False)):
        limit = frechet.extrapolated(
            first,
            second,
            (how.smallest, how.largest),
            stream(seed, "calorimetry", "evaluation", key),
            points=how.points,
            repetitions=how.repetitions,
            replace=replace,
            paired=both.paired,
        )
        found[key] = vars(limit)
    value, error, batches = kernel_distance.of_batches(
        first,
        second,
        stream(seed, "calorimetry", "evaluation", "kpd"),
        batches=settings.kernel_batches,
        size=settings.kernel_size,
        paired=both.paired,
    )
    found["kpd"] = {"value": value, "error": error, "batches": batches}
    near = coverage.of_subsamples(
        first,
        second,
        stream(seed, "calorimetry", "evaluation", "coverage"),
        neighbours=settings.neighbours,
        size=settings.coverage_size,
        repetitions=settings.coverage_repetitions,
        paired=both.paired,
    )
    found |= {key: {"value": one, "error": spread} for key, (one, spread) in near.items()}
    return found


def _scaled(one: Features, reference: Features) -> Array:
    """High-level features over the largest absolute value in the reference."""
    largest = np.abs(features.high_level(reference.values, reference.energies)).max(axis=0)
    return np.asarray(
        features.high_level(one.values, one.energies) / np.where(largest > 0, largest, 1.0)
    )
