"""Accuracy against resources: which points no other one beats in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fullchain.firmware.model_kinds import ANOMALY_SCORES

ALLOWED_LOSS = 0.01
"""Accuracy that may be lost against the float model of a point."""

Pair = tuple[float, float]


@dataclass(frozen=True)
class Design:
    """A classifier as firmware; what is not known is None.

    Parameters
    ----------
    model, point
        Names.
    kind
        `network` or `trees`.
    accuracy, loss, auc
        Balanced accuracy, what it is more than that of the float model, mean AUC of classes
        against the rest, each with its error.
    ebops, weight_bits
        Effective bit operations, and mean bits of all weights.
    lut, ff, dsp
        Of synthesis.
    estimate
        LUTs that the program that wrote the Verilog expected.
    validation
        Balanced accuracies on the validation part: of the float model, and quantised.
    label
        What synthesis was made with.
    stages, latency
        Of the pipeline; latency at the clock of the constraints [ns].
    """

    model: str
    point: str
    kind: str
    accuracy: Pair
    loss: Pair
    auc: Pair
    ebops: int | None = None
    weight_bits: float | None = None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    estimate: int | None = None
    stages: int | None = None
    latency: float | None = None
    label: str = ""
    validation: Pair | None = None

    @property
    def name(self) -> str:
        """Model and point."""
        return f"{self.model} {self.point}"


def designs(
    evaluations: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]]
) -> list[Design]:
    """Join what is known of classifiers.

    Parameters
    ----------
    evaluations
        JSON of `evaluate`, one for each model.
    points
        Entries of `point_files.by_point` with any of `census`, `quantisation`, `rtl`, `synthesis`,
        `conifer`.
    """
    known = {(one["model"], one["point"]): one for one in points}
    return [
        _design(judged, name, entry, known.get((judged["model"], name), {}))
        for judged in evaluations
        if judged["kind"] not in ANOMALY_SCORES
        for name, entry in judged["points"].items()
    ]


def _design(
    judged: Mapping[str, Any], name: str, entry: Mapping[str, Any], known: Mapping[str, Any]
) -> Design:
    numbers = entry["quantised"]["numbers"]
    census, rtl, synthesis = (known.get(kind, {}) for kind in ("census", "rtl", "synthesis"))
    # Trees have one report of everything.
    conifer = known.get("conifer", {})
    synthesis = synthesis or conifer.get("synthesis", {})
    stages = rtl.get("stages", conifer.get("vhdl", {}).get("latency"))
    clock = rtl.get("clock_period")
    performance = (known.get("quantisation") or conifer).get("performance")
    return Design(
        judged["model"],
        name,
        judged["kind"],
        tuple(numbers["balanced_accuracy"]),
        tuple(entry["quantised"]["minus_float"]["balanced_accuracy"]),
        tuple(numbers["auc.macro"]),
        census.get("ebops"),
        census.get("mean_weight_bits"),
        synthesis.get("lut"),
        synthesis.get("ff"),
        synthesis.get("dsp"),
        rtl.get("estimate", {}).get("lut"),
        stages,
        None if stages is None or clock is None else stages * clock,
        str(synthesis.get("label", "")),
        None
        if performance is None
        else (performance["float"]["accuracy"][0], performance["quantised"]["accuracy"][0]),
    )


def labels(found: Sequence[Design]) -> str:
    """Say what the designs were synthesised with."""
    return ", ".join(sorted({one.label for one in found if one.label})) or "not synthesised"


def front(found: Sequence[Design]) -> list[Design]:
    """Give the designs than which no other has as few LUTs and as high an accuracy, by LUTs.

    Errors do not count: a design on the front may be there by chance.
    """
    known = sorted(
        (one for one in found if one.lut is not None),
        key=lambda one: (one.lut or 0, -one.accuracy[0]),
    )
    best: list[Design] = []
    for one in known:
        if not best or one.accuracy[0] > best[-1].accuracy[0]:
            best.append(one)
    return best


def smallest(found: Sequence[Design], loss: float = ALLOWED_LOSS) -> Design | None:
    """Give the design with the fewest LUTs that loses at most `loss` against the best float model.

    A design that was made: nothing is interpolated. None where there is none. It is chosen by
    accuracies on the validation part, so that those on the test part are not favoured.
    """
    known = [(one, one.validation) for one in found if one.validation is not None]
    best = max((accuracies[0] for _, accuracies in known), default=0.0)
    good = [
        (one.lut, -accuracies[1], place)
        for place, (one, accuracies) in enumerate(known)
        if one.lut is not None and accuracies[1] >= best - loss
    ]
    return known[min(good)[2]][0] if good else None
