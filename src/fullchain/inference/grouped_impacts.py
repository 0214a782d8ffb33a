"""Impact of groups of nuisance parameters on the parameter of interest.

The impact of a group is what the uncertainty loses, in quadrature, when the parameters of the
group are held at their best fit. By refit the uncertainties are those of the profile likelihood, up
and down; by covariance those of the Hessian, where holding parameters is a matter of linear
algebra. The statistical part is the uncertainty that is left with all constrained parameters held.

These impacts do not add up to the total where groups are correlated after the fit. The components
do: each is the shift of the parameter of interest with the data, main or auxiliary, at one standard
deviation (A. Pinto et al., EPJ C 84 (2024) 593).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fullchain.inference.covariance import conditional_variance
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.fit_parameters import prefit_uncertainties
from fullchain.inference.fitting import Fit, poi_index
from fullchain.inference.intervals import Side, ends
from fullchain.inference.likelihood import SMALLEST_YIELD
from fullchain.inference.propagation import jacobian

Array = NDArray[np.float64]

STATISTICAL = "statistical"
UP_AND_DOWN = ("up", "down")

Groups = dict[str, tuple[int, ...]]
Ends = dict[str, float | None]


def groups(model: HistFactory, given: Mapping[str, str] | None, kinds: Mapping[str, str]) -> Groups:
    """Places of the nuisance parameters of each group, in the order of the model.

    Parameters
    ----------
    model
        The likelihood.
    given
        Group by parameter, or by the name that several parameters share before ``[...]``; None, or
        a parameter that is not there: its kind is its group.
    kinds
        Kind of modifier by such names.
    """
    found: dict[str, list[int]] = {}
    for index, name in enumerate(model.names):
        if index == model.poi or bool(model.held[index]):
            continue
        found.setdefault(group_of(name, given, kinds), []).append(index)
    return {group: tuple(places) for group, places in found.items()}


def group_of(name: str, given: Mapping[str, str] | None, kinds: Mapping[str, str]) -> str:
    """The group of one parameter."""
    shared = name.split("[")[0]
    given = given or {}
    kind = kinds.get(shared, "other")
    return given.get(name) or given.get(shared) or DEFAULT_GROUPS.get(kind, kind)


DEFAULT_GROUPS = {
    "staterror": "MC statistics",
    "lumi": "luminosity",
    "normfactor": "normalisation",
    "shapefactor": "normalisation",
}
"""Group of the parameters of a kind of modifier, where nothing else is said; else the kind."""


def constrained(model: HistFactory) -> tuple[int, ...]:
    """Places of all parameters that vary within a constraint."""
    return tuple(i for i, width in enumerate(prefit_uncertainties(model)) if width)


def by_covariance(model: HistFactory, best: Fit, members: Groups) -> dict[str, Ends]:
    """Impacts of the groups and the statistical part, symmetric."""
    place = poi_index(model)
    total = float(best.covariance[place, place])
    found: dict[str, Ends] = {}
    for group, held in {STATISTICAL: constrained(model), **members}.items():
        left = conditional_variance(best.covariance, place, np.array(held, dtype=np.intp))
        width = float(np.sqrt(max(left if group == STATISTICAL else total - left, 0.0)))
        found[group] = {"up": width, "down": -width}
    return found


def by_refit(
    model: HistFactory, data: Array, best: Fit, members: Groups, what: str = "the fit"
) -> tuple[Ends, dict[str, Ends]]:
    """Give the uncertainty, and impacts of the groups and the statistical part, up and down.

    None where the parameter of interest reaches its limit before the end of its interval.

    Raises
    ------
    InputError
        A fit does not converge.
    """
    place = poi_index(model)
    everything: dict[str, tuple[int, ...]] = {STATISTICAL: constrained(model), **members}
    sides = []
    for held in ((), *everything.values()):
        left = conditional_variance(best.covariance, place, np.array(held, dtype=np.intp))
        width = float(np.sqrt(max(left, 1e-12 * best.covariance[place, place])))
        sides += [Side(place, sign, width, tuple(held)) for sign in (1, -1)]
    found = ends(model, data, best, sides, what=what).reshape(-1, 2)
    total = _ends(found[0])
    impacts = {STATISTICAL: _ends(found[1])}
    for group, left in zip(members, found[2:], strict=True):
        lost = np.sqrt(np.clip(found[0] ** 2 - left**2, 0.0, None))
        impacts[group] = _ends(lost * np.array([1.0, -1.0]))
    return total, impacts


def _ends(values: Array) -> Ends:
    known = [float(one) if np.isfinite(one) else None for one in values]
    return dict(zip(UP_AND_DOWN, known, strict=True))


def components(model: HistFactory, best: Fit, members: Groups) -> dict[str, float]:
    """Split the variance by the measurements that it comes from; the parts add in quadrature.

    The shift of the estimate with a measurement is minus the covariance times the mixed second
    derivative of the negative log-likelihood. The statistical component is that of the main bins,
    the component of a group that of the auxiliary measurements of its parameters.
    """
    place = poi_index(model)
    row = best.covariance[place]
    events, slopes = jacobian(model, best.values)
    expected = events.sum(axis=0)
    # Nothing is expected in a bin, nothing can fluctuate there.
    inverse = np.where(expected > SMALLEST_YIELD, 1.0 / np.clip(expected, SMALLEST_YIELD, None), 0)
    main = (slopes.sum(axis=0) @ row) ** 2 * inverse
    parameter, scale = model.auxiliary_parameter.numpy(), model.auxiliary_scale.numpy()
    # Shift squared times variance: of a normal measurement, of a counted one.
    poisson = model.auxiliary_poisson.numpy()
    value = np.where(poisson, best.values[parameter], 1.0)
    precision = np.where(poisson, scale / value, 1.0 / scale**2)
    auxiliary = row[parameter] ** 2 * precision
    found = {STATISTICAL: float(np.sqrt(main.sum()))}
    for group, places in members.items():
        found[group] = float(np.sqrt(auxiliary[np.isin(parameter, places)].sum()))
    return found


def modifier_kinds(channels: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Kind of modifier by its name, from the channels of a workspace; the strongest where several.

    A parameter that acts as `histosys` in one place and as `normsys` in another has the kind of the
    former.
    """
    found: dict[str, str] = {}
    for channel in channels:
        for sample in channel["samples"]:  # type: ignore[attr-defined]
            for modifier in sample["modifiers"]:
                if found.get(modifier["name"]) != "histosys":
                    found[modifier["name"]] = modifier["type"]
    return found
