"""Tables of an analysis for the report: yields, parameters, impacts, limits."""

from collections.abc import Sequence

from fullchain.inference import wording
from fullchain.inference.collected import Collected, Numbers
from fullchain.inference.stage_numbers import total, word
from fullchain.stage_tables import Cell, Number, Table

MOST_IMPACTS = 20

SUM = "total"


def tables(one: Collected) -> list[Table]:
    """Give the tables of an analysis."""
    found = [yields(one)]
    if one.impacts is not None:
        found.append(impacts(one, one.impacts))
        if one.impacts.get("groups"):
            found.append(groups(one, one.impacts))
    if one.limits is not None and one.limits["hypotheses"]:
        found.append(limits(one, one.limits))
    return found


def yields(one: Collected) -> Table:
    """Events of each process in each region before and after the fit, and the data."""
    rows: list[list[Cell]] = []
    marked = []
    exact = True
    for region, content in one.result["regions"].items():
        for sample in content["prefit"]["samples"]:
            cells: list[Cell] = [f"{wording.spoken(region)}, {wording.spoken(sample)}"]
            for when in ("prefit", "postfit"):
                value, uncertainty, known = total(content[when]["samples"][sample])
                cells.append(Number(value, uncertainty or None))
                exact = exact and known
            seen = sum(content["observed"]) if sample == SUM and not one.blind else None
            cells.append(None if seen is None else Number(seen, None, 0 if seen % 1 == 0 else 1))
            if sample == SUM:
                marked.append(len(rows))
            rows.append(cells)
    rough = "" if exact else " Where not known better, uncertainties of bins are added up."
    return Table(
        f"yields_{word(one.name)}",
        f"Yields of {wording.spoken(one.name)}",
        "Events of each process in each region; uncertainties are total, before the fit of the "
        f"constraints and after it of the full covariance.{rough} {wording.sentence(one)}",
        ["Region, process", "Before the fit", "After the fit", "Data"],
        rows,
        marked,
    )


def impacts(one: Collected, found: Numbers) -> Table:
    """Pulls, constraints and impacts of the leading parameters."""
    shown = wording.ranked(found, MOST_IMPACTS)
    rows: list[list[Cell]] = []
    for row in shown:
        pull, constraint = row.get("pull"), row.get("constraint")
        refit, linear = wording.both(row.get("refit")), wording.both(row.get("covariance"))
        rows.append(
            [
                wording.spoken(row["name"]),
                row.get("group"),
                None if pull is None else Number(pull, None, 2),
                None if constraint is None else Number(constraint, None, 2),
                *(_signed(side) for side in (*refit, *linear)),
            ]
        )
    return Table(
        f"impacts_{word(one.name)}",
        f"Impacts on {one.poi}, {wording.spoken(one.name)}",
        f"The {len(shown)} largest of {len(found['parameters'])} impacts: shift of {one.poi} when "
        "the parameter is held one standard deviation off its best fit (refit), and the same to "
        "first order (covariance). A pull and a constraint are in units of the uncertainty before "
        f"the fit. {wording.sentence(one)}",
        ["Parameter", "Group", "Pull", "Constraint", "Up", "Down", "Up, cov.", "Down, cov."],
        rows,
    )


def groups(one: Collected, found: Numbers) -> Table:
    """Impacts of groups by both methods."""
    rows: list[list[Cell]] = []
    for name, group in found["groups"].items():
        sides = [*wording.both(group.get("refit")), wording.size(group.get("covariance"))]
        rows.append([wording.spoken(name), *(_signed(side) for side in sides)])
    whole = wording.both(found.get("total"))
    rows.append([SUM, *(_signed(side) for side in whole), None])
    return Table(
        f"groups_{word(one.name)}",
        f"Uncertainty of {one.poi} by group, {wording.spoken(one.name)}",
        f"What the uncertainty of {one.poi} loses, in quadrature, when the parameters of the group "
        "are held at their best fit, by refit (up and down) and from the covariance; statistical "
        "is what is left with all constrained parameters held. Correlated groups do not add up. "
        f"{wording.sentence(one)}",
        ["Group", "Up", "Down", "Covariance"],
        rows,
        [len(rows) - 1],
    )


def limits(one: Collected, found: Numbers) -> Table:
    """Limits of each hypothesis with the expected band."""
    rows: list[list[Cell]] = []
    listed = wording.by_mass(found)
    sections = all(row.get("cross_section_pb") is not None for row in listed)
    for row in listed:
        seen = None if one.blind else row.get("observed")
        cells: list[Cell] = [wording.hypothesis(row), _digits(seen)]
        cells += [_digits(value) for value in row["expected"]]
        if sections:
            section = row["cross_section_pb"]
            cells.append(_digits(None if seen is None else seen * section))
            cells.append(_digits(row["expected"][2] * section))
        rows.append(cells)
    heads = ["Hypothesis", "Observed", "−2σ", "−1σ", "Median", "+1σ", "+2σ"]
    more = ["Observed [pb]", "Median [pb]"] if sections else []
    level = 100 * found["level"]
    return Table(
        f"limits_{word(one.name)}",
        f"Limits, {wording.spoken(one.name)}",
        f"Upper limits on {one.poi} at {level:g} % confidence level (CLs, asymptotic formulae): "
        "observed, and expected without a signal, median and the ends of the central 68 and 95 "
        f"%.{' The last columns are cross sections.' if sections else ''} {wording.sentence(one)}",
        [*heads, *more],
        rows,
    )


def _signed(value: float | None) -> Cell:
    return None if value is None else Number(value, None, 3 if abs(value) >= 0.01 else 4)


def _digits(value: float | None) -> Cell:
    """Three significant digits: a limit has no uncertainty that says how many count."""
    return None if value is None else Number(float(f"{value:.3g}"))


def of_all(analyses: Sequence[Collected]) -> Table | None:
    """Signal strengths and significances of all analyses beside each other; None without any."""
    rows: list[list[Cell]] = []
    for one in analyses:
        row = one.parameter(one.poi)
        expected = one.expected
        wanted = None if expected is None else one.parameter(one.poi, expected)
        minos = row.get("minos") or [None, None]
        quality = None if one.blind else one.result.get("goodness_of_fit")
        significances: list[Cell] = [
            None
            if result is None or result.get("discovery") is None
            else Number(result["discovery"]["significance"], None, 2)
            for result in (None if one.blind else one.result, expected)
        ]
        rows.append(
            [
                wording.spoken(one.name),
                "blind" if one.blind else Number(row["value"], row["uncertainty"]),
                *(None if one.blind else _signed(side) for side in minos),
                None if wanted is None else Number(wanted["uncertainty"], None, 3),
                *significances,
                None if quality is None else f"{quality['p_value']:.2g}",
            ]
        )
    if not rows:
        return None
    return Table(
        "inference_results",
        "Signal strengths",
        "Best fit with the uncertainty of the Hessian, the interval of the profile likelihood "
        "(MINOS, down and up), the uncertainty expected for a signal strength of one, the "
        "discovery significance and the expected one in standard deviations (asymptotic), and the "
        "p-value of the goodness of fit (saturated model). Of a blind analysis only expectations "
        "are given.",
        [
            "Analysis",
            "Signal strength",
            "Down",
            "Up",
            "Expected unc.",
            "Significance",
            "Expected",
            "p",
        ],
        rows,
    )
