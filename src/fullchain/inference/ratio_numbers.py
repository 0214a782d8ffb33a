"""Numbers of learned likelihood ratios for the metrics and tables of the stage."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]

WORDS = {
    "exact": "exact densities",
    "cross_entropy": "cross-entropy, calibrated",
    "cross_entropy_raw": "cross-entropy as learned",
    "mlc": "MLC, calibrated",
    "mlc_raw": "MLC as learned",
    "binned": "bins of the score",
}


def metrics(content: Sequence[Content]) -> list[Metric]:
    """Give the metrics."""
    found: list[Metric] = []
    for one in content:
        found += _ratios(one)
        for number, experiment in enumerate(one["experiments"]):
            found += _expected(experiment, number)
            found += _fits(one, experiment, number)
    return found


def _ratios(one: Content) -> Iterator[Metric]:
    for loss, report in one["losses"].items():
        for when in ("before", "after"):
            key, text = f"ratio.{loss}.{when}", f"{WORDS[loss].split(',')[0]}, {when} calibration: "
            numbers = report[when]
            mean, error = numbers["signal"]["mean_ratio"]
            yield Metric(
                f"{key}.mean_ratio", mean, error, "counting",
                f"{text}mean signal ratio over nominal background", note="1 for a right ratio",
            )  # fmt: skip
            found = numbers["signal"]["reliability"]
            bins = len(found["learned"])
            yield Metric(
                f"{key}.chi_squared", found["chi_squared"], math.sqrt(2 * bins),
                "spread of chi-squared", f"{text}observed against learned signal ratio",
                note=f"{bins} bins; errors of the tested events alone",
            )  # fmt: skip
            for of, words in (
                ("signal_events", "signal ratio, signal events"),
                ("background_events", "signal ratio, background events where it is above 0.01"),
                ("nuisance", "nuisance ratio, background events"),
            ):
                if "exact" in numbers:
                    root, deviation = numbers["exact"][of]["rms"]
                    yield Metric(
                        f"{key}.rms.{of}", root, deviation, "counting",
                        f"{text}root mean square error of the log {words}",
                    )  # fmt: skip


def _expected(experiment: Content, number: int) -> Iterator[Metric]:
    words = {"exact": "exact densities, integrated", "binned": "templates of the score"}
    for name, found in experiment["expected"].items():
        yield Metric(
            f"ratio.fit{number}.{name}.bound", found["signal"], 0.0,
            "none: an integral" if name == "exact" else "none: of these templates",
            f"bound on the uncertainty of s by information, {words[name]}, nuisance parameter "
            f"{experiment['nuisance']:g}", unit="events",
            note=f"without the nuisance parameter {found['without_nuisance']:.2f}",
        )  # fmt: skip


def _fits(one: Content, experiment: Content, number: int) -> Iterator[Metric]:
    true = f"nuisance parameter {experiment['nuisance']:g}"
    for name, found in experiment["methods"].items():
        key, text = f"ratio.fit{number}.{name}", f"{WORDS[name]}, {true}: "
        for quantity, words, unit, note in (
            ("uncertainty", "mean uncertainty of s", "events", None),
            ("bias", "mean of fitted s, less the truth", "events", None),
            ("pull_mean", "mean pull of s", "", None),
            ("pull_width", "width of the pulls of s", "", None),
            ("coverage", "part inside the 68.3 % interval", "", "expected 0.683"),
        ):
            value, error = found[quantity]
            yield Metric(
                f"{key}.{quantity}", value, error, "pseudo-experiments", text + words, unit=unit,
                note=note,
            )  # fmt: skip
        if "shift" in found and name != "exact":
            value, error = found["shift"]
            extra = experiment["members"].get(name, {}).get("shift_error_of_mean", 0.0)
            kind = "pseudo-experiments"
            yield Metric(
                f"{key}.shift", value, math.hypot(error, extra),
                f"{kind} and spread of networks" if extra else kind,
                f"{text}mean of fitted s, less the fit with exact densities", unit="events",
                note="same pseudo-experiments",
            )  # fmt: skip


def tables(content: Sequence[Content]) -> list[Table]:
    """Give the tables: all methods beside each other, for each true nuisance parameter."""
    found = []
    several = len(content) > 1
    for place, one in enumerate(content):
        for number, experiment in enumerate(one["experiments"]):
            name = f"ratio_fits_{place}_{number}" if several else f"ratio_fits_{number}"
            found.append(_table(one, experiment, name))
    return found


def _table(one: Content, experiment: Content, name: str) -> Table:
    expected = experiment["expected"]
    quantities = ("uncertainty", "spread", "bias", "pull_mean", "pull_width", "coverage")
    rows = []
    for method, found in experiment["methods"].items():
        bound = expected.get(method)
        rows.append(
            [
                WORDS[method],
                None if bound is None else Number(bound["signal"], None, 2),
                *(Number(*found[quantity]) for quantity in quantities),
            ]
        )
    first = next(iter(experiment["methods"].values()))
    model = one["settings"]["model"]
    return Table(
        name,
        f"Unbinned and binned fits, true nuisance parameter {experiment['nuisance']:g}",
        f"Fits of the signal yield in {first['sets']} pseudo-experiments, the same ones for all "
        f"methods, with {model['signal']:g} signal and {model['background']:g} background events "
        "expected and one constrained nuisance parameter. Errors are statistical; training and "
        "calibration add theirs to the bias of learned ratios. The bound is by information.",
        ["method", "bound on $\\sigma_s$", "mean $\\sigma_s$", "spread of $s$", "bias of $s$",
         "mean pull", "width of pulls", "coverage"],
        rows,
        [place for place, method in enumerate(experiment["methods"]) if method in one["losses"]],
    )  # fmt: skip
