"""Numbers of an analysis for the report: each with its uncertainty and the method behind both."""

from collections.abc import Iterator, Mapping
from typing import Any

from fullchain.inference import wording
from fullchain.inference.collected import ASIMOV, DATA, Collected, Numbers
from fullchain.metrics import Metric

HESSIAN = "Hessian of the likelihood"
MINOS = "profile likelihood (MINOS), mean of both sides"
ASYMPTOTIC = "asymptotic: the significance has unit variance"
EXPECTED_BAND = "central 68 % of the expectation, half its width"
TOYS = "number of toys"
IMPACT = "half the difference of the impacts up and down"
POSTFIT = "postfit covariance"
NONE = "none: a limit"


def metrics(one: Collected) -> list[Metric]:
    """Give the metrics of an analysis."""
    return [
        *_strengths(one),
        *_tests(one),
        *_limits(one),
        *_toys(one),
        *_groups(one),
        *_yields(one),
    ]


def _strengths(one: Collected) -> Iterator[Metric]:
    for dataset in (DATA, ASIMOV):
        if dataset not in one.fit or (dataset == DATA and one.blind):
            continue
        row = one.parameter(one.poi, one.fit[dataset])
        suffix, words = ("", "") if dataset == DATA else ("_expected", ", expected")
        note = (
            f"fit to {wording.data_label(one, DATA)}"
            if dataset == DATA
            else "fit to the expectation for a signal strength of one"
        )
        if row["at_limit"]:
            note += "; ends at the limit of its range, where the uncertainty means little"
        name = f"{one.name}.{one.poi}{suffix}"
        label = f"{wording.spoken(one.name)}: signal strength{words}"
        yield Metric(name, row["value"], row["uncertainty"], HESSIAN, label, note=note)
        sides = _sides(row.get("minos"))
        if sides is not None:
            down, up = sides
            yield Metric(
                f"{name}_minos",
                row["value"],
                (down + up) / 2,
                MINOS,
                f"{label}, interval",
                note=f"{note}; −{down:.3g} +{up:.3g}",
            )


def _sides(minos: Any) -> tuple[float, float] | None:
    """Sizes of an interval down and up; None where an end is not known."""
    if minos is None or any(side is None for side in minos):
        return None
    down, up = minos
    return abs(float(down)), abs(float(up))


def _tests(one: Collected) -> Iterator[Metric]:
    for dataset, suffix, words in ((DATA, "", ""), (ASIMOV, "_expected", ", expected")):
        if dataset not in one.fit or (dataset == DATA and one.blind):
            continue
        found = one.fit[dataset]
        discovery = found.get("discovery")
        if discovery is not None:
            yield Metric(
                f"{one.name}.significance{suffix}",
                discovery["significance"],
                1.0,
                ASYMPTOTIC,
                f"{wording.spoken(one.name)}: discovery significance{words}",
                unit="sigma",
                note=f"one-sided p = {discovery['p_value']:.2g}",
            )
        quality = found.get("goodness_of_fit")
        if quality is not None and dataset == DATA:
            degrees = quality["degrees_of_freedom"]
            yield Metric(
                f"{one.name}.chi_squared",
                quality["chi_squared"],
                (2.0 * degrees) ** 0.5,
                "spread of chi-squared",
                f"{wording.spoken(one.name)}: goodness of fit, saturated model",
                note=f"{degrees} degrees of freedom, p = {quality['p_value']:.2g} from the "
                "chi-squared distribution",
            )


def _limits(one: Collected) -> Iterator[Metric]:
    if one.limits is None:
        return
    level = f"{100 * one.limits['level']:g} % CL upper limit"
    for row in one.limits["hypotheses"]:
        label = (
            f"{wording.spoken(one.name)}, {wording.hypothesis(row)}: {level} on the signal strength"
        )
        name = f"{one.name}.limit.{row['name']}"
        bands = row["expected"]
        if row.get("observed") is not None and not one.blind:
            yield Metric(
                f"{name}.observed", row["observed"], 0.0, NONE, label, limit="upper",
                note=f"CLs, asymptotic{section(row, row['observed'])}",
            )  # fmt: skip
        yield Metric(
            f"{name}.expected",
            bands[2],
            (bands[3] - bands[1]) / 2,
            EXPECTED_BAND,
            f"{label}, median expected",
            note=f"CLs, asymptotic; 68 %: {bands[1]:.3g} to {bands[3]:.3g}, "
            f"95 %: {bands[0]:.3g} to {bands[4]:.3g}{section(row, bands[2])}",
        )
        toys = row.get("toys")
        if toys:
            yield from _toy_limits(one, row, toys, name, label)


def _toy_limits(
    one: Collected, row: Numbers, toys: Numbers, name: str, label: str
) -> Iterator[Metric]:
    found = {"expected": (toys.get("expected") or [None] * 5)[2]}
    if not one.blind:
        found["observed"] = toys.get("observed")
    for kind, value in found.items():
        if isinstance(value, Mapping):
            yield Metric(
                f"{name}.{kind}_toys",
                value["value"],
                value["error"],
                TOYS,
                f"{label}, {'median expected' if kind == 'expected' else 'observed'}, toys",
                note=f"CLs with {toys['toys']} toys for each hypothesis and point"
                if "toys" in toys
                else None,
            )


def section(row: Numbers, strength: float) -> str:
    """Say a limit as a cross section where that of the hypothesis is known."""
    known = row.get("cross_section_pb")
    return "" if known is None else f"; {strength * known:.3g} pb"


def _toys(one: Collected) -> Iterator[Metric]:
    toys = one.toys or {}
    text = wording.spoken(one.name)
    goodness, covered, pull = (toys.get(kind) for kind in ("goodness", "coverage", "pull"))
    if goodness and not one.blind:
        yield Metric(
            f"{one.name}.goodness_p_value",
            goodness["p_value"],
            goodness["uncertainty"],
            TOYS,
            f"{text}: p-value of the goodness of fit, toys",
            note=f"{len(goodness['toys'])} toys of the best fit",
        )
    failed = f"; {toys['failed']} fits failed" if toys.get("failed") else ""
    if covered:
        yield Metric(
            f"{one.name}.coverage",
            100 * covered["fraction"],
            100 * covered["uncertainty"],
            TOYS,
            f"{text}: coverage of the 68.3 % interval",
            unit="%",
            note=f"{covered['covered']} of {covered['toys']} toys{failed}",
        )
    if pull:
        for quantity, expected in (("mean", "0"), ("width", "1")):
            yield Metric(
                f"{one.name}.pull_{quantity}",
                pull[quantity],
                pull[f"{quantity}_uncertainty"],
                TOYS,
                f"{text}: {quantity} of the pulls of {one.poi}",
                note=f"{len(pull['values'])} toys{failed}; expected {expected}",
            )


def _groups(one: Collected) -> Iterator[Metric]:
    if one.impacts is None:
        return
    for group, found in (one.impacts.get("groups") or {}).items():
        for kind, words in (("refit", "refit"), ("covariance", "covariance")):
            value = wording.size(found.get(kind))
            if value is None:
                continue
            up, down = wording.both(found[kind])
            spread = 0.0
            if up is not None and down is not None:
                spread = abs(abs(up) - abs(down)) / 2
            yield Metric(
                f"{one.name}.impact.{word(group)}.{kind}",
                value,
                spread,
                IMPACT,
                f"{wording.spoken(one.name)}: impact of {group} on {one.poi}, {words}",
                note=f"fit to {_fitted(one)}; not additive where groups are correlated",
            )
            # One kind is enough in a list of numbers; the table has both.
            break


def _fitted(one: Collected) -> str:
    asimov = (one.impacts or {}).get("dataset", one.dataset) == ASIMOV
    return wording.data_label(one, ASIMOV if asimov else DATA)


def word(text: str) -> str:
    """Make a name of letters, digits and _ of any text.

    Examples
    --------
    >>> word("MC statistics")
    'MC_statistics'
    """
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def total(found: Numbers) -> tuple[float, float, bool]:
    """Events of a process in a region, their uncertainty, and whether this is exact.

    Where only the uncertainties of bins are known, they are added up as if fully correlated.
    """
    value = float(sum(found["values"]))
    if found.get("sum_uncertainty") is not None:
        return float(found.get("sum", value)), float(found["sum_uncertainty"]), True
    return value, float(sum(found["uncertainties"])), False


def _yields(one: Collected) -> Iterator[Metric]:
    for region, content in one.result["regions"].items():
        for sample, found in content["postfit"]["samples"].items():
            value, uncertainty, exact = total(found)
            yield Metric(
                f"{one.name}.yield.{word(region)}.{word(sample)}",
                value,
                uncertainty,
                POSTFIT,
                f"{wording.spoken(one.name)}: {sample} in {region}, after the fit",
                unit="events",
                note=None if exact else "uncertainties of bins added up",
            )
