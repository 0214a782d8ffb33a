"""Tables of methods beside each other: discriminators, tests of the result, coverage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from fullchain.stage_tables import Cell, Number, Table
from fullchain.unfolding import coverage_sizes, published

Numbers = Mapping[str, Any]

CONTROL_QUANTILES = ("0.001", "0.01", "0.99", "0.999")
"""Those that the table of the control shows, as its record names them."""

TESTS = ("closure", "stressed", "swap", "measurement")


def tables(measured: Sequence[Numbers], covered: Sequence[Numbers]) -> list[Table]:
    """Give all tables.

    Parameters
    ----------
    measured
        Content of performance.json of each method of each measurement.
    covered
        Content of coverage.json of each method.
    """
    found = []
    for name in dict.fromkeys(one["measurement"] for one in measured):
        several = [one for one in measured if one["measurement"] == name]
        if all(_has_truth(one) for one in several):
            found.append(discriminators(several))
    if measured:
        found.append(tests(measured))
    if any(one["diagnosis"].get("control") for one in measured):
        found.append(control(measured))
    if covered:
        found.append(coverage(covered))
    return found


def discriminators(several: Sequence[Numbers]) -> Table:
    """Triangular discriminators of all methods of a measurement, and the published ones."""
    first = several[0]
    names = list(first["observables"])
    rows: list[list[Cell]] = []
    for one in several:
        found = [one["observables"][name]["metric"]["triangular"] for name in names]
        rows.append([one["method"], *(_number(entry["method"]) for entry in found), "ours"])
    prior = [first["observables"][name]["metric"]["triangular"]["prior"] for name in names]
    rows.append(["prior", *map(_number, prior), "ours, not unfolded"])
    rows += [_noise(one, names) for one in several]
    marked = list(range(len(several)))
    beside = first["kind"] not in ("closure", "stressed") and set(names) & set(
        published.OBSERVABLES
    )
    if beside:
        for title, known in published.VALUES.items():
            cells = [Number(known[name], None, 2) if name in known else "–" for name in names]
            rows.append([f"{title}, published", *cells, published.SOURCE])
    note = f" Published: {published.NOTE}." if beside else ""
    sizes = first["sizes"]
    return Table(
        f"triangular_{_word(first['measurement'])}",
        f"Triangular discriminators, {first['measurement']}",
        "Triangular discriminator to the truth, with the factor 1/2 and times 1000, in the fixed "
        f"bins of the configuration; {sizes['data']} measured and {sizes['simulated_gen']} "
        "simulated events. Uncertainties are of the bootstrap over events, whose replicas all "
        "methods share. Noise: what the fluctuations of a result alone give, below which no "
        f"difference is seen.{note}",
        ["Method", *(first["observables"][name]["label"] for name in names), "Source"],
        rows,
        marked,
    )


def _noise(one: Numbers, names: Sequence[str]) -> list[Cell]:
    values = [one["observables"][name]["metric"]["triangular"]["noise"] for name in names]
    return [f"noise of {one['method']}", *(Number(value, None, 2) for value in values), "ours"]


def tests(measured: Sequence[Numbers]) -> Table:
    """Agreement of all methods in all measurements with truth and data."""
    rows: list[list[Cell]] = []
    for one in sorted(measured, key=lambda one: TESTS.index(one["kind"])):
        for observable in one["observables"].values():
            closure = observable["published"].get("closure")
            agreement = None if closure is None else closure["chi_squared"]
            refolded = observable["published"]["detector"]["of_refolded"]["chi_squared"]
            moments = observable["metric"].get("moments")
            rows.append(
                [
                    f"{one['measurement']}, {one['method']}",
                    observable["label"],
                    *_pulls_of(moments),
                    _over_degrees(agreement),
                    None if agreement is None else f"{agreement['p_value']:.2g}",
                    _over_degrees(refolded),
                ]
            )
    return Table(
        "unfolding_tests",
        "Tests of the unfolded results",
        "Mean and width of the unfolded spectrum less those of the truth, in standard deviations; "
        "chi-squared over the number of bins of unfolded and true spectrum with the covariance of "
        "the bins, and its p-value (for few replicas by Hotelling's T squared in merged bins); and "
        "chi-squared over bins of the refolded result and the data that it was made of.",
        [
            "Measurement, method",
            "Observable",
            "Mean",
            "Width",
            r"$\chi^2$/bins to the truth",
            "p",
            r"$\chi^2$/bins refolded",
        ],
        rows,
    )


def control(measured: Sequence[Numbers]) -> Table:
    """Weights of the classifier between true and generated events, of generative methods."""
    rows: list[list[Cell]] = []
    for one in measured:
        found = one["diagnosis"].get("control")
        if not found:
            continue
        name = f"{one['measurement']}, {one['method']}"
        levels = "both levels" if found["given"] == "both" else "particle level"
        if not found["learned"]:
            rows.append([name, levels, "too few events", *[None] * 6])
            continue
        part = {key: 100.0 * value for key, value in found["effective_part"].items()}
        rows.append(
            [
                name,
                levels,
                Number(found["auc"], found["auc_error"]),
                *(_quantile(found, quantile) for quantile in CONTROL_QUANTILES),
                Number(found["largest"], limit="lower"),
                Number(part["value"], part["error"]),
            ]
        )
    return Table(
        "unfolding_control",
        "Control of generative methods by a classifier",
        "Weights w = D/(1-D) of a classifier D between true and generated events of the "
        "simulation, on events that did not train it; w is 1 for all with a perfect generator. "
        "Quantiles of w, the largest one, and the effective sample size over that without w. "
        "Errors: bootstrap over events; a quantile beyond which there is less than one event is a "
        "limit.",
        [
            "Measurement, method",
            "Given",
            "Area under the curve",
            *(f"{100 * float(part):g} %" for part in CONTROL_QUANTILES),
            "Largest",
            "Effective part [%]",
        ],
        rows,
    )


def _quantile(found: Numbers, part: str) -> Number:
    limit = control_limit(found, part)
    error = None if limit else found["quantile_errors"][part]
    return Number(found["quantiles"][part], error, limit=limit)


def control_limit(found: Numbers, part: str) -> Literal["lower", "upper"] | None:
    """Say what a quantile of the weights of the control is a limit of; None: it is none.

    With less than one event beyond it, it is the largest or smallest one.
    """
    if found["effective_events"] * min(float(part), 1.0 - float(part)) >= 1.0:
        return None
    return "lower" if float(part) > 0.5 else "upper"


def coverage(covered: Sequence[Numbers]) -> Table:
    """Pulls of all methods over pseudo-experiments."""
    rows: list[list[Cell]] = []
    for one in covered:
        for quantity, found in one["quantities"].items():
            inside = {name: 100.0 * value for name, value in found["coverage"].items()}
            rows.append(
                [
                    one["method"],
                    f"{quantity} of $x$",
                    _number(found["mean"]),
                    _number(found["width"]),
                    Number(found["expected_width"], None, 3),
                    _number(inside),
                    _number(found["bias"]),
                ]
            )
    return Table(
        "unfolding_coverage",
        "Pulls over pseudo-experiments, Gaussian case",
        "Independent pseudo-experiments, each with its own simulation and data, and bootstrap "
        f"uncertainties ({coverage_sizes.in_words(covered)}). The width is expected as of "
        "Student's t, with the degrees of freedom of the replicas, and the interval of 68.3 % is "
        "that of t.",
        [
            "Method",
            "Quantity",
            "Mean pull",
            "Width of pulls",
            "Expected width",
            "Inside 68.3 % [%]",
            "Bias",
        ],
        rows,
    )


def _pulls_of(moments: Numbers | None) -> Iterator[Cell]:
    for name in ("mean", "width"):
        if moments is None or not moments[name]["difference_deviation"] > 0:
            yield None
        else:
            found = moments[name]
            yield Number(found["difference"] / found["difference_deviation"], None, 2)


def _over_degrees(found: Numbers | None) -> Cell:
    return None if found is None else f"{found['value']:.1f} / {found['degrees']}"


def _number(found: Numbers) -> Number:
    return Number(found["value"], found["deviation"])


def _has_truth(one: Numbers) -> bool:
    return all(entry["metric"]["truth"] is not None for entry in one["observables"].values())


def _word(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
