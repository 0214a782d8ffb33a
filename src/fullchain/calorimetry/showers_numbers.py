"""Numbers of sets of showers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]

HUNDRED_GEV = 1e5

POOR = 3.0
"""Chi-squared per degree of freedom beyond which a fit of the resolution is called poor."""


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics: resolution, response, and where they are known maximum and containment."""
    return [metric for one in contents for metric in _metrics(one)]


def _metrics(one: Content) -> Iterator[Metric]:
    key, text = f"showers.{one['set']}", f"showers {one['set']}: "
    physics = one["physics"]
    groups, fit = physics["groups"], physics["resolution"]
    if fit is not None:
        chosen = None if one["detector"] is None else one["detector"]["resolution"]
        squares, freedom = fit["chi_squared"]
        fitted = f"fit with chi-squared {squares:.3g} for {freedom:.0f} degrees of freedom"
        if squares > POOR * freedom:
            fitted += ": leakage grows with energy, and the two terms do not describe it"
        note = fitted if not chosen else f"{100 * chosen:g} % is set for the calorimeter; {fitted}"
        for name, words, unit in (
            ("stochastic", "stochastic term of the resolution", "% sqrt(GeV)"),
            ("constant", "constant term of the resolution", "%"),
        ):
            value, error = (100.0 * number for number in fit[name])
            yield Metric(
                f"{key}.{name}", value, error, "bootstrap", text + words, unit,
                note=note if name == "stochastic" else fitted,
            )  # fmt: skip
    if not groups:
        return
    for name, group in (("lowest", groups[0]), ("highest", groups[-1])):
        value, error = group["response"]
        yield Metric(
            f"{key}.response.{name}", value, error, "bootstrap",
            f"{text}mean measured over incident energy, {group['energy'] / 1000.0:.4g} GeV",
        )  # fmt: skip
    near = min(groups, key=lambda group: abs(group["energy"] / HUNDRED_GEV - 1.0))
    energy = f"{near['energy'] / 1000.0:.4g} GeV"
    if near.get("maximum"):
        value, error = near["maximum"]
        yield Metric(
            f"{key}.maximum", value, error, "propagated",
            f"{text}depth of the maximum of the mean profile, {energy}", "X_0",
        )  # fmt: skip
    for radius, (value, error) in near.get("contained", {}).items():
        yield Metric(
            f"{key}.contained.{radius}", value, error, "bootstrap",
            f"{text}part of the measured energy within {radius} Moliere radii, {energy}",
        )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table for each set: rows are energies."""
    return [_table(one) for one in contents if one["physics"]["groups"]]


def _table(one: Content) -> Table:
    groups = one["physics"]["groups"]
    known = one["detector"] is not None
    columns = ["E [GeV]", "showers", "mean $E_{tot}/E$", "resolution [%]"]
    if known:
        columns += ["maximum [$X_0$]", "within 1 $R_M$", "within 3.5 $R_M$"]
    rows: list[list[str | Number | None]] = []
    for group in groups:
        row: list[str | Number | None] = [
            f"{group['energy'] / 1000.0:.4g}",
            str(group["number"]),
            Number(*group["response"]),
            Number(*(100.0 * number for number in group["resolution"])),
        ]
        if known:
            maximum = group["maximum"]
            row += [None if maximum is None else Number(*maximum)]
            row += [Number(*group["contained"][radius]) for radius in ("1", "3.5")]
        rows.append(row)
    return Table(
        f"showers_{one['set']}",
        f"Showers of the set {one['set']}",
        f"{one['particle'].capitalize()} showers, {one['voxels']} voxels with at least "
        f"{one['threshold_mev']:g} MeV each: mean of the measured over the incident energy, its "
        "relative standard deviation, and where they are known the depth of the maximum of the "
        "mean profile and the parts of the measured energy within radii in units of the Moliere "
        "radius. Errors are statistical.",
        columns,
        rows,
    )
