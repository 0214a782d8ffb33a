"""Nuisance parameters of a summary: from the systematic uncertainties of the analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.analysis_settings import Sample, Systematic
from fullchain.inference.summary_events import SIDES, Events
from fullchain.inference.template_file import NOMINAL

Array = NDArray[Any]

GROUPS = {
    "shift": "detector",
    "weight": "theory",
    "sample": "theory",
    "value": "normalisation",
}
"""Groups by source, as in the impacts."""

STATISTICS = "MC statistics"
LUMINOSITY = "luminosity"
NORMALISATION = "normalisation"


@dataclass(frozen=True)
class Nuisance:
    """One nuisance parameter.

    Parameters
    ----------
    name, group
        Its name, and of what group it is.
    kind
        ``shift``: of the objects; ``weight``: of the events; ``alternative``: another sample;
        ``factor``: of the yields of processes; ``lumi``; ``free``: an unconstrained factor.
    processes
        Names of those that it acts on.
    source
        Shift or weight.
    sides
        Which of up and down there are.
    factors
        By process the factors on its yield, up and down (factor).
    shape
        Whether the change of shape counts in the model.
    """

    name: str
    group: str
    kind: str
    processes: tuple[str, ...]
    source: str = ""
    sides: tuple[str, ...] = SIDES
    factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    shape: bool = True

    @property
    def precision(self) -> float:
        """Inverse variance of the constraint: in units of its standard deviation, or none."""
        return 0.0 if self.kind == "free" else 1.0


def from_json(content: Mapping[str, Any]) -> Nuisance:
    """Read a nuisance parameter from what a step saved."""
    values = dict(content)
    values["processes"] = tuple(values["processes"])
    values["sides"] = tuple(values["sides"])
    values["factors"] = {name: (up, down) for name, (up, down) in values["factors"].items()}
    return Nuisance(**values)


def nuisances(
    systematics: Mapping[str, Systematic],
    samples: Mapping[str, Sample],
    luminosity_uncertainty: float,
    events: Events,
) -> tuple[list[Nuisance], bool]:
    """Give the nuisance parameters, and whether limited simulation is one of the uncertainties.

    A source of which only the yield counts (normsys) becomes a factor on the yield of the whole
    selection, which no choice of bins changes.

    Raises
    ------
    InputError
        A variation or weight is not there, or changes nothing.
    """
    found: list[Nuisance] = []
    simulation = False
    for name, line in systematics.items():
        if line.kind == "staterror":
            simulation = True
            continue
        if line.kind == "shapefactor":
            raise InputError(
                f"systematics.{name}: a shapefactor frees the bins of one observable, and has no "
                "meaning for summaries that choose their bins; leave it out of the analysis"
            )
        processes = tuple(line.samples or samples)
        found.append(_nuisance(name, line, processes, luminosity_uncertainty, events))
    return found, simulation


def _nuisance(
    name: str,
    line: Systematic,
    processes: tuple[str, ...],
    luminosity_uncertainty: float,
    events: Events,
) -> Nuisance:
    given = getattr(line, "group", None)
    if line.kind == "lumi":
        factors = dict.fromkeys(
            processes, (1.0 + luminosity_uncertainty, 1.0 - luminosity_uncertainty)
        )
        return Nuisance(name, given or LUMINOSITY, "lumi", processes, factors=factors)
    if line.kind == "normfactor":
        return Nuisance(name, given or NORMALISATION, "free", processes)
    (source,) = (one for one in GROUPS if getattr(line, one, None) is not None)
    group = given or GROUPS[source]
    if line.value is not None:
        factors = dict.fromkeys(processes, (1.0 + line.value, 1.0 / (1.0 + line.value)))
        return Nuisance(name, group, "factor", processes, factors=factors)
    kind = "alternative" if source == "sample" else source
    shape = line.kind == "histosys"
    one = Nuisance(
        name,
        group,
        kind,
        processes,
        name if kind == "alternative" else str(getattr(line, source)),
        _sides(name, kind, str(getattr(line, source)), processes, events),
        shape=shape,
    )
    if shape:
        return one
    factors = {process: _factors(one, process, events) for process in processes}
    return Nuisance(name, group, "factor", processes, factors=factors)


def _sides(
    name: str, kind: str, source: str, processes: Sequence[str], events: Events
) -> tuple[str, ...]:
    if kind == "alternative":
        return ("up",)
    there = events.member if kind == "shift" else events.factors
    prefix = "" if kind == "shift" else "w_"
    sides = tuple(side for side in SIDES if f"{prefix}{source}_{side}" in there)
    for process in processes:
        own = (events.process == process) & (events.alternative == "")
        if not any(_changes(kind, f"{prefix}{source}_{side}", events.where(own)) for side in sides):
            raise InputError(
                f"process {process}: {prefix}{source} changes nothing for the systematic {name}, "
                f"or is not there; leave {process} out of inference.analyses.*.systematics."
                f"{name}.samples, or make the variation"
            )
    return sides


def _changes(kind: str, column: str, events: Events) -> bool:
    if kind == "weight":
        return bool(np.any(events.factors[column] != 1.0))
    return bool(
        np.any(events.features[column] != events.features[NOMINAL])
        or np.any(events.member[column] != events.member[NOMINAL])
        or any(np.any(one[column] != one[NOMINAL]) for one in events.scores.values())
    )


def varied_weight(nuisance: Nuisance, side: str, events: Events) -> tuple[str, Array]:
    """Variation whose features count, and weights of the events there, for one side.

    Events of processes that the parameter does not act on keep their nominal weight and features;
    so do all where there is no such side.
    """
    variation = NOMINAL
    weight = np.where(events.member[NOMINAL], events.weight, 0.0)
    acts = np.isin(events.process, nuisance.processes)
    if side not in nuisance.sides:
        return variation, weight
    if nuisance.kind == "shift":
        variation = f"{nuisance.source}_{side}"
        moved = np.where(events.member[variation], events.weight, 0.0)
        weight = np.where(acts, moved, weight)
    elif nuisance.kind == "weight":
        weight = np.where(acts, weight * events.factors[f"w_{nuisance.source}_{side}"], weight)
    return variation, weight


def _factors(nuisance: Nuisance, process: str, events: Events) -> tuple[float, float]:
    """Factors on the yield of a process, up and down; the inverse for a side that is not there."""
    own = (events.process == process) & (events.alternative == "")
    nominal = float(events.weight[own & events.member[NOMINAL]].sum())
    if nuisance.kind == "alternative":
        other = (events.process == process) & (events.alternative == nuisance.name)
        ratio = float(events.weight[other & events.member[NOMINAL]].sum()) / nominal
        return ratio, 1.0 / ratio
    found = {
        side: float(varied_weight(nuisance, side, events)[1][own].sum()) / nominal
        for side in nuisance.sides
    }
    up = found["up"] if "up" in found else 1.0 / found["down"]
    down = found["down"] if "down" in found else 1.0 / found["up"]
    return up, down
