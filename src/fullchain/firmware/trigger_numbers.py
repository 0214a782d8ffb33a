"""Numbers of triggers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.firmware.implementation_names import FLOAT
from fullchain.firmware.trigger_settings import PT_TRIGGER
from fullchain.firmware.trigger_words import (
    IMPLEMENTATIONS,
    judgement,
    name_of,
    rows_of,
    target_words,
)
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

COUNTED = "bootstrap"


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics: area and efficiency of each trigger, and what rounding does to it.

    Efficiencies are those at the middle one of the background rates; tables have all.
    """
    found = []
    for number, one in enumerate(contents):
        for trigger in one["triggers"]:
            if trigger != PT_TRIGGER or number == 0:
                found += list(_of(one, trigger))
    return found


def _of(one: Content, trigger: str) -> Iterator[Metric]:
    entry = one["triggers"][trigger]
    judged = judgement(entry)
    key = (
        f"trigger.{PT_TRIGGER}"
        if trigger == PT_TRIGGER
        else f"trigger.{one['model']}.{one['point']}.{trigger}"
    )
    text = f"{name_of(one, trigger)}: "
    middle = len(judged["points"]) // 2
    point = judged["points"][middle]
    at = target_words(one, point["fraction"])
    for signal, (value, error) in judged["areas"].items():
        yield Metric(f"{key}.{signal}.auc", value, error, COUNTED, f"{text}AUC of {signal} events")
    for signal, of_signal in point["signals"].items():
        error, kind = _error(of_signal)
        yield Metric(
            f"{key}.{signal}.efficiency", of_signal["value"], error, kind,
            f"{text}efficiency for {signal} events at {at}",
            note=f"{point['background']['passed']} of {point['background']['events']} background "
            "events pass; thresholds are found anew in each bootstrap sample",
        )  # fmt: skip
    for other, compared in entry["quantised_less"].items():
        for row in compared:
            if row["fraction"] == point["fraction"]:
                value, error = row["difference"]
                exact = value == 0 and error == 0
                if exact and other != FLOAT:
                    # Outputs are equal: `performance` counts the vectors that differ.
                    continue
                yield Metric(
                    f"{key}.{row['signal']}.less_{other}", value, error,
                    "count" if exact else COUNTED,
                    f"{text}efficiency for {row['signal']} events at {at}, quantised less "
                    f"{IMPLEMENTATIONS.get(other, other)}",
                    note="same events, each with its own threshold",
                )  # fmt: skip


def _error(signal: Content) -> tuple[float, str]:
    """Give the error of an efficiency, and its kind.

    Where all or none pass they do so in each bootstrap sample too, whose deviation of 0 says
    nothing: the interval of Clopper and Pearson, which ends at the value, is taken.
    """
    if signal["deviation"] > 0:
        return signal["deviation"], COUNTED
    return signal["high"] - signal["low"], "binomial, 68 %"


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table of efficiencies for each background rate, and one of thresholds."""
    if not contents:
        return []
    number = len(judgement(contents[0]["triggers"][PT_TRIGGER])["points"])
    return [*(_efficiencies(contents, place) for place in range(number)), _thresholds(contents)]


def _efficiencies(contents: Sequence[Content], place: int) -> Table:
    first = contents[0]
    signals = list(first["signals"])
    fraction = judgement(first["triggers"][PT_TRIGGER])["points"][place]["fraction"]
    rows: list[list[Cell]] = []
    for one, trigger in rows_of(contents):
        point = judgement(one["triggers"][trigger])["points"][place]
        cells: list[Cell] = [_percent(point["signals"][signal]) for signal in signals]
        rows.append([name_of(one, trigger), _part(point["background"]), *cells])
    return Table(
        f"trigger_efficiency_{place + 1}",
        f"Trigger efficiencies at {target_words(first, fraction)}",
        "Part of the events with a jet in the window that each trigger keeps [%], fixed-point "
        "networks; errors are from a bootstrap over events of background and signals, with "
        "thresholds found anew; where all or none pass, the length of the interval of Clopper and "
        "Pearson (68 %). The background that passes is as near to the wanted part as the "
        "values of the score allow, and never more; its error is half of the interval of Clopper "
        "and Pearson.",
        ["trigger", "background", *signals],
        rows,
    )


def _thresholds(contents: Sequence[Content]) -> Table:
    rates = contents[0]["background"]["rate"] is not None
    columns = ["trigger", "wanted [%]", "threshold", "passing", "of", "next lower threshold [%]"]
    rows: list[list[Cell]] = []
    for one, trigger in rows_of(contents):
        for point in judgement(one["triggers"][trigger])["points"]:
            background = point["background"]
            threshold = point["threshold"]
            row: list[Cell] = [
                name_of(one, trigger),
                f"{100 * point['fraction']:.4g}",
                "none" if threshold is None else f"{threshold:.6g}",
                str(background["passed"]),
                str(background["events"]),
                f"{100 * point['looser']:.4g}",
            ]
            if rates:
                rate = one["background"]["rate"]
                row.append(Number(rate * background["value"], rate * _half(background)))
            rows.append(row)
    luminosity = contents[0]["settings"]["luminosity"]
    caption = (
        "Thresholds of the scores, events score >= threshold, and the background events of the "
        "test part that pass. Thresholds are values that the score takes; at the next lower one "
        "the given part of the background would pass."
    )
    if rates:
        columns.append("rate [Hz]")
        caption += (
            f" Rates are those of the generated phase space with a jet in the window, at "
            f"{luminosity:.3g} cm^-2 s^-1 and leading-order cross sections."
        )
    return Table("trigger_thresholds", "Thresholds of triggers", caption, columns, rows)


def _percent(signal: Content) -> Number:
    return Number(100 * signal["value"], 100 * _error(signal)[0])


def _part(background: Content) -> Number:
    return Number(100 * background["value"], 100 * _half(background))


def _half(background: Content) -> float:
    return 0.5 * (float(background["high"]) - float(background["low"]))
