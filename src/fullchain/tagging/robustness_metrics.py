"""Numbers of the study of changed constituents, for the list of numbers."""

from collections.abc import Mapping
from typing import Any

from fullchain.metrics import Metric

_UNITS = {
    "drop": ("probability", "particles dropped with probability"),
    "smear_pt": ("width", "pT of particles smeared by"),
    "smear_angles": ("width", "angles of particles smeared by"),
}


def robustness_metrics(measured: Mapping[str, Any]) -> list[Metric]:
    """Metrics of one tagger from the content of its robustness.json.

    The area for each change, the efficiencies of the fixed cuts for the strongest of each kind.
    """
    rows = []
    name = measured["tagger"]
    strongest = {case["perturbation"]: case["strength"] for case in measured["cases"]}
    for case in measured["cases"]:
        what = text(measured["perturbations"][case["perturbation"]], case["strength"])
        key = f"{name}.{case['perturbation']}_{case['strength']:g}"
        found = case["difference"]
        rows.append(
            _paired(f"{key}.auc_difference", found["auc"], f"{name}: AUC, {what}, less nominal")
        )
        if case["strength"] != strongest[case["perturbation"]]:
            continue
        for point in found["working_points"]:
            percent = f"{100 * point['signal_efficiency_nominal']:g}"
            for side in ("signal", "background"):
                rows.append(
                    _paired(
                        f"{key}.{side}_difference_{percent}",
                        point[f"{side}_efficiency"],
                        f"{name}: {side} efficiency, {what}, less nominal, for the cut with "
                        f"{percent} % signal",
                    )
                )
    return rows


def text(perturbation: Mapping[str, Any], strength: float) -> str:
    """Say in words what is done to the constituents."""
    _, words = _UNITS[perturbation["kind"]]
    if perturbation["particles"] != "all":
        words = words.replace("particles", f"{perturbation['particles']} particles")
    if perturbation["pt_below"] is not None:
        words = words.replace("particles", f"particles below {perturbation['pt_below']:g} GeV")
    number = f"{100 * strength:g} %" if perturbation["kind"] == "smear_pt" else f"{strength:g}"
    return f"{words} {number}"


def _paired(name: str, value: Mapping[str, float], label: str) -> Metric:
    return Metric(name, value["value"], value["deviation"], "paired bootstrap", label)
