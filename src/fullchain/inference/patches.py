"""The workspace of one signal hypothesis as a patch of another's, in pyhf's patchset.

A patch replaces samples whole, with all of their modifiers, and leaves data and other samples
alone. The errors of limited simulation need no more than that: each sample carries the standard
deviations of its own bins, and the width of the common parameter of a bin is made of the samples
that are there when pyhf makes the model, which is after the patch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyhf

from fullchain.errors import InputError

Specification = Mapping[str, Any]
NO_RECORD = "ins0000000"
"""The schema of a patchset demands a HEPData record; this stands for one that is not made yet."""


@dataclass(frozen=True)
class Signal:
    """What a patch is for."""

    name: str
    mass: float | None
    patch: list[dict[str, Any]]


def difference(base: Specification, other: Specification) -> list[dict[str, Any]]:
    """Operations (RFC 6902) that make one workspace out of another of the same regions and data.

    Raises
    ------
    InputError
        They differ in more than the samples of their regions and the measurement.
    """
    names = [[one["name"] for one in workspace["channels"]] for workspace in (base, other)]
    if names[0] != names[1]:
        raise InputError(f"the hypotheses differ in regions: {names[0]} and {names[1]}")
    operations: list[dict[str, Any]] = []
    for index, (before, after) in enumerate(zip(base["channels"], other["channels"], strict=True)):
        path = f"/channels/{index}/samples"
        operations += _of_samples(path, before["samples"], after["samples"])
    if base["measurements"] != other["measurements"]:
        new = other["measurements"]
        operations.append({"op": "replace", "path": "/measurements", "value": new})
    if base["observations"] != other["observations"]:
        raise InputError("the hypotheses differ in data; a patchset has one set of data")
    return operations


def _of_samples(
    path: str, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Replace the samples that differ, in place; remove and add those of one side alone."""
    operations: list[dict[str, Any]] = []
    new = [one["name"] for one in after]
    kept = [one for one in before if one["name"] in new]
    if [one["name"] for one in kept] != [n for n in new if n in {one["name"] for one in kept}]:
        return [{"op": "replace", "path": path, "value": after}]  # in another order
    for place in reversed(range(len(before))):
        if before[place]["name"] not in new:
            operations.append({"op": "remove", "path": f"{path}/{place}"})
    here = {one["name"]: one for one in kept}
    for place, one in enumerate(after):
        if one["name"] not in here:
            operations.append({"op": "add", "path": f"{path}/{place}", "value": one})
        elif here[one["name"]] != one:
            operations.append({"op": "replace", "path": f"{path}/{place}", "value": one})
    return operations


def patchset(
    base: Specification, hypotheses: Iterable[Signal], description: str, record: str = NO_RECORD
) -> dict[str, Any]:
    """Put patches together; the one of the base itself has no operations.

    Parameters
    ----------
    base
        The workspace that the patches apply to; its digest is part of the patchset.
    hypotheses
        Patches with names, and masses where all have one.
    description
        What the patches are.
    record
        HEPData record.
    """
    signals = list(hypotheses)
    masses = all(one.mass is not None for one in signals)
    content = {
        "metadata": {
            "references": {"hepdata": record},
            "description": description,
            "digests": {"sha256": pyhf.utils.digest(base, algorithm="sha256")},
            "labels": ["mass", "name"] if masses else ["name"],
        },
        "patches": [
            {
                "metadata": {
                    "name": one.name,
                    "values": [one.mass, one.name] if masses else [one.name],
                },
                "patch": one.patch,
            }
            for one in signals
        ],
        "version": "1.0.0",
    }
    pyhf.schema.validate(content, "patchset.json")
    return content
