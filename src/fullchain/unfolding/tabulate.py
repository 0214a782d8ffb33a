"""Collect the numbers of all methods and measurements, beside the published discriminators."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.metrics import Metric, write_metrics
from fullchain.saved_numbers import read_numbers
from fullchain.stage_tables import write_tables
from fullchain.step import Given, Input, Output
from fullchain.unfolding import published
from fullchain.unfolding.comparison_tables import control_limit, tables
from fullchain.unfolding.counting import LIMITED, Part
from fullchain.unfolding.spectrum_file import STAGE

Numbers = Mapping[str, Any]

BOOTSTRAP = "bootstrap"

CONTROLLED = (
    ("effective_part", "effective part of the weights w of the control"),
    ("large_fraction", "part of the weights w of the control above 3"),
    ("small_fraction", "part of the weights w of the control below 1/3"),
)
"""Numbers of the control, and what they are."""

ENSEMBLE_DIAGNOSTICS = (
    ("effective_sample_size", "effective sample size of the weights"),
    ("drift", "sum of the absolute changes of the weights over their sum"),
    ("clipped_fraction", "largest part of the events whose ratio is at its limit"),
)
"""Diagnostics of OmniFold, and what they are."""


def main(
    *,
    performance: Annotated[
        list[Path], Input("performance.json of each method of each measurement")
    ],
    coverage: Annotated[
        list[Path], Input("coverage.json of each method with pseudo-experiments")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    metrics: Annotated[Path, Output("numbers of all methods, metrics.json")],
    comparison: Annotated[Path, Output("methods beside each other, tables.json")],
    settings: Given,
) -> None:
    """Read the numbers of each method, write list and tables."""
    measured = [read_numbers(path, STAGE) for path in performance]
    covered = [read_numbers(path, STAGE) for path in coverage]
    rows: list[Metric] = []
    for one in measured:
        rows += method_metrics(one)
    for one in covered:
        rows += coverage_metrics(one)
    write_metrics(metrics, STAGE, rows)
    write_tables(comparison, STAGE, tables(measured, covered))


def method_metrics(one: Numbers) -> list[Metric]:
    """Give the metrics of one method of one measurement, of its performance.json."""
    found: list[Metric] = [*_outside_support(one), *_ensemble(one), *_control(one)]
    found += _calibration(one)
    for name, observable in one["observables"].items():
        if observable["metric"]["truth"] is not None:
            found += _truth(one, name, observable)
        found += _refolding(one, name, observable)
        found += _prior_dependence(one, name, observable)
    return found


def _outside_support(one: Numbers) -> Iterator[Metric]:
    """Part of the data that the simulation does not reach; of a binned method by observable."""
    diagnosis = one["diagnosis"]
    key, text = f"{one['measurement']}.{one['method']}", f"{one['measurement']}, {one['method']}: "
    reached = [("", "", "outside of the range of simulation and background", diagnosis)]
    reached += [
        (f".{name}", f" of {name}", "in bins that neither simulation nor background fills", of)
        for name, of in diagnosis["observables"].items()
    ]
    for name, words, where, found in reached:
        if "outside_support" not in found:
            continue
        outside = Part(found["outside_support"], found["outside_support_error"])
        yield Metric(
            f"{key}{name}.outside_support",
            outside.value,
            outside.error,
            outside.kind,
            f"{text}part of the data{words} {where}, detector level",
            note=f"{one['sizes']['data']} events",
        )


def _ensemble(one: Numbers) -> Iterator[Metric]:
    """Diagnostics of OmniFold after the last iteration, over trainings from other starts."""
    for name, words in ENSEMBLE_DIAGNOSTICS:
        values = one["diagnosis"].get("ensemble", {}).get(name)
        # Where all are alike, as of clipped events mostly, there is no error to give.
        if values is None or not np.std(values) > 0:
            continue
        yield Metric(
            f"{one['measurement']}.{one['method']}.{name}",
            float(np.mean(values)),
            float(np.std(values, ddof=1)),
            "seeds",
            f"{one['measurement']}, {one['method']}: {words} after the last iteration",
            note=f"{len(values)} trainings",
        )


def _calibration(one: Numbers) -> Iterator[Metric]:
    """Uniformity of the quantiles of the truth in posteriors."""
    tested = one["diagnosis"].get("calibration", {}).get("observables", {})
    for name, found in tested.items():
        yield Metric(
            f"{one['measurement']}.{one['method']}.{name}.quantiles_chi_squared",
            found["chi2"],
            (2.0 * found["degrees"]) ** 0.5,
            "spread of chi-squared",
            f"{one['measurement']}, {one['method']}: chi-squared of the quantiles of the true "
            f"{name} in its posterior and a uniform distribution",
            note=f"{found['degrees']} degrees of freedom, p = {found['chi2_probability']:.2g}; "
            f"Kolmogorov-Smirnov p = {found['ks_probability']:.2g}",
        )


def _control(one: Numbers) -> Iterator[Metric]:
    """Weights of the classifier between true and generated events of the simulation."""
    found = one["diagnosis"].get("control")
    if not found or not found["learned"]:
        return
    key = f"{one['measurement']}.{one['method']}.control"
    text = f"{one['measurement']}, {one['method']}: "
    levels = "both levels" if found["given"] == "both" else "the particle level"
    seen = f"{found['events']} events that did not train; a perfect generator has"
    yield Metric(
        f"{key}.auc",
        found["auc"],
        found["auc_error"],
        "Hanley and McNeil",
        f"{text}area under the curve, true against generated events, given {levels}",
        note=f"{seen} 0.5",
    )
    for name, words in CONTROLLED:
        value = found[name]
        yield Metric(
            f"{key}.{name}",
            value["value"],
            value["error"],
            LIMITED if value["value"] == 0.0 else BOOTSTRAP,
            f"{text}{words}, given {levels}",
            note=f"{seen} {int(name == 'effective_part')}",
        )
    for part, value in found["quantiles"].items():
        limit = control_limit(found, part)
        yield Metric(
            f"{key}.{_percent(part)}",
            value,
            0.0 if limit else found["quantile_errors"][part],
            "largest or smallest of the events" if limit else BOOTSTRAP,
            f"{text}{100 * float(part):g} % quantile of the weights w of the control, given "
            f"{levels}",
            note=f"{seen} 1",
            limit=limit,
        )
    yield Metric(
        f"{key}.largest",
        found["largest"],
        0.0,
        "largest of the events",
        f"{text}largest weight w of the control, given {levels}",
        note=f"{seen} 1",
        limit="lower",
    )


def _percent(part: str) -> str:
    """Name of a quantile.

    Examples
    --------
    >>> _percent("0.999")
    'quantile_99_9'
    """
    return f"quantile_{100 * float(part):g}".replace(".", "_")


def _truth(one: Numbers, name: str, observable: Numbers) -> Iterator[Metric]:
    key = f"{one['measurement']}.{one['method']}.{name}"
    text = f"{one['measurement']}, {one['method']}: "
    metric = observable["metric"]
    triangular = metric["triangular"]
    value = triangular["method"]
    stated = _stated(one, name)
    noise = f"fluctuations alone give {triangular['noise']:.3g}"
    yield Metric(
        f"{key}.triangular",
        value["value"],
        value["deviation"],
        BOOTSTRAP,
        f"{text}triangular discriminator of {name} to the truth, x 1000",
        published=stated,
        source=None if stated is None else published.SOURCE,
        note=noise if stated is None else f"{noise}; {published.NOTE}",
    )
    yield Metric(
        f"{key}.triangular_less_prior",
        triangular["difference"]["value"],
        triangular["difference"]["deviation"],
        BOOTSTRAP,
        f"{text}triangular discriminator of {name}, less that of the prior, x 1000",
        note=f"prior {triangular['prior']['value']:.4g} ± {triangular['prior']['deviation']:.2g}; "
        "same replicas for both",
    )
    for quantity in ("mean", "width"):
        moment = metric["moments"][quantity]
        of = "the truth by formula" if metric["truth_is_known"] else "the truth of these events"
        yield Metric(
            f"{key}.{quantity}_less_truth",
            moment["difference"],
            moment["difference_deviation"],
            BOOTSTRAP,
            f"{text}{quantity} of {name} in its bins, less that of the truth",
            unit=observable["unit"],
            note=f"unfolded {moment['value']:.5g}, {of} {moment['truth']:.5g}, prior "
            f"{moment['prior']:.5g}",
        )
    agreement = observable["published"]["closure"]["chi_squared"]
    if agreement is not None:
        yield _chi_squared(
            f"{key}.chi_squared",
            agreement,
            f"{text}chi-squared of {name} and its truth, covariance of all bins",
        )


def _stated(one: Numbers, name: str) -> float | None:
    # What is published is of data of another generator, which a closure is not.
    if one["kind"] in ("closure", "stressed"):
        return None
    return published.beside(one["method_kind"], one["inputs"], name)


def _refolding(one: Numbers, name: str, observable: Numbers) -> Iterator[Metric]:
    key = f"{one['measurement']}.{one['method']}.{name}"
    text = f"{one['measurement']}, {one['method']}: "
    detector = observable["published"]["detector"]
    found = detector["of_refolded"]
    before = detector["of_simulation"]
    if found["triangular"] is not None and before["triangular"] is not None:
        yield Metric(
            f"{key}.refolded_triangular",
            found["triangular"]["value"],
            found["triangular"]["deviation"],
            BOOTSTRAP,
            f"{text}triangular discriminator of refolded {name} to the data, published bins, "
            "x 1000",
            note=f"simulation {before['triangular']['value']:.4g} ± "
            f"{before['triangular']['deviation']:.2g}",
        )
    if found["chi_squared"] is not None:
        yield _chi_squared(
            f"{key}.refolded_chi_squared",
            found["chi_squared"],
            f"{text}chi-squared of refolded {name} and the data",
            "; the result was made of these data, p is no test of the truth",
        )


def _prior_dependence(one: Numbers, name: str, observable: Numbers) -> Iterator[Metric]:
    for found in observable["published"]["prior_dependence"]:
        if found["rms"] is None:
            continue
        # Only the test of a method in bins keeps the counts; the other is an alternative's.
        binned = "counts" in found
        yield Metric(
            f"{one['measurement']}.{one['method']}.{name}.prior_dependence"
            + ("" if binned else f"_{found['prior']}"),
            found["rms"]["value"],
            found["rms"]["deviation"],
            BOOTSTRAP if binned else "jackknife over bins",
            f"{one['measurement']}, {one['method']}: change of {name} with the {found['prior']} "
            "prior, root mean square over bins, in standard deviations of the result",
            note=f"{found['rms']['bins']} published bins, as many iterations with both priors",
        )


def _chi_squared(name: str, found: Numbers, label: str, more: str = "") -> Metric:
    degrees = found["degrees"]
    note = f"{degrees} bins, p = {found['p_value']:.2g}{more}"
    return Metric(
        name, found["value"], (2.0 * degrees) ** 0.5, "spread of chi-squared", label, note=note
    )


def coverage_metrics(one: Numbers) -> Iterator[Metric]:
    """Give the metrics of one method's coverage.json."""
    how = one["settings"]
    of = (
        f"{how['experiments']} pseudo-experiments of {how['data']['events']} expected signal events"
    )
    for quantity, found in one["quantities"].items():
        key = f"{one['method']}.coverage.{quantity}"
        text = f"Gaussian case, {one['method']}: "
        for name, words, note in (
            ("mean", "mean pull", "0"),
            ("width", "width of the pulls", f"{found['expected_width']:.3f}"),
            ("coverage", "part inside the 68.3 % interval", f"{found['expected_coverage']:.3f}"),
        ):
            yield Metric(
                f"{key}.{name}",
                found[name]["value"],
                found[name]["deviation"],
                "pseudo-experiments",
                f"{text}{words} of the {quantity} of x",
                note=f"expected {note}; {of}",
            )
