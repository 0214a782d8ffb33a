"""Metrics of the uncertainties of a Bayesian tagger."""

from typing import Any

from fullchain.metrics import Metric


def posterior_metrics(name: str, found: dict[str, Any]) -> list[Metric]:
    """Metrics of the tagger `name` from the entry `posterior` of its performance.json."""
    rows = [
        _row(
            f"{name}.sigma_{label}",
            one["mean"],
            f"{name}: mean uncertainty of the score of {label} jets",
        )
        for label, one in found["sigma"].items()
        if label != "edges"
    ]
    rows.append(
        _row(
            f"{name}.logit_width",
            found["logit_width"],
            f"{name}: uncertainty of the score over p (1 - p)",
        )
    )
    error = found["at_mean"]["expected_calibration_error"]
    rows.append(
        _row(
            f"{name}.ece_at_mean",
            error,
            f"{name}: expected calibration error at the means of the weights",
            note=f"perfect probabilities would give {error['if_perfect']:.2g} for as many jets",
        )
    )
    return [*rows, *_pulls(name, found["pulls"])]


def _pulls(name: str, found: dict[str, Any] | None) -> list[Metric]:
    if found is None:
        return []
    rows = []
    for quantity, text in (
        ("mean", "mean"),
        ("width", "width"),
        ("coverage", "part inside one standard deviation"),
    ):
        one = found[quantity]
        over = one["over_trainings"]
        if quantity == "mean" and over is None:
            # Of two trainings it is zero whatever they are.
            continue
        spread = "" if over is None else f"; standard deviation over the trainings {over:.2g}"
        rows.append(
            _row(
                f"{name}.pull_{quantity}",
                one,
                f"{name}: pulls of each of {found['trainings']} trainings against the others, "
                f"{text}",
                note="the trainings share their jets, so that the width need not be one" + spread,
            )
        )
    return rows


def _row(name: str, value: dict[str, Any], label: str, note: str | None = None) -> Metric:
    return Metric(name, value["value"], value["deviation"], "bootstrap", label, note=note)
