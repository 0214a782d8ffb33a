"""Numbers of events made with each response of the calorimeter, for metrics and tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry.downstream_words import QUANTITIES, response_words
from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]

SHOWN = {
    "ak8_response": "pT response",
    "ak8_resolution": "its width",
    "ak8_mass_response": "mass response",
    "ak8_photons": "photons in a jet",
    "met_resolution": "MET resolution [GeV]",
}
"""Columns of the table."""


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give each number of each response, and by how much it differs from the reference."""
    found: list[Metric] = []
    for one in contents:
        for name in one["responses"]:
            found += _of_response(one, name)
    return found


def _of_response(one: Content, name: str) -> Iterator[Metric]:
    found, reference = one["responses"][name], response_words(one["reference"])
    key = f"downstream.{one['sample']}.{name}"
    who = f"{response_words(name)}, {one['sample']}"
    for quantity, (words, unit) in QUANTITIES.items():
        value, error = found["numbers"][quantity]
        yield Metric(f"{key}.{quantity}", value, error, "bootstrap", f"{words}; {who}", unit=unit)
        if quantity in found["difference"]:
            value, error = found["difference"][quantity]
            yield Metric(
                f"{key}.{quantity}.difference", value, error, "bootstrap of the same events",
                f"{words}; {who}, less {reference}", unit=unit,
                note=f"{one['events']} events, the same for all responses",
            )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table for each sample: numbers beside each other, with the time per event."""
    return [_table(one) for one in contents]


def _table(one: Content) -> Table:
    rows = []
    for name, found in one["responses"].items():
        showers = found["showers"]
        number = showers["particles"].get("showered", 0) / one["events"] if showers else 0
        rows.append(
            [
                response_words(name),
                *(Number(*found["numbers"][quantity]) for quantity in SHOWN),
                Number(*found["time"]["ms_per_event"]),
                Number(number, None, 0) if showers else None,
            ]
        )
    return Table(
        f"downstream_{one['sample']}",
        f"Events of {one['sample']} with each response of the electromagnetic calorimeter",
        f"{one['events']} events, the same for all responses, without pile-up; AK8 jets. Errors "
        "are from the bootstrap over events and common to the rows in large part; differences are "
        "in the metrics. The time is that of the whole detector on one CPU core, with its error "
        "over blocks of events.",
        ["response", *SHOWN.values(), "time [ms/event]", "showers per event"],
        rows,
    )
