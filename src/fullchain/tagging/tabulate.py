"""Collect the numbers of all taggers, with the published ones beside them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fullchain.errors import InputError
from fullchain.metrics import Metric, write_metrics
from fullchain.step import Given, Input, Output
from fullchain.tagging.published import NOTE, Published, reference


def main(
    *,
    performance: Annotated[list[Path], Input("performance.json of each tagger")],
    metrics: Annotated[Path, Output("numbers of all taggers, metrics.json")],
    settings: Given,
) -> None:
    """Read the performance of each tagger, write the table."""
    rows: list[Metric] = []
    for path in performance:
        measured = _read(path)
        rows += tagger_metrics(measured)
    if performance:
        rows += baseline_metrics(_read(performance[0]))
    write_metrics(metrics, "tagging", rows)


def tagger_metrics(measured: dict[str, Any]) -> list[Metric]:
    """Metrics of one tagger from the content of its performance.json."""
    name = measured["tagger"]
    rows = _quality(name, name, measured, reference(measured))
    error = measured["calibration"]["error"]
    rows.append(
        Metric(
            f"{name}.calibration_error",
            error["value"],
            error["deviation"],
            "bootstrap",
            f"{name}: mean distance of score and part of signal",
        )
    )
    for label in ("signal", "background"):
        number = measured["jets"][label]
        rows.append(
            Metric(
                f"{name}.test_{label}_jets",
                number,
                0.0,
                "exact count",
                f"{name}: {label} jets in the test part",
                unit="jets",
            )
        )
    return rows


def baseline_metrics(measured: dict[str, Any]) -> list[Metric]:
    """Metrics of the cut on substructure, on the same jets as the first tagger."""
    baseline = measured["baseline"]
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


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as problem:
        raise InputError(f"{path}: not valid JSON ({problem}); evaluate again") from None
    if not isinstance(content, dict) or "working_points" not in content:
        raise InputError(f"{path}: not the performance of a tagger; evaluate again")
    return content
