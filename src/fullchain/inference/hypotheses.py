"""Signal hypotheses of an analysis: one workspace, and a patch for each further signal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyhf

from fullchain.errors import InputError


@dataclass(frozen=True)
class Hypothesis:
    """A signal: its name, mass [GeV] and cross section [pb] where known, and its workspace."""

    name: str
    mass: float | None
    cross_section_pb: float | None
    workspace: dict[str, Any]


def hypotheses(
    workspace: dict[str, Any], patchset: Mapping[str, Any] | None, about: Mapping[str, Any]
) -> list[Hypothesis]:
    """Give the workspace of each hypothesis.

    Parameters
    ----------
    workspace
        That of the first hypothesis.
    patchset
        pyhf patchset of the others, if there are any.
    about
        What the workspace was built from; its ``hypotheses`` name patches, masses and cross
        sections. Without them each patch is a hypothesis.

    Raises
    ------
    InputError
        A patch is missing, or is not one of this workspace.
    """
    try:
        patches = None if patchset is None else pyhf.PatchSet(patchset)
    except (pyhf.exceptions.InvalidSpecification, pyhf.exceptions.InvalidPatchSet) as problem:
        raise InputError(f"not a valid patchset: {problem}") from None
    listed: Sequence[Mapping[str, Any]] = about.get("hypotheses") or [
        {"name": "signal", "patch": None},
        *({"name": one.name, "patch": one.name} for one in patches or ()),
    ]
    return [
        Hypothesis(
            str(one["name"]),
            one.get("mass"),
            one.get("cross_section_pb"),
            _patched(workspace, patches, one.get("patch")),
        )
        for one in listed
    ]


def _patched(
    workspace: dict[str, Any], patches: pyhf.PatchSet | None, name: str | None
) -> dict[str, Any]:
    if name is None:
        return workspace
    known = [] if patches is None else [patch.name for patch in patches]
    if patches is None or name not in known:
        raise InputError(
            f"hypothesis {name}: the patchset has no such patch; it has "
            f"{', '.join(known) or 'none'}"
        )
    try:
        return dict(patches.apply(pyhf.Workspace(workspace), name))
    except pyhf.exceptions.PatchSetVerificationError as problem:
        raise InputError(
            f"hypothesis {name}: the patchset belongs to another workspace ({problem}); build both "
            "again"
        ) from None
