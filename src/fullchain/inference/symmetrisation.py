"""Up and down made symmetric: a missing side mirrored, two that go the same way replaced.

Yields are mirrored to the inverse ratio, shapes bin by bin at the nominal yield. Two sides go the
same way in the yield where both raise or both lower it; in the shape where the scalar product of
their changes, each bin in units of its nominal standard deviation, is positive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.inference.systematic_settings import Symmetrise

Array = NDArray[np.float64]

SMALL = 1e-6
"""Scalar product of two changes, relative to the square of the larger one, that is rounding."""


@dataclass(frozen=True)
class Sides:
    """A pair of up and down, of ratios or of shapes, and what was done to it."""

    up: Array
    down: Array
    actions: tuple[str, ...] = ()
    """Out of ``mirrored``, ``one-sided``, ``same side``, ``averaged``, ``largest``, ``clipped``."""


def mirror_shape(nominal: Array, shape: Array) -> tuple[Array, bool]:
    """Reflect a shape of equal yield at the nominal one, without going below zero.

    Returns
    -------
    tuple
        The reflected bins at the nominal yield, and whether one had to be clipped at zero.
    """
    reflected = 2.0 * nominal - shape
    clipped = bool(np.any(reflected < 0))
    reflected = np.clip(reflected, 0.0, None)
    return reflected * (nominal.sum() / reflected.sum()), clipped


def symmetrise_yields(up: float | None, down: float | None, how: Symmetrise) -> Sides:
    """Make the ratios of varied to nominal yields symmetric; one of them may be missing."""
    made = _symmetrise(
        None if up is None else np.log(np.asarray(up)),
        None if down is None else np.log(np.asarray(down)),
        how,
        nominal=np.zeros(()),
        mirror=lambda x: (-x, False),
        product=lambda a, b: float(a * b),
    )
    return Sides(np.exp(made.up), np.exp(made.down), made.actions)


def symmetrise_shapes(
    up: Array | None, down: Array | None, nominal: Array, how: Symmetrise
) -> Sides:
    """Make shapes at the nominal yield symmetric; one of them may be missing."""
    return _symmetrise(
        up,
        down,
        how,
        nominal=nominal,
        mirror=lambda shape: mirror_shape(nominal, shape),
        product=lambda a, b: _product(a - nominal, b - nominal, nominal),
    )


def _product(first: Array, second: Array, nominal: Array) -> float:
    weight = np.where(nominal > 0, nominal, nominal.mean())
    return float(np.sum(first * second / weight))


def _symmetrise(
    up: Array | None,
    down: Array | None,
    how: Symmetrise,
    *,
    nominal: Array,
    mirror: Callable[[Array], tuple[Array, bool]],
    product: Callable[[Array, Array], float],
) -> Sides:
    if up is None or down is None:
        given = down if up is None else up
        assert given is not None, "one side must be there"
        if how == "none":
            other, actions = np.array(nominal, dtype=float), ["one-sided"]
        else:
            other, clipped = mirror(given)
            actions = ["mirrored"] + ["clipped"] * clipped
        return (
            Sides(other, given, tuple(actions))
            if up is None
            else Sides(given, other, tuple(actions))
        )
    # A side that is zero but for rounding goes no way.
    if not product(up, down) > SMALL * max(product(up, up), product(down, down)):
        return Sides(up, down)
    if how in ("none", "mirror"):
        return Sides(up, down, ("same side",))
    up_leads = product(up, up) >= product(down, down)
    if how == "average":
        taken, action = 0.5 * (up + down), "averaged"
    else:
        taken, action = (up if up_leads else down), "largest"
    other, clipped = mirror(taken)
    done = ("same side", action, *(["clipped"] * clipped))
    return Sides(taken, other, done) if up_leads else Sides(other, taken, done)
