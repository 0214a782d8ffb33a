"""Names of the figures of evaluations."""

from collections.abc import Mapping
from typing import Any

from fullchain.firmware.model_kinds import ANOMALY_SCORES

ROC, CONFUSION = "performance_roc", "performance_confusion"
LUT, EBOPS, LATENCY = "pareto_lut", "pareto_ebops", "pareto_latency"
ESTIMATE, BITS = "pareto_estimate", "pareto_bits"


def evaluation_figure_names(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give names for the raw settings of models, by name, where all points are synthesised."""
    found = []
    kinds = {values["kind"] for values in models.values()}
    for model, values in models.items():
        found.append(f"{ROC}_{model}")
        if values["kind"] not in ANOMALY_SCORES:
            found += [f"{CONFUSION}_{model}_{point}" for point in values["points"]]
    if "network" in kinds:
        found += [LUT, EBOPS, BITS, LATENCY, ESTIMATE]
    return found
