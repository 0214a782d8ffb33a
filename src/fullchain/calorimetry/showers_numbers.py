"""Numbers of sets of showers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry.shower_physics_numbers import fit_words, quantities
from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics: resolution, response, and where they are known maximum and containment."""
    return [metric for one in contents for metric in _metrics(one)]


def _metrics(one: Content) -> Iterator[Metric]:
    physics = one["physics"]
    chosen = None if one["detector"] is None else one["detector"]["resolution"]
    for own in quantities(physics):
        note = None
        if own.name in ("stochastic", "constant"):
            note = fit_words(physics)
        if own.name == "stochastic" and chosen:
            note = f"{100 * chosen:g} % is set for the calorimeter; {note}"
        yield Metric(
            f"showers.{one['set']}.{own.name}", own.value, own.error, own.kind,
            f"showers {one['set']}: {own.words}", own.unit, note=note,
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
