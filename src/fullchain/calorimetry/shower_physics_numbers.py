"""What a summary of the physics of showers says in a few numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Content = Mapping[str, Any]

HUNDRED_GEV = 1e5

POOR = 3.0
"""Chi-squared per degree of freedom beyond which a fit of the resolution is called poor."""


@dataclass(frozen=True)
class Quantity:
    """One number of a summary.

    Parameters
    ----------
    name
        Dotted, for names of metrics.
    value, error
        In `unit`.
    kind
        Where the error comes from.
    words
        What it is, with the energy it is at.
    """

    name: str
    value: float
    error: float
    kind: str
    words: str
    unit: str = ""


def near(physics: Content) -> Content:
    """Give the group whose energy is nearest to 100 GeV."""
    found: Content = min(
        physics["groups"], key=lambda group: abs(group["energy"] / HUNDRED_GEV - 1.0)
    )
    return found


def quantities(physics: Content) -> Iterator[Quantity]:
    """Give resolution, response, and where they are known maximum and containment.

    Parameters
    ----------
    physics
        As `shower_physics.summary` gives it.
    """
    groups, fit = physics["groups"], physics["resolution"]
    if fit is not None:
        for name, unit in (("stochastic", "% sqrt(GeV)"), ("constant", "%")):
            value, error = (100.0 * number for number in fit[name])
            yield Quantity(
                name, value, error, "bootstrap", f"{name} term of the resolution", unit
            )  # fmt: skip
    if not groups:
        return
    for name, group in (("lowest", groups[0]), ("highest", groups[-1])):
        value, error = group["response"]
        yield Quantity(
            f"response.{name}", value, error, "bootstrap",
            f"mean measured over incident energy, {group['energy'] / 1000.0:.4g} GeV",
        )  # fmt: skip
    chosen = near(physics)
    energy = f"{chosen['energy'] / 1000.0:.4g} GeV"
    if chosen.get("maximum"):
        value, error = chosen["maximum"]
        yield Quantity(
            "maximum", value, error, "propagated",
            f"depth of the maximum of the mean profile, {energy}", "X_0",
        )  # fmt: skip
    for radius, (value, error) in chosen.get("contained", {}).items():
        yield Quantity(
            f"contained.{radius}", value, error, "bootstrap",
            f"part of the measured energy within {radius} Moliere radii, {energy}",
        )  # fmt: skip


def fit_words(physics: Content) -> str:
    """Say how well the two terms describe the resolution."""
    squares, freedom = physics["resolution"]["chi_squared"]
    text = f"fit with chi-squared {squares:.3g} for {freedom:.0f} degrees of freedom"
    if squares > POOR * freedom:
        text += (
            ": the two terms do not describe it, as where leakage grows with energy or a threshold "
            "takes much of low ones"
        )
    return text
