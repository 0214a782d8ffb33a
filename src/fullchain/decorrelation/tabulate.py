"""Collect the numbers of all decorrelated classifiers, beside those of their taggers."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from fullchain.decorrelation import published, spurious_signal
from fullchain.decorrelation.measurement import measurement
from fullchain.metrics import Metric, write_metrics
from fullchain.step import Given, Input, Output

Numbers = dict[str, Any]

ROUGH = "half of the 68 % interval of a bootstrap"

UNDESCRIBED = "!: background not described"
"""Mark in the table of fits whose quoted order does not describe the expected background."""


def main(
    *,
    performance: Annotated[
        list[Path], Input("performance.json of each tagger and of each variant")
    ],
    metrics: Annotated[Path, Output("numbers of all classifiers, metrics.json")],
    settings: Given,
) -> None:
    """Read the performance of each classifier, write the table."""
    measured = [measurement(path) for path in performance]
    references = {one["tagger"]: one for one in measured if one["classifier"] is None}
    rows: list[Metric] = []
    for one in measured:
        rows += classifier_metrics(one)
        reference = references.get(one["tagger"])
        if one["classifier"] is not None and reference is not None:
            rows += gain_metrics(one, reference)
    write_metrics(metrics, "decorrelation", [row for row in rows if math.isfinite(row.uncertainty)])


def classifier_metrics(one: Numbers) -> list[Metric]:
    """Give the metrics of one classifier from the content of its performance.json.

    Those of sculpting and of fits are of the main working point; the file has the others.
    """
    name = one["name"]
    area = one["auc"]
    rows = [
        Metric(f"{name}.auc", area["value"], area["deviation"], "bootstrap", f"{name}: AUC"),
        *_rejections(name, one),
    ]
    for column, entries in one["sculpting"].items():
        for entry in entries:
            if entry["jsd"] is not None:
                rows += _sculpting(name, column, entry, one)
    rows += _seeds(name, one)
    if one["mass_fit"] is not None:
        entry = _at(one["mass_fit"]["points"], one["signal_efficiency"])
        rows += _fit(name, one["mass_fit"], entry)
    part = "test part" if one["folds"] == 1 else "folds"
    rows += [
        Metric(
            f"{name}.{label}_jets",
            number,
            0.0,
            "exact count",
            f"{name}: {label} jets of the {part} in the window",
            unit="jets",
        )
        for label, number in one["jets"].items()
    ]
    return rows


def _percent(point: float) -> str:
    return f"{100 * point:g}"


def beside(one: Numbers) -> published.Published | None:
    """The published point of the same method and strength; None where there is none."""
    method = one["method"]
    for point in published.points(one):
        mine = method is None and point.strength is None
        if method is not None and method["kind"] == "mode" and method["order"] == 0:
            mine = point.strength is not None and point.strength == one["strength"]
        if mine:
            return point
    return None


def _rejections(name: str, one: Numbers) -> Iterator[Metric]:
    reference = beside(one)
    for point in one["working_points"]:
        efficiency, found = point["signal_efficiency"], point["rejection"]
        percent = _percent(efficiency)
        value = reference.rejection if reference and efficiency == 0.5 else None
        yield Metric(
            f"{name}.rejection_{percent}",
            found["value"],
            found["uncertainty"],
            "bootstrap",
            f"{name}: 1/background efficiency at {percent} % signal",
            published=value,
            source=None if value is None else published.SOURCE,
            note=None if value is None else published.NOTE,
            limit="lower" if found["is_limit"] else None,
        )


def _sculpting(name: str, column: str, entry: Numbers, one: Numbers) -> Iterator[Metric]:
    percent = _percent(entry["signal_efficiency"])
    where = f"at {percent} % signal"
    key = f"{name}.{column}"
    raw, corrected, flat = entry["inverse"], entry["inverse_corrected"], entry["flatness"]
    floor = entry["inverse_floor"]
    reference = beside(one) if column == one["against"][0] else None
    note = (
        f"random cuts that pass as many jets ({entry['passing']} of {entry['jets']}) give "
        f"{floor['value']:.3g}, 68 % of them {floor['low']:.3g} to {floor['high']:.3g}"
    )
    value = None
    if reference is not None and entry["signal_efficiency"] == 0.5:
        low, high = reference.inverse
        value = low if low == high else None
        stated = "" if low == high else f"; published {low:g} to {high:g} ({published.SOURCE})"
        note = f"{note}{stated}; {published.NOTE}"
    yield Metric(
        f"{key}.inverse_jsd_{percent}",
        raw["value"],
        raw["uncertainty"],
        "bootstrap",
        f"{name}: 1/JSD of the background {column} {where}",
        unit="1/bit",
        published=value,
        source=None if value is None else published.SOURCE,
        note=note,
    )
    if entry["signal_efficiency"] != one["signal_efficiency"]:
        return
    limit = corrected["is_limit"]
    yield Metric(
        f"{key}.inverse_jsd_corrected_{percent}",
        corrected["value"],
        0.0 if limit else corrected["uncertainty"],
        "bootstrap",
        f"{name}: 1/(JSD of the background {column} less that of random cuts) {where}",
        unit="1/bit",
        note="limit at 95 % CL: as many random cuts as one in twenty sculpt as much"
        if limit
        else None,
        limit="lower" if limit else None,
    )
    largest = entry["largest_deviation"]
    yield Metric(
        f"{key}.largest_deviation_{percent}",
        largest["value"],
        largest["deviation"],
        "bootstrap",
        f"{name}: largest relative deviation of the background efficiency over {column} {where}",
        note=f"random cuts give {largest['floor']:.2g} ± {largest['floor_deviation']:.2g}",
    )
    yield Metric(
        f"{key}.flatness_{percent}",
        flat["chi_squared"],
        math.sqrt(2 * flat["degrees_of_freedom"]),
        "spread of chi-squared",
        f"{name}: chi-squared of a background efficiency that is flat in {column} {where}",
        note=f"{flat['degrees_of_freedom']} degrees of freedom, p = {flat['p_value']:.2g}",
    )


def _seeds(name: str, one: Numbers) -> Iterator[Metric]:
    """Mean and spread of the single trainings that the score is the mean of."""
    seeds = one["seeds"]
    if seeds is None:
        return
    text = f"mean of {seeds['number']} single trainings"
    main = one["signal_efficiency"]
    for entry in seeds["rejection"]:
        if entry["values"] is not None and entry["signal_efficiency"] == main:
            percent = _percent(entry["signal_efficiency"])
            yield Metric(
                f"{name}.rejection_{percent}_single",
                entry["mean"],
                entry["deviation"],
                "seeds",
                f"{name}: 1/background efficiency at {percent} % signal, {text}",
            )
    for column, entries in seeds["jsd"].items():
        for entry in entries:
            if entry["values"] is None or entry["signal_efficiency"] != main:
                continue
            percent = _percent(entry["signal_efficiency"])
            inverse = [1.0 / value for value in entry["values"]]
            mean = sum(inverse) / len(inverse)
            square = sum((value - mean) ** 2 for value in inverse) / (len(inverse) - 1)
            yield Metric(
                f"{name}.{column}.inverse_jsd_{percent}_single",
                mean,
                math.sqrt(square),
                "seeds",
                f"{name}: 1/JSD of the background {column} at {percent} % signal, {text}",
                unit="1/bit",
            )


def _fit(name: str, fit: Numbers, entry: Numbers) -> Iterator[Metric]:
    if entry["orders"] is None:
        return
    percent = _percent(entry["signal_efficiency"])
    luminosity = fit["luminosity"]
    data = "the given yields" if luminosity is None else f"{luminosity:g}/fb"
    at = f"{fit['mass']} fit at {percent} % signal"
    order, problem = entry["order"], spurious_signal.complaint(entry)
    for one in {0: entry["orders"][0], order: spurious_signal.quoted(entry)}.values():
        suffix, how = f"{percent}_flat", f"transfer factor of order {one['order']}; {data}"
        where = at
        if one["order"] == order:
            suffix = percent
            if problem is not None:
                how, where = f"{how}; {problem}", f"{at} ({UNDESCRIBED})"
        for quantity, words in (
            ("mu_uncertainty", "expected uncertainty of the signal strength"),
            ("significance", "expected significance"),
            ("total", "uncertainty of the signal strength with the spurious signal"),
        ):
            yield Metric(
                f"{name}.fit.{quantity}_{suffix}",
                one[quantity]["value"],
                one[quantity]["deviation"],
                ROUGH,
                f"{name}: {words}, {where}",
                unit="sigma" if quantity == "significance" else "",
                note=how,
            )
        yield from _spurious(f"{name}.fit.spurious", suffix, one, f"{name}: {{}}, {where}", how)
    if entry["seeds"] is not None:
        for quantity, words in (
            ("mu_uncertainty", "expected uncertainty of the signal strength"),
            ("significance", "expected significance"),
        ):
            value = entry["seeds"][quantity]
            yield Metric(
                f"{name}.fit.{quantity}_{percent}_single",
                value["mean"],
                value["deviation"],
                "seeds",
                f"{name}: {words}, {at}, mean of single trainings",
                note=problem,
            )


def _spurious(stem: str, suffix: str, one: Numbers, label: str, how: str) -> Iterator[Metric]:
    toys = one["toys"]
    for quantity, words, unit in (
        ("mu", "mean signal strength of background-only toys", ""),
        ("pull", "mean pull of the signal strength of background-only toys", "sigma"),
    ):
        found = spurious_signal.found_by_toys(one, quantity)
        if found is None:
            continue
        yield Metric(
            f"{stem}_{quantity}_{suffix}",
            found["value"],
            found["deviation"],
            "toys and bootstrap",
            label.format(words),
            unit=unit,
            note=f"{how}; {toys['number']} toys, {toys['failed']} more did not converge; "
            f"uncertainty: {found['of_toys']:.2g} of the mean of the toys, "
            f"{found['of_events']:.2g} of the expected background by the bootstrap over events, in "
            "quadrature",
        )


def gain_metrics(one: Numbers, reference: Numbers) -> Iterator[Metric]:
    """What a classifier keeps of the rejection of its tagger, and gains in 1/JSD."""
    efficiency = one["signal_efficiency"]
    percent = _percent(efficiency)
    note = "uncertainties added in quadrature, though both are of the same jets"
    both = [_at(two["working_points"], efficiency)["rejection"] for two in (one, reference)]
    if not any(found["is_limit"] for found in both):
        yield _ratio(
            f"{one['name']}.rejection_kept_{percent}",
            both,
            f"{one['name']}: 1/background efficiency at {percent} % signal over that of "
            f"{one['tagger']}",
            note,
        )
    for column in one["sculpting"]:
        entries = [_at(two["sculpting"].get(column, []), efficiency) for two in (one, reference)]
        if any(not entry or entry["jsd"] is None for entry in entries):
            continue
        yield _ratio(
            f"{one['name']}.{column}.inverse_jsd_gain_{percent}",
            [entry["inverse"] for entry in entries],
            f"{one['name']}: 1/JSD of the background {column} at {percent} % signal over that of "
            f"{one['tagger']}",
            f"{note}; not corrected for the floor",
        )
        gain = _corrected_gain(one, column, [entry["inverse_corrected"] for entry in entries], note)
        if gain is not None:
            yield gain


def _corrected_gain(
    one: Numbers, column: str, both: list[Mapping[str, float]], note: str
) -> Metric | None:
    """Gain in 1/JSD less the floor; a limit where the classifier's is one, None where the tagger's.

    Over a limit of the tagger there is no gain: it would be neither a value nor a bound.
    """
    if both[1]["is_limit"]:
        return None
    percent = _percent(one["signal_efficiency"])
    name = f"{one['name']}.{column}.inverse_jsd_corrected_gain_{percent}"
    label = (
        f"{one['name']}: 1/(JSD of the background {column} less that of random cuts) at "
        f"{percent} % signal over that of {one['tagger']}"
    )
    if not both[0]["is_limit"]:
        return _ratio(name, both, label, note)
    value = both[0]["value"] / both[1]["value"]
    note = (
        "limit at 95 % CL: as many random cuts as one in twenty sculpt as much; the tagger has "
        f"{both[1]['value']:.3g} ± {both[1]['uncertainty']:.2g}, whose uncertainty is left out"
    )
    return Metric(name, value, 0.0, "bootstrap", label, note=note, limit="lower")


def _at(entries: list[Numbers], efficiency: float) -> Numbers:
    return next((one for one in entries if one["signal_efficiency"] == efficiency), {})


def _ratio(name: str, both: list[Mapping[str, float]], label: str, note: str) -> Metric:
    value = both[0]["value"] / both[1]["value"]
    relative = math.hypot(*(one["uncertainty"] / one["value"] for one in both))
    return Metric(name, value, value * relative, "bootstrap", label, note=note)
