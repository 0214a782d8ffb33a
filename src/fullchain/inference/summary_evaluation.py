"""Expected uncertainty on the signal strength of events that are in bins, whatever put them there.

The bins become a HistFactory model with all nuisance parameters, that of limited simulation
included, and the expected uncertainty is that of a fit of its Asimov data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.inference import histfactory, rebinning
from fullchain.inference.channels import SampleInput, channel
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.histfactory import Template
from fullchain.inference.likelihood import load_model
from fullchain.inference.summary_events import SIDES, Events
from fullchain.inference.summary_nuisances import LUMINOSITY, STATISTICS, Nuisance, varied_weight
from fullchain.inference.systematic_settings import Model
from fullchain.inference.template_file import NOMINAL
from fullchain.inference.variations import Variation

Array = NDArray[np.float64]
Bins = Mapping[str, NDArray[np.int64]]
"""Number of the bin of each event, by variation."""

REGION = "summary"


@dataclass(frozen=True)
class Choices:
    """What of the analysis the model needs.

    Parameters
    ----------
    poi, poi_range
        Signal strength.
    signals
        Processes that it scales.
    thresholds
        Relative changes of a yield and of a shape below which they are left out.
    luminosity_uncertainty
        Relative.
    largest_error
        Relative error of the background from limited simulation that a bin may have.
    simulation
        Whether limited simulation is an uncertainty.
    """

    poi: str
    poi_range: tuple[float, float]
    signals: frozenset[str]
    thresholds: tuple[float, float]
    luminosity_uncertainty: float
    largest_error: float
    simulation: bool


@dataclass(frozen=True)
class Filled:
    """Yields of the processes in bins, nominally and under each nuisance parameter."""

    nominal: dict[str, Template]
    varied: dict[tuple[str, str, str], Array]
    """By process, nuisance parameter and side, for those that change bins."""

    def merged(self, order: NDArray[np.intp], starts: NDArray[np.intp]) -> "Filled":
        """Bins in another order, and neighbours added up."""

        def added(values: Array) -> Array:
            return np.asarray(np.add.reduceat(values[order], starts), dtype=float)

        return Filled(
            {
                name: Template(added(one.values), added(one.variances))
                for name, one in self.nominal.items()
            },
            {place: added(values) for place, values in self.varied.items()},
        )


def fill(
    bins: Bins,
    count: int,
    events: Events,
    nuisances: Sequence[Nuisance],
    times: Array | None = None,
) -> Filled:
    """Add up the events; `times` (events,) counts each several times, for the bootstrap."""
    repeated = np.ones(len(events)) if times is None else times
    weight = np.where(events.member[NOMINAL], events.weight, 0.0)
    nominal, varied = {}, {}
    masks = {name: (events.process == name) & (events.alternative == "") for name in names(events)}
    for name, own in masks.items():
        content = weight[own] * repeated[own]
        nominal[name] = Template(
            _counted(bins[NOMINAL][own], content, count),
            _counted(bins[NOMINAL][own], content * weight[own], count),
        )
    for one in nuisances:
        if one.kind == "alternative":
            for process in one.processes:
                own = (events.process == process) & (events.alternative == one.name)
                varied[process, one.name, "up"] = _counted(
                    bins[NOMINAL][own], weight[own] * repeated[own], count
                )
        elif one.kind in ("shift", "weight"):
            for side in one.sides:
                variation, changed = varied_weight(one, side, events)
                for process in one.processes:
                    own = masks[process]
                    varied[process, one.name, side] = _counted(
                        bins[variation][own], changed[own] * repeated[own], count
                    )
    return Filled(nominal, varied)


def _counted(bins: NDArray[np.int64], weights: Array, count: int) -> Array:
    return np.bincount(bins, weights, count).astype(float)


def names(events: Events) -> list[str]:
    """Names of the processes."""
    return list(dict.fromkeys(process for process, other in events.samples() if not other))


def purity_order(filled: Filled, signals: frozenset[str]) -> NDArray[np.intp]:
    """Bins by rising ratio of signal and background."""
    values = {name: one.values for name, one in filled.nominal.items()}
    signal = np.sum([one for name, one in values.items() if name in signals], axis=0)
    total = np.sum(list(values.values()), axis=0)
    purity = np.divide(signal, total, out=np.zeros_like(total), where=total > 0)
    return np.argsort(purity, kind="stable")


def merging(
    filled: Filled, order: NDArray[np.intp], choices: Choices, where: str
) -> NDArray[np.intp]:
    """First bins of groups, in order, such that the simulation knows each background well enough.

    A bin without a simulated event of a background would look free of it.
    """
    backgrounds = [
        Template(one.values[order], one.variances[order])
        for name, one in filled.nominal.items()
        if name not in choices.signals
    ]
    edges = np.arange(len(order) + 1, dtype=float)
    return rebinning.groups(backgrounds, edges, choices.largest_error, REGION, where)


def workspace(filled: Filled, nuisances: Sequence[Nuisance], choices: Choices) -> dict[str, Any]:
    """HistFactory workspace of the bins; its data are the expectation at a signal strength of 1."""
    inputs = [_sample(name, filled, nuisances, choices) for name in filled.nominal]
    count = len(next(iter(filled.nominal.values())).values)
    # Bins by purity have no neighbours in the sense of a smooth spectrum, so nothing is smoothed.
    given = Model(
        smoothing="none",
        symmetrise="mirror",
        prune_normalisation=choices.thresholds[0],
        prune_shape=choices.thresholds[1],
        prune_shape_p_value=1.0,
        on_empty="drop",
        on_no_effect="drop",
    )
    edges = np.arange(count + 1, dtype=float)
    made, _ = channel(REGION, inputs, edges, given, "inference.summaries")
    total = np.sum([one.nominal.values for one in inputs], axis=0)
    return histfactory.workspace(
        [made],
        {REGION: total},
        poi=choices.poi,
        poi_range=choices.poi_range,
        luminosity_uncertainty=choices.luminosity_uncertainty,
    )


def _sample(
    name: str, filled: Filled, nuisances: Sequence[Nuisance], choices: Choices
) -> SampleInput:
    nominal = filled.nominal[name]
    modifiers: list[histfactory.Modifier] = []
    variations = []
    if name in choices.signals:
        modifiers.append(histfactory.normfactor(choices.poi))
    if choices.simulation:
        modifiers.append(histfactory.staterror(f"{STATISTICS_NAME}_{REGION}", nominal))
    for one in nuisances:
        if name not in one.processes:
            continue
        if one.kind == "free":
            modifiers.append(histfactory.normfactor(one.name))
        elif one.kind == "lumi":
            modifiers.append(histfactory.lumi())
        elif one.kind == "factor":
            modifiers.append(histfactory.normsys(one.name, *one.factors[name]))
        else:
            sides = {side: filled.varied.get((name, one.name, side)) for side in SIDES}
            up, down = (_varied(sides[side]) for side in SIDES)
            variations.append(Variation(one.name, up, down, shape=one.shape, events="same"))
    return SampleInput(name, nominal, variations, modifiers)


def _varied(values: Array | None) -> Template | None:
    # Variances would tell which changes are significant, which is not asked here.
    return None if values is None else Template(values, np.zeros_like(values))


STATISTICS_NAME = "mc_statistics"


def covariance(specification: Mapping[str, Any]) -> tuple[HistFactory, Array]:
    """Information matrix of the parameters from the Asimov data of a workspace.

    The minimum of the Asimov likelihood is where the data were made, so that the fit has nothing to
    search for: its Hessian there, half of that of twice the negative logarithm, is all.
    """
    model, _ = load_model(specification)
    likelihood = HistFactory(model)
    point = likelihood.init
    data = likelihood.expected_data(point)

    def negative(parameters: torch.Tensor) -> torch.Tensor:
        return -likelihood.log_probability(parameters, data)

    hessian = torch.func.hessian(negative)(point)
    return likelihood, hessian.numpy()


def expected(
    specification: Mapping[str, Any], nuisances: Sequence[Nuisance]
) -> tuple[dict[str, float], dict[str, float]]:
    """Expected uncertainties on the signal strength, and impacts on it.

    Returns
    -------
    tuple
        By what is free: `all`, `statistical` (signal strength and unconstrained normalisations),
        and `without <group>` for each group of nuisance parameters, held at their nominal values;
        and by nuisance parameter the change of the signal strength with it, by covariance.
    """
    model, information = covariance(specification)
    group = {one.name: one.group for one in nuisances}
    free = {one.name for one in nuisances if one.kind == "free"}
    of = [
        STATISTICS if name.startswith(STATISTICS_NAME) else group.get(name, LUMINOSITY)
        for name in model.names
    ]
    held = model.held.numpy()
    poi = model.poi
    assert poi is not None

    def width(use: NDArray[np.bool_]) -> float:
        use = use & ~held
        use[poi] = True
        inverse = np.linalg.inv(information[np.ix_(use, use)])
        place = int(use[:poi].sum())
        return float(np.sqrt(inverse[place, place]))

    always = np.array([name in free for name in model.names])
    found = {"all": width(np.ones(len(of), dtype=bool)), "statistical": width(always)}
    constrained = {one for place, one in enumerate(of) if place != poi and not always[place]}
    for one in sorted(constrained):
        found[f"without {one}"] = width(np.array([other != one for other in of]) | always)
    inverse = np.linalg.inv(information[np.ix_(~held, ~held)])
    kept = np.flatnonzero(~held)
    row = int(np.flatnonzero(kept == poi)[0])
    impacts = {
        model.names[place]: float(inverse[row, column] / np.sqrt(inverse[column, column]))
        for column, place in enumerate(kept)
        if place != poi and not model.names[place].startswith(STATISTICS_NAME)
    }
    return found, impacts


def quick(filled: Filled, nuisances: Sequence[Nuisance], choices: Choices) -> float:
    """The expected uncertainty with all parameters in closed form, for many replicas.

    Without pruning, and with half the difference of both sides as the derivative: the interpolation
    of HistFactory differs from it in second order.
    """
    total = np.sum([one.values for one in filled.nominal.values()], axis=0)
    variance = total.copy()
    if choices.simulation:
        variance = variance + np.sum([one.variances for one in filled.nominal.values()], axis=0)
    derivatives = [
        np.sum([one.values for n, one in filled.nominal.items() if n in choices.signals], axis=0)
    ]
    precision = [0.0]
    for one in nuisances:
        derivatives.append(sum((_slope(one, p, filled) for p in one.processes), 0.0 * total))
        precision.append(one.precision)
    there = variance > 0
    matrix = np.stack(derivatives)[:, there]
    information = (matrix / variance[there]) @ matrix.T + np.diag(precision)
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))


def _slope(nuisance: Nuisance, process: str, filled: Filled) -> Array:
    if process not in filled.nominal:
        return np.zeros(1)
    nominal = filled.nominal[process].values
    if nuisance.kind == "free":
        return nominal
    if nuisance.kind in ("lumi", "factor"):
        up, down = nuisance.factors[process]
        return nominal * 0.5 * (up - down if nuisance.kind == "lumi" else np.log(up / down))
    sides = {side: filled.varied.get((process, nuisance.name, side)) for side in SIDES}
    up_side, down_side = sides["up"], sides["down"]
    if up_side is None:
        assert down_side is not None
        return nominal - down_side
    return up_side - nominal if down_side is None else 0.5 * (up_side - down_side)
