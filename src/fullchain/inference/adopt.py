"""Take a user's own workspace or datacard in, checked, as if the stage had built it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pyhf

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import adoption
from fullchain.inference.building import groups
from fullchain.inference.combine_reader import files_of, read_card
from fullchain.inference.likelihood import asimov, load_model
from fullchain.inference.patches import NO_RECORD, Signal, difference
from fullchain.inference.patches import patchset as put_together
from fullchain.inference.template_file import read_json
from fullchain.inference.workspaces_settings import Workspace
from fullchain.setting_errors import nearest
from fullchain.step import Given, Input, Option, Output

Content = dict[str, Any]


def main(
    *,
    source: Annotated[Path, Input("pyhf workspace (.json), or datacard of Combine (.txt)")],
    patches: Annotated[Path | None, Input("pyhf patchset of the workspace")] = None,
    files: Annotated[list[Path], Input("ROOT files that the datacard names")] = [],  # noqa: B006
    name: Annotated[str, Option("name of the workspace in inference.workspaces")],
    workspace_json: Annotated[Path, Output("pyhf workspace, of the first signal hypothesis")],
    report: Annotated[Path, Output("bins, groups and hypotheses, and what was noted")],
    patchset: Annotated[Path, Output("pyhf patchset: the workspace of each signal hypothesis")],
    settings: Given,
) -> None:
    """Check schema, bins and measurement, apply the patches, and write the layout of the stage."""
    where = f"inference.workspaces.{name}"
    given = settings.model(where, Workspace)
    content, edges, grouped = _read(source, files, where)
    hypotheses = _hypotheses(content, patches, given, name, where)
    expected: list[Content] | None = None
    for one in hypotheses:
        made = adoption.one_measurement(one["workspace"], given.measurement, where)
        if given.blind:
            # Before any check, whose messages tell what they find.
            expected = expected or _expectation(made)
            made = {**made, "observations": expected}
        try:
            one["notes"] = [asdict(note) for note in adoption.check(made, given, where)]
        except InputError as problem:
            of = f"patch {one['patch']}: " if one["patch"] else ""
            raise InputError(f"{source}: {of}{problem}") from None
        one["workspace"] = made
    base: Content = hypotheses[0]["workspace"]
    signals = [
        Signal(one["name"], one["mass"], difference(base, one["workspace"])) for one in hypotheses
    ]
    together = put_together(base, signals, f"Signal hypotheses of {source.name}", _record(patches))
    grouping: dict[str, str] = {}
    for one in hypotheses:
        model, _ = load_model(one["workspace"])
        grouping |= groups(model, {}, _by_parameter({**grouped, **given.groups}))
    bins = {one["name"]: len(one["samples"][0]["data"]) for one in base["channels"]}
    all_edges = {
        region: list(given.edges.get(region, edges.get(region, range(count + 1))))
        for region, count in bins.items()
    }
    about = {
        "luminosity": given.luminosity,
        "data": {"kind": "asimov" if given.blind else "workspace", "mu": None, "sample": None},
        "blind": given.blind,
        "observable": {
            region: given.observables[region].model_dump()
            if region in given.observables
            else {"name": "bin", "unit": ""}
            for region in bins
        },
        "edges": {region: [float(x) for x in found] for region, found in all_edges.items()},
        "filled_edges": {region: [float(x) for x in found] for region, found in all_edges.items()},
        "signals": adoption.signals(base),
        "groups": grouping,
        "hypotheses": [
            {
                "name": one["name"],
                "patch": one["name"] if place else None,
                "mass": one["mass"],
                "cross_section_pb": given.cross_sections_pb.get(
                    name if patches is None else one["name"]
                ),
                "samples": adoption.signals(one["workspace"]),
                "notes": one["notes"] if place else [],
            }
            for place, one in enumerate(hypotheses)
        ],
        "notes": hypotheses[0]["notes"],
        "source": {"file": source.name, "measurement": base["measurements"][0]["name"]},
    }
    write_text(workspace_json, json.dumps(base, indent=1, allow_nan=False) + "\n")
    write_text(patchset, json.dumps(together, indent=1, allow_nan=False) + "\n")
    write_text(report, json.dumps(about, indent=1, allow_nan=False) + "\n")


def _read(
    source: Path, files: list[Path], where: str
) -> tuple[Content, dict[str, list[float]], dict[str, str]]:
    """Workspace, bin edges and groups as far as the source has them."""
    if source.suffix == ".txt":
        known = {file.resolve() for file in files}
        for file in files_of(source):
            if file.resolve() not in known:
                raise InputError(f"{source} reads {file}; list it in {where}.files")
        content, edges, grouped = read_card(source)
        return content, {region: bins.tolist() for region, bins in edges.items()}, grouped
    content = read_json(source)
    adoption.check_schema(content, str(source))
    return content, {}, {}


def _hypotheses(
    content: Content, patches: Path | None, given: Workspace, name: str, where: str
) -> list[Content]:
    """Workspaces of the signal hypotheses, each with its name, patch and mass."""
    if patches is None:
        for wanted in given.cross_sections_pb:
            if wanted != name:
                raise InputError(
                    f"{where}.cross_sections_pb: {wanted!r}; without a patchset, the one signal "
                    f"has the name of the workspace, {name!r}"
                )
        return [{"name": _plain(name), "patch": None, "mass": None, "workspace": content}]
    raw = read_json(patches)
    adoption.check_schema(raw, str(patches), "patchset.json")
    known = pyhf.PatchSet(raw)
    names = [one.name for one in known]
    found = []
    for wanted in given.patches or names:
        if wanted not in names:
            raise InputError(f"{where}.patches: {wanted!r}{nearest(wanted, names)}")
        labels = dict(zip(known.labels, known[wanted].values, strict=False))
        mass = labels.get(given.mass_label)
        made = adoption.patched(content, known, wanted, str(patches))
        adoption.check_schema(made, f"{patches}: patch {wanted}")
        found.append(
            {
                "name": wanted,
                "patch": wanted,
                "mass": float(mass) if isinstance(mass, int | float) else None,
                "workspace": made,
            }
        )
    for wanted in given.cross_sections_pb:
        if wanted not in names:
            raise InputError(f"{where}.cross_sections_pb: {wanted!r}{nearest(wanted, names)}")
    return found


def _expectation(content: Content) -> list[Content]:
    model, _ = load_model(content)
    expected = asimov(model, 1.0)
    slices = model.config.channel_slices
    return [
        {"name": one["name"], "data": expected[slices[one["name"]]].tolist()}
        for one in content["observations"]
    ]


def _record(patches: Path | None) -> str:
    if patches is None:
        return NO_RECORD
    return str(read_json(patches)["metadata"]["references"].get("hepdata", NO_RECORD))


def _by_parameter(named: dict[str, str]) -> dict[str, str]:
    return {name.split("[")[0]: group for name, group in named.items()}


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
