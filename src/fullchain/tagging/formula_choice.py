"""The formula for a score: which are tried, which is chosen, and how it does."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.learning import roc, split
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.calibration import fit_temperature
from fullchain.learning.standardise import measure
from fullchain.seeds import derive
from fullchain.tagging import symbolic_regression
from fullchain.tagging.association import Array
from fullchain.tagging.explained import Explained, limited
from fullchain.tagging.explanation_settings import ExplanationSettings, FormulaSettings
from fullchain.tagging.formula import Formula
from fullchain.tagging.observable_symbols import standardised
from fullchain.tagging.performance import Sample, calibration

CALIBRATION_BINS = 10


def formula_of(
    names: Sequence[str],
    parts: dict[str, Explained],
    how: ExplanationSettings,
    seed: int,
    surrogate: Callable[[Explained], Array] | None,
) -> dict[str, Any]:
    """Formulas for the log-odds from some observables, the one that is chosen, and how it does.

    The search sees the training part; which formula is chosen depends on training and validation
    part; numbers are those of the test part.
    """
    fitted, test = parts["fitted"], parts[split.TEST]
    used = parts[split.TRAIN]
    found = measure(used.jets.table(names), used.weight)
    # Four digits, which stand beside the formula, are what it is measured with.
    shift = np.array([float(f"{value:.4g}") for value in found.subtract])
    width = np.array([float(f"{1 / value:.4g}") for value in found.multiply])

    def inputs(jets: Explained) -> Array:
        return np.asarray((jets.jets.table(names) - shift) / width)

    few = used.drawn(how.formula.jets, derive(seed, "formula"))
    texts = symbolic_regression.search(inputs(few), limited(few), how.formula, seed=seed)
    front = _front(texts, names, how.formula, inputs(fitted), inputs(test))
    areas = [fitted.separation(one(inputs(fitted)), 0, seed) for one in front]
    signed = [one["value"] if one["signal_is_higher"] else 1 - one["value"] for one in areas]
    best = int(np.argmax(signed))
    error = fitted.separation(front[best](inputs(fitted)), how.replicas, seed)["deviation"]
    chosen = next(k for k, area in enumerate(signed) if area >= signed[best] - error)
    values = front[chosen](inputs(test))
    result: dict[str, Any] = {
        "inputs": [
            {"name": name, "shift": float(a), "width": float(b)}
            for name, a, b in zip(names, shift, width, strict=True)
        ],
        "front": [
            {
                **_printed(one),
                "auc": test.separation(one(inputs(test)), how.replicas, seed),
                "r2": _r2(one(inputs(test)), test),
            }
            for one in front
        ],
        "chosen": chosen,
        **_printed(front[chosen]),
        "temperature": _temperature(
            front[chosen](inputs(parts[split.VALIDATION])), parts[split.VALIDATION]
        ),
        "network": _quality(test.logit, test, how, seed),
        "formula": _quality(values, test, how, seed),
        "difference": _difference(values, test.logit, test, how, seed),
    }
    result["scaled"] = _quality(values / result["temperature"], test, how, seed)
    if surrogate is not None:
        own = surrogate(test)
        result["surrogate"] = _quality(own, test, how, seed) | {"r2": _r2(own, test)}
        result["difference_from_surrogate"] = _difference(values, own, test, how, seed)
    return result


def _front(
    texts: Sequence[str], names: Sequence[str], how: FormulaSettings, *inputs: Array
) -> list[Formula]:
    """Formulas that are different as printed, vary, and have a value for all jets; by length."""
    found: dict[str, Formula] = {}
    for text in texts:
        formula = Formula(text, names, how.digits)
        values = [formula(rows) for rows in inputs]
        if all(np.isfinite(one).all() and np.ptp(one) > 0 for one in values):
            found.setdefault(formula.text, formula)
    if not found:
        raise InputError(
            "no formula has a value for all jets: raise tagging.explanation.formula.generations, "
            "or leave div, log, sqrt and exp out of its symbols"
        )
    return sorted(found.values(), key=lambda one: one.length)


def _printed(formula: Formula) -> dict[str, Any]:
    return {
        "text": formula.text,
        "latex": formula.latex([standardised(name) for name in formula.names]),
        "length": formula.length,
        "variables": formula.variables,
    }


def _r2(values: Array, jets: Explained) -> float:
    """Part of the variance of the limited log-odds that is described, with weights."""
    target, part = limited(jets), jets.weight / jets.weight.sum()
    left = part @ (values - target) ** 2
    return float(1.0 - left / (part @ (target - part @ target) ** 2))


def _quality(values: Array, jets: Explained, how: ExplanationSettings, seed: int) -> dict[str, Any]:
    """Area and calibration of log-odds."""
    score = 1.0 / (1.0 + np.exp(-np.clip(values, -50.0, 50.0)))
    sample = Sample(score, jets.is_signal, jets.weight, jets.jets.event)
    return {
        "auc": jets.separation(values, how.replicas, seed),
        "calibration": calibration(sample, CALIBRATION_BINS, how.replicas, seed),
    }


def _temperature(values: Array, jets: Explained) -> float:
    pairs = np.stack([values, np.zeros_like(values)], axis=1)
    return fit_temperature(pairs, np.where(jets.is_signal, 0, 1), jets.weight).value


def _difference(
    values: Array, reference: Array, jets: Explained, how: ExplanationSettings, seed: int
) -> dict[str, float]:
    """Area of `values` less that of `reference`, on the same replicas."""
    one, other = (roc.Sorted(score, jets.is_signal, jets.weight) for score in (values, reference))
    found = []
    for factor in event_factors(jets.jets.event, how.replicas, seed):
        try:
            areas = [roc.area(rows.curve(factor[rows.order])) for rows in (one, other)]
        except ValueError:
            # A replica without one of the classes says nothing.
            continue
        found.append(areas[0] - areas[1])
    value = roc.area(one.curve()) - roc.area(other.curve())
    return {
        "value": value,
        "deviation": float(np.std(found, ddof=1)) if len(found) > 1 else 0.0,
    }
