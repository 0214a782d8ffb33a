"""Collect the numbers of all taggers, with the published ones beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fullchain.errors import InputError
from fullchain.metrics import Metric, write_metrics
from fullchain.step import Given, Input, Output
from fullchain.tagging import explanation_metrics
from fullchain.tagging.between_metrics import between_metrics
from fullchain.tagging.posterior_table import posterior_metrics
from fullchain.tagging.published import NOTE, Published, reference
from fullchain.tagging.robustness_metrics import robustness_metrics


def main(
    *,
    performance: Annotated[list[Path], Input("performance.json of each tagger")],
    robustness: Annotated[list[Path], Input("robustness.json of each tagger")] = [],  # noqa: B006
    explanations: Annotated[
        list[Path], Input("explanation.json of each explained tagger; none where none is explained")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    metrics: Annotated[Path, Output("numbers of all taggers, metrics.json")],
    settings: Given,
) -> None:
    """Read the performance of each tagger, write the table."""
    rows: list[Metric] = []
    for path in performance:
        measured = _read(path)
        rows += tagger_metrics(measured)
    for path in robustness:
        rows += robustness_metrics(_read(path, "cases"))
    if performance:
        rows += baseline_metrics(_read(performance[0]))
    for path in explanations:
        rows += explanation_metrics.metrics(json.loads(path.read_text(encoding="utf-8")))
    write_metrics(metrics, "tagging", rows)


def tagger_metrics(measured: dict[str, Any]) -> list[Metric]:
    """Metrics of one tagger from the content of its performance.json."""
    name = measured["tagger"]
    between = measured.get("between")
    # A network with one input more, trained on two generators, is not the published one.
    references = {} if between else reference(measured)
    rows = [*_quality(name, name, measured, references), *_over_seeds(name, measured)]
    if between:
        rows += between_metrics(name, between)
    for pair, comparison in measured["comparisons"].items():
        label = f"{name}, {comparison['signal']} against {comparison['background'][0]}"
        rows += _quality(f"{name}.{pair}", label, comparison, {})
    if "class_accuracy" in measured:
        accuracy = measured["class_accuracy"]["accuracy"]
        rows.append(
            _bootstrap(f"{name}.class_accuracy", accuracy, f"{name}: accuracy of the class")
        )
    rows += [
        _bootstrap(
            f"{name}.calibration_error",
            measured["calibration"]["error"],
            f"{name}: mean distance of score and part of signal",
        ),
        *_expected_calibration_error(name, measured["temperature"]),
        *_robustness(name, measured["alternatives"]),
    ]
    if "posterior" in measured:
        rows += posterior_metrics(name, measured["posterior"])
    part = "test part" if measured["folds"] == 1 else "folds"
    for label, number in measured["jets"].items():
        rows.append(
            Metric(
                f"{name}.test_{label}_jets",
                number,
                0.0,
                "exact count",
                f"{name}: {label} jets in the {part}",
                unit="jets",
            )
        )
    return rows


def _bootstrap(name: str, value: dict[str, float], label: str) -> Metric:
    return Metric(name, value["value"], value["deviation"], "bootstrap", label)


def _expected_calibration_error(name: str, temperature: dict[str, Any]) -> list[Metric]:
    return [
        Metric(
            f"{name}.{quantity}",
            error["value"],
            error["deviation"],
            "bootstrap",
            f"{name}: expected calibration error {text}",
            note=f"perfect probabilities would give {error['if_perfect']:.2g} for as many jets",
        )
        for quantity, text, error in (
            ("ece", "of the probabilities", temperature["before"]),
            ("ece_scaled", f"at temperature {temperature['value']:.2f}", temperature["after"]),
        )
    ]


def _over_seeds(name: str, measured: dict[str, Any]) -> list[Metric]:
    """Mean and spread of the single trainings that the score is the mean of."""
    seeds = measured["seeds"]
    if seeds is None:
        return []
    quantities = [("auc", "AUC", seeds["auc"]), ("accuracy", "accuracy", seeds["accuracy"])]
    for point in seeds["working_points"]:
        percent = f"{100 * point['signal_efficiency']:g}"
        text = f"1/background efficiency at {percent} % signal"
        quantities.append((f"rejection_{percent}", text, point["rejection"]))
    return [
        Metric(
            f"{name}.{quantity}_single",
            value["mean"],
            value["deviation"],
            "seeds",
            f"{name}: {text}, mean of {seeds['number']} single trainings",
        )
        for quantity, text, value in quantities
        if value["mean"] is not None
    ]


def _robustness(name: str, alternatives: dict[str, Any]) -> list[Metric]:
    rows = []
    for other, found in alternatives.items():
        samples = ", ".join(found["samples"].values())
        points = found["working_points"]
        rows.append(
            _bootstrap(
                f"{name}.{other}.auc_difference",
                points[0]["difference"]["auc"],
                f"{name}: AUC on {samples}, less the nominal one",
            )
        )
        for point in points:
            percent = f"{100 * point['working_point']:g}"
            for side in ("signal", "background"):
                rows.append(
                    _bootstrap(
                        f"{name}.{other}.{side}_difference_{percent}",
                        point["difference"][f"{side}_efficiency"],
                        f"{name}: {side} efficiency on {samples}, less the nominal one, for the "
                        f"cut with {percent} % signal",
                    )
                )
    return rows


def baseline_metrics(measured: dict[str, Any]) -> list[Metric]:
    """Metrics of the cut on substructure, on the same jets as the first tagger; none without it."""
    baseline = measured["baseline"]
    if baseline is None:
        return []
    low, high = baseline["window"]
    label = f"tau32 with {low:g} < soft-drop mass < {high:g} GeV"
    return _quality(f"baseline_{baseline['name']}", label, baseline, {})


def _quality(
    name: str, label: str, measured: dict[str, Any], references: Mapping[str, Published]
) -> list[Metric]:
    quantities: list[tuple[str, str, float, float, str | None]] = [
        ("auc", "AUC", measured["auc"]["value"], measured["auc"]["deviation"], None),
        (
            "accuracy",
            "accuracy",
            measured["accuracy"]["value"],
            measured["accuracy"]["deviation"],
            None,
        ),
    ]
    for point in measured["working_points"]:
        percent = f"{100 * point['signal_efficiency']:g}"
        value = point["rejection"]
        limit = "no background jet passes: lower limit at 95 % CL" if value["is_limit"] else None
        text = f"1/background efficiency at {percent} % signal"
        quantities.append(
            (f"rejection_{percent}", text, value["value"], value["uncertainty"], limit)
        )
    rows = []
    for quantity, text, value, uncertainty, remark in quantities:
        found = references.get(quantity)
        notes = [remark] if remark else []
        notes += [NOTE] if found else []
        rows.append(
            Metric(
                f"{name}.{quantity}",
                value,
                uncertainty,
                "limit" if remark else "bootstrap",
                f"{label}: {text}",
                published=found.value if found else None,
                published_uncertainty=found.uncertainty if found else None,
                source=found.source if found else None,
                note="; ".join(notes) or None,
                limit="lower" if remark else None,
            )
        )
    return rows


def _read(path: Path, key: str = "working_points") -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as problem:
        raise InputError(f"{path}: not valid JSON ({problem}); evaluate again") from None
    if not isinstance(content, dict) or key not in content:
        raise InputError(f"{path}: not the performance of a tagger; evaluate again")
    return content
