"""The tables of a HEPData record of an analysis, with what is said of each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fullchain.hepdata_columns import Axis, bins, header, matrices, number
from fullchain.hepdata_submission import Document
from fullchain.inference import wording
from fullchain.inference.collected import Collected, Numbers
from fullchain.inference.presentation_settings import PublicationSettings

TOTAL = "total"

Qualifiers = Sequence[Mapping[str, Any]]


def documents(one: Collected, chosen: PublicationSettings) -> tuple[Document, ...]:
    """Give the tables: regions, parameters, their correlation, impacts and limits."""
    notes = " " + wording.sentence(one)
    qualifiers: list[dict[str, Any]] = [
        {"name": "SQRT(S)", "value": chosen.energy, "units": "GeV"},
        {"name": "Analysis", "value": one.name},
    ]
    if one.fit.get("luminosity") is not None:
        luminosity = {"value": one.fit["luminosity"], "units": "fb$^{-1}$"}
        qualifiers.append({"name": "Luminosity", **luminosity})
    found = []
    for region in one.result["regions"]:
        for when, words in (("prefit", "before the fit"), ("postfit", "after the fit")):
            found.append(
                Document(
                    f"{region} {when}",
                    f"Events per bin of the region {region} {words}: each process and their sum "
                    "with the total uncertainty"
                    f"{'' if one.blind else ', and the data'}.{notes}",
                    _region(one, region, when, qualifiers),
                )
            )
    found += [
        Document(
            "parameters",
            "Parameters after the fit, with the uncertainty of the Hessian and, where it was "
            "asked for, the interval of the profile likelihood (MINOS). Pull and constraint are "
            f"in units of the uncertainty before the fit.{notes}",
            _parameters(one, qualifiers),
        ),
        Document(
            "correlations",
            f"Correlation coefficients of all parameters after the fit.{notes}",
            _correlations(one, qualifiers),
        ),
    ]
    if one.impacts is not None:
        found.append(
            Document(
                "impacts",
                f"Shift of {one.poi} when a parameter is held one standard deviation above or "
                "below its best fit: plus and minus by refit, and to first order from the "
                f"covariance.{notes}",
                _impacts(one.impacts, qualifiers),
            )
        )
        if one.impacts.get("groups"):
            found.append(
                Document(
                    "groups of uncertainties",
                    f"What the uncertainty of {one.poi} loses, in quadrature, when a group of "
                    "parameters is held at its best fit; statistical is what is left with all "
                    f"constrained parameters held.{notes}",
                    _groups(one.impacts, qualifiers),
                )
            )
    if one.limits is not None and one.limits["hypotheses"]:
        level = 100 * one.limits["level"]
        found.append(
            Document(
                "limits",
                f"Upper limits at {level:g} % confidence level (CLs, asymptotic formulae): "
                f"{'' if one.blind else 'observed, and '}expected without a signal, median and "
                f"the ends of the central 68 and 95 %.{notes}",
                _limits(one, one.limits, qualifiers),
            )
        )
    return tuple(found)


def _column(
    name: str, values: Sequence[Any], qualifiers: Qualifiers, unit: str = ""
) -> dict[str, Any]:
    return {**header(name, unit), "qualifiers": list(qualifiers), "values": list(values)}


def _value(value: float | None, error: float | None = None, label: str = "total") -> dict[str, Any]:
    """A cell; `-` where nothing is known, as HEPData writes it."""
    if value is None:
        return {"value": "-"}
    cell: dict[str, Any] = {"value": number(value)}
    # HEPData refuses a value whose errors are all zero.
    if error:
        cell["errors"] = [{"symerror": number(error), "label": label}]
    return cell


def _sides(value: float, up: float | None, down: float | None, label: str) -> dict[str, Any]:
    if not up and not down:
        return _value(value)
    sides = {"plus": number(up or 0.0), "minus": number(down or 0.0)}
    return {"value": number(value), "errors": [{"asymerror": sides, "label": label}]}


def _region(one: Collected, region: str, when: str, qualifiers: Qualifiers) -> dict[str, Any]:
    content = one.result["regions"][region]
    name, unit = wording.observable(one, region)
    columns = []
    if not one.blind:
        columns.append(_column("Data", [_value(x) for x in content["observed"]], qualifiers))
    samples = content[when]["samples"]
    for sample in [TOTAL, *(sample for sample in samples if sample != TOTAL)]:
        found = samples[sample]
        values = [
            _value(value, error)
            for value, error in zip(found["values"], found["uncertainties"], strict=True)
        ]
        columns.append(_column(f"Events, {sample}", values, qualifiers))
    return {
        "independent_variables": [bins(np.array(content["edges"]), Axis(name, unit))],
        "dependent_variables": columns,
    }


def _parameters(one: Collected, qualifiers: Qualifiers) -> dict[str, Any]:
    rows = one.result["parameters"]
    fitted = []
    for row in rows:
        cell = _value(row["value"], row["uncertainty"], "Hessian")
        minos = row.get("minos")
        if minos is not None and None not in minos:
            sides = {"plus": number(abs(minos[1])), "minus": number(-abs(minos[0]))}
            cell.setdefault("errors", []).append({"asymerror": sides, "label": "MINOS"})
        fitted.append(cell)
    columns = [_column("Value", fitted, qualifiers)]
    for name, key in (("Pull", "pull"), ("Constraint", "constraint")):
        columns.append(_column(name, [_value(row[key]) for row in rows], qualifiers))
    return {"independent_variables": [_names(rows)], "dependent_variables": columns}


def _names(rows: Sequence[Numbers], head: str = "Parameter") -> dict[str, Any]:
    return {**header(head), "values": [{"value": row["name"]} for row in rows]}


def _correlations(one: Collected, qualifiers: Qualifiers) -> dict[str, Any]:
    names = [row["name"] for row in one.result["parameters"]]
    first, second = np.repeat(names, len(names)), np.tile(names, len(names))
    return {
        "independent_variables": [
            {**header(head), "values": [{"value": str(name)} for name in column]}
            for head, column in (("First parameter", first), ("Second parameter", second))
        ],
        "dependent_variables": matrices(
            {"Correlation": np.array(one.result["correlation"])}, qualifiers
        ),
    }


def _impacts(impacts: Numbers, qualifiers: Qualifiers) -> dict[str, Any]:
    rows = wording.ranked(impacts, len(impacts["parameters"]))
    columns = []
    for kind, words in (("refit", "refit"), ("covariance", "covariance")):
        for side, place in (("up", 0), ("down", 1)):
            values = [_value(wording.both(row.get(kind))[place]) for row in rows]
            columns.append(_column(f"Impact {side}, {words}", values, qualifiers))
    groups = [{"value": row.get("group") or "-"} for row in rows]
    return {
        "independent_variables": [_names(rows), {**header("Group"), "values": groups}],
        "dependent_variables": columns,
    }


def _groups(impacts: Numbers, qualifiers: Qualifiers) -> dict[str, Any]:
    groups = impacts["groups"]
    columns = []
    for kind in ("refit", "covariance"):
        values = []
        for group in groups.values():
            values.append(_value(wording.size(group.get(kind))))
        columns.append(_column(f"Impact, {kind}", values, qualifiers))
    names = [{"name": name} for name in groups]
    return {"independent_variables": [_names(names, "Group")], "dependent_variables": columns}


def _limits(one: Collected, limits: Numbers, qualifiers: Qualifiers) -> dict[str, Any]:
    rows = wording.by_mass(limits)
    masses = all(row.get("mass") is not None for row in rows)
    independent = (
        {**header("Mass", "GeV"), "values": [{"value": number(row["mass"])} for row in rows]}
        if masses
        else _names(rows, "Hypothesis")
    )
    columns = []
    scales: dict[str, tuple[str, list[float]]] = {
        f"Limit on {limits['poi']}": ("", [1.0] * len(rows))
    }
    if all(row.get("cross_section_pb") is not None for row in rows):
        scales["Limit on the cross section"] = ("PB", [row["cross_section_pb"] for row in rows])
    for name, (unit, scale) in scales.items():
        if not one.blind:
            seen = [
                _value(None if row.get("observed") is None else row["observed"] * factor)
                for row, factor in zip(rows, scale, strict=True)
            ]
            columns.append(_column(f"{name}, observed", seen, qualifiers, unit))
        columns.append(_column(f"{name}, expected", _bands(rows, scale), qualifiers, unit))
    return {"independent_variables": [independent], "dependent_variables": columns}


def _bands(rows: Sequence[Numbers], scale: Sequence[float]) -> list[dict[str, Any]]:
    found = []
    for row, factor in zip(rows, scale, strict=True):
        low, below, middle, above, high = (factor * value for value in row["expected"])
        cell = _sides(middle, above - middle, below - middle, "1 sigma")
        cell["errors"] += _sides(middle, high - middle, low - middle, "2 sigma")["errors"]
        found.append(cell)
    return found
