"""What is trained together: a fit on all inputs or, with UniFold, on one of the observables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from fullchain.unfolding.fits import Fit
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Problem
from fullchain.unfolding.unfolded import OF_OBSERVABLE


@dataclass(frozen=True, eq=False)
class Member:
    """One fit on some of the observables.

    Parameters
    ----------
    fit
        What is varied.
    columns
        Numbers of the observables that classifiers see.
    name
        Of its weights.
    """

    fit: Fit
    columns: tuple[int, ...]
    name: str


def members_of(fits: Sequence[Fit], problem: Problem, settings: OmnifoldSettings) -> list[Member]:
    """List the members of all fits; with UniFold one for each observable."""
    names = problem.simulation.names
    if settings.inputs == "unifold":
        return [
            Member(fit, (column,), f"{fit.name}{OF_OBSERVABLE}{name}")
            for fit in fits
            for column, name in enumerate(names)
        ]
    return [Member(fit, tuple(range(len(names))), fit.name) for fit in fits]


def computations(members: Sequence[Member], settings: OmnifoldSettings) -> list[list[Member]]:
    """Divide members into computations.

    Particles are not copied for each member: those that share a computation have the same detector
    level and the same order of events.
    """
    groups: dict[object, list[Member]] = {}
    for member in members:
        alike = (member.fit.start, member.fit.shift) if settings.inputs == "particles" else None
        groups.setdefault(alike, []).append(member)
    found = []
    for group in groups.values():
        parts = math.ceil(len(group) / settings.members_at_once)
        edges = [len(group) * part // parts for part in range(parts + 1)]
        found += [group[a:b] for a, b in pairwise(edges)]
    return found
