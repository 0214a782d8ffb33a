"""Search for formulas with pyoperon: genetic programming, constants fitted by least squares."""

from typing import Any

import numpy as np

from fullchain.seeds import derive
from fullchain.tagging.association import Array
from fullchain.tagging.explanation_settings import FormulaSettings

_NO_LIMIT = 2**62
"""Evaluations that are never reached: generations end a search."""


def search(inputs: Array, target: Array, how: FormulaSettings, *, seed: int) -> list[str]:
    """Find formulas for which no shorter one describes the target as well.

    NSGA-II on the squared correlation and the length; each offspring has its constants fitted, and
    keeps them. One thread and a number of generations, no clock: two searches give the same.

    Parameters
    ----------
    inputs
        Standardised variables X1, X2, ..., shape (jets, variables).
    target
        Shape (jets,).
    how
        Sizes.
    seed
        Of the search.

    Returns
    -------
        Texts in pyoperon's notation with six decimals, in rising length.
    """
    # Here, because nothing else needs it.
    from pyoperon.sklearn import SymbolicRegressor

    symbols = ",".join([*how.symbols, "constant", "variable"])
    found: Any = SymbolicRegressor(
        allowed_symbols=symbols,
        objectives=["r2", "length"],
        optimizer_iterations=how.optimiser_iterations,
        # Room for the scale and the shift that are added at the end: four nodes.
        max_length=max(1, how.max_length - 4),
        population_size=how.population,
        generations=how.generations,
        max_evaluations=_NO_LIMIT,
        n_threads=1,
        random_state=derive(seed, "formula"),
    )
    found.fit(np.ascontiguousarray(inputs), np.ascontiguousarray(target))
    front = sorted(found.pareto_front_, key=lambda one: (one["length"], one["mean_squared_error"]))
    return [str(one["model"]) for one in front]
