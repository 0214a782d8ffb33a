"""Checks of a statistical model that was made elsewhere, before it is fitted.

pyhf checks the schema and a part of the consistency. What it lets pass, and a fit would stumble
over or silently get wrong, is looked for here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyhf

from fullchain.errors import InputError
from fullchain.inference.histfactory import Array
from fullchain.inference.likelihood import load_model
from fullchain.inference.notes import Note
from fullchain.inference.workspaces_settings import Workspace
from fullchain.setting_errors import nearest

Specification = Mapping[str, Any]


def check_schema(content: Any, what: str, schema: str = "workspace.json") -> None:
    """Refuse what pyhf's schema does not allow.

    Raises
    ------
    InputError
        With the place in the file.
    """
    try:
        pyhf.schema.validate(content, schema)
    except pyhf.exceptions.InvalidSpecification as problem:
        lines = str(problem).splitlines()
        raise InputError(
            f"{what}: it does not follow pyhf's schema {schema}: {' '.join(lines[:3])}"
        ) from None


def one_measurement(content: Specification, wanted: str | None, where: str) -> dict[str, Any]:
    """The workspace with one measurement."""
    names = [one["name"] for one in content["measurements"]]
    if wanted is not None and wanted not in names:
        raise InputError(f"{where}.measurement: {wanted!r}{nearest(wanted, names)}")
    chosen = content["measurements"][names.index(wanted) if wanted else 0]
    return {**content, "measurements": [chosen]}


def patched(content: Specification, patches: Any, name: str, what: str) -> dict[str, Any]:
    """Apply one patch of a patchset, whose digest must be that of the workspace.

    Raises
    ------
    InputError
        The patchset is that of another workspace, or the patch does not apply.
    """
    workspace = pyhf.Workspace(content)
    try:
        return dict(patches.apply(workspace, name))
    except pyhf.exceptions.PatchSetVerificationError as problem:
        raise InputError(f"{what}: it belongs to another workspace: {problem}") from None
    except Exception as problem:
        if type(problem).__module__.startswith(("jsonpatch", "jsonpointer")):
            raise InputError(f"{what}: patch {name}: {problem}") from None
        raise


def check(content: Specification, given: Workspace, where: str) -> list[Note]:
    """Refuse a workspace that cannot be fitted, and note what looks odd.

    Parameters
    ----------
    content
        Workspace that follows the schema, with one measurement.
    given
        Its settings.
    where
        Their path, for messages.

    Raises
    ------
    InputError
        Region, sample, modifier and bin are named.
    """
    bins: dict[str, int] = {}
    notes: list[Note] = []
    for one in content["channels"]:
        region = one["name"]
        bins[region] = len(one["samples"][0]["data"]) if one["samples"] else 0
        if not bins[region]:
            raise InputError(f"region {region}: it has no samples, or no bins")
        for sample in one["samples"]:
            notes += _check_sample(region, sample, bins[region], given, where)
    observed = {one["name"]: np.array(one["data"], dtype=float) for one in content["observations"]}
    for region, count in bins.items():
        if region not in observed:
            raise InputError(f"region {region}: the workspace has no observation of this name")
        if len(observed[region]) != count:
            raise InputError(
                f"region {region}, data: {len(observed[region])} bins, but the samples have {count}"
            )
        _check_values(observed[region], f"region {region}, data", None)
    _check_shared(content, bins)
    _check_poi(content)
    for name in [*given.edges, *given.observables]:
        if name not in bins:
            raise InputError(f"{where}: region {name!r} is unknown{nearest(name, list(bins))}")
    for region, edges in given.edges.items():
        if len(edges) - 1 != bins[region]:
            raise InputError(
                f"{where}.edges.{region}: {len(edges) - 1} bins, but the region has {bins[region]}"
            )
    try:
        model, _ = load_model(content)
        nominal = np.asarray(model.main_model.expected_data(model.config.suggested_init()))
    except InputError:
        raise
    except Exception as problem:
        raise InputError(f"pyhf cannot make a model of it: {problem}") from problem
    for region in bins:
        notes += _check_total(
            region, nominal[model.config.channel_slices[region]], observed[region]
        )
    unknown = set(given.groups) - set(model.config.par_order) - set(model.config.par_names)
    for name in sorted(unknown):
        raise InputError(
            f"{where}.groups: no parameter is called {name!r}"
            f"{nearest(name, model.config.par_order)}"
        )
    return notes


def _check_values(values: Array, start: str, on_negative: str | None) -> int | None:
    """Refuse values that are not finite or negative; the first negative bin where it is noted."""
    for index in np.flatnonzero(~np.isfinite(values)).tolist():
        raise InputError(f"{start}: bin {index} holds {values[index]}")
    negative = np.flatnonzero(values < 0).tolist()
    if negative and on_negative != "note":
        hint = "; merge it with its neighbour" + (
            f", or set {on_negative} to note" if on_negative else ""
        )
        raise InputError(f"{start}: bin {negative[0]} holds {values[negative[0]]:g}{hint}")
    return negative[0] if negative else None


def _check_sample(
    region: str, sample: Mapping[str, Any], bins: int, given: Workspace, where: str
) -> list[Note]:
    name = sample["name"]
    start = f"region {region}, sample {name}"
    policy = "note" if given.on_negative == "note" else f"{where}.on_negative"
    values = np.array(sample["data"], dtype=float)
    notes = []

    def checked(numbers: Sequence[float], what: str, systematic: str) -> Array:
        found = np.array(numbers, dtype=float)
        text = f"{start}, {what}" if what else start
        if len(found) != bins:
            raise InputError(f"{text}: {len(found)} bins, but the region has {bins}")
        negative = _check_values(found, text, policy)
        if negative is not None:
            numbers_of_note = {"bin": float(negative), "value": float(found[negative])}
            notes.append(Note(region, name, systematic, "sample", "negative", numbers_of_note))
        return found

    checked(sample["data"], "", "")
    seen = set()
    for modifier in sample["modifiers"]:
        kind, systematic, data = modifier["type"], modifier["name"], modifier["data"]
        if (kind, systematic) in seen:
            raise InputError(f"{start}: it has the {kind} {systematic!r} twice")
        seen.add((kind, systematic))
        if kind in ("staterror", "shapesys"):
            checked(data, f"{kind} {systematic}", systematic)
        elif kind == "histosys":
            up = checked(data["hi_data"], f"{systematic} up", systematic)
            down = checked(data["lo_data"], f"{systematic} down", systematic)
            notes += _sides(region, name, systematic, "shape", up - values, down - values)
        elif kind == "normsys":
            for side in ("hi", "lo"):
                if not (np.isfinite(data[side]) and data[side] > 0):
                    raise InputError(
                        f"{start}, {systematic}: the factor {side} is {data[side]}; it must be "
                        "greater than zero"
                    )
            changes = (np.array([data[side] - 1.0]) for side in ("hi", "lo"))
            notes += _sides(region, name, systematic, "normalisation", *changes)
    return notes


def _sides(
    region: str, sample: str, systematic: str, part: str, up: Array, down: Array
) -> list[Note]:
    if not np.any(up) and not np.any(down):
        return [Note(region, sample, systematic, part, "no effect")]
    if float(up @ down) > 0:
        place = int(np.argmax(up * down))
        numbers = {"up": float(up[place]), "down": float(down[place]), "bin": float(place)}
        return [Note(region, sample, systematic, part, "same side", numbers)]
    return []


def _check_shared(content: Specification, bins: Mapping[str, int]) -> None:
    """Refuse a shapefactor of regions with different numbers of bins, which pyhf lets pass."""
    first: dict[str, str] = {}
    for one in content["channels"]:
        for sample in one["samples"]:
            for modifier in sample["modifiers"]:
                if modifier["type"] != "shapefactor":
                    continue
                other = first.setdefault(modifier["name"], one["name"])
                if bins[other] != bins[one["name"]]:
                    raise InputError(
                        f"shapefactor {modifier['name']!r}: region {other} has {bins[other]} bins, "
                        f"region {one['name']} has {bins[one['name']]}; pyhf would pair them by "
                        "number; give them different names"
                    )


def _check_poi(content: Specification) -> None:
    measurement = content["measurements"][0]
    poi = measurement["config"].get("poi") or ""
    scaled = {m["name"] for c in content["channels"] for s in c["samples"] for m in s["modifiers"]}
    if poi not in scaled:
        raise InputError(
            f"measurement {measurement['name']!r}: its parameter of interest {poi!r} changes no "
            "sample; name another measurement, or the patchset that brings the signal"
        )


def _check_total(region: str, nominal: Array, observed: Array) -> list[Note]:
    notes = []
    for index, (expected, events) in enumerate(zip(nominal, observed, strict=True)):
        if expected > 1e-9:
            continue
        if events > 0:
            raise InputError(
                f"region {region}: no events are expected in bin {index}, and {events:g} are "
                "observed; merge it with its neighbour"
            )
        notes.append(Note(region, "", "", "sample", "empty", {"bin": float(index)}))
    return notes


def signals(content: Specification) -> list[str]:
    """Samples that the parameter of interest acts on, in order."""
    poi = content["measurements"][0]["config"]["poi"]
    found = [
        sample["name"]
        for one in content["channels"]
        for sample in one["samples"]
        for modifier in sample["modifiers"]
        if modifier["name"] == poi
    ]
    return list(dict.fromkeys(found))
