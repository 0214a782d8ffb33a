"""Numbers of the weighting of generated showers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry.classifier_numbers import LEVELS, kind_of_classifier
from fullchain.calorimetry.features import kind_of
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

WORDS = {
    "E_tot_over_E_inc": "E_tot / E_inc",
    "E_layer": "energy of layers",
    "EC_eta": "centres in eta",
    "EC_phi": "centres in phi",
    "EC_r": "mean radii",
    "width_eta": "widths in eta",
    "width_phi": "widths in phi",
    "width_r": "widths in radius",
    "sparsity": "sparsity",
}


SEEN = {"low": "low level", "high": "high level", "both": "voxels and features"}
"""What the discriminator of weights sees."""

DISCRIMINATORS = {"trees": "boosted trees", "network": "a network"}


def weighted_by(content: Content) -> str:
    """Say what the weights are from."""
    kind, level = DISCRIMINATORS[content["discriminator"]], SEEN[content["level"]]
    return f"w = D/(1-D) of {kind} ({level}), each from a fit that did not see the shower"


def mean_separations(content: Content) -> dict[str, dict[str, list[float]]]:
    """Mean over layers of separations [value, error, by chance], by kind, before and after.

    Errors of layers, which share showers, add linearly.
    """
    found: dict[str, dict[str, list[list[float]]]] = {}
    for name, feature in content["features"].items():
        for when in ("before", "after"):
            row = [*feature[f"separation_{when}"], feature[f"by_chance_{when}"]]
            found.setdefault(kind_of(name), {}).setdefault(when, []).append(row)
    return {
        kind: {
            when: [sum(column) / len(rows) for column in zip(*rows, strict=True)]
            for when, rows in both.items()
        }
        for kind, both in found.items()
    }


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics."""
    return [metric for content in contents for metric in _of(content)]


def _of(content: Content) -> Iterator[Metric]:
    key, name = f"control.{content['name']}", content["name"]
    weights = content["weights"]
    value, error = weights["mean"]
    yield Metric(
        f"{key}.mean_weight", value, error, "counting", f"{name}: mean weight D/(1-D)",
        note="1 for a ratio of densities",
    )  # fmt: skip
    value, error = content["resampling"]["efficiency"]
    yield Metric(
        f"{key}.efficiency", value, error, "counting", f"{name}: part accepted in resampling",
        note=f"largest weight {content['resampling']['maximum']:g}; "
        f"{100 * content['resampling']['weight_beyond']:.2g} % of the weight lies beyond",
    )  # fmt: skip
    for level, found in content["levels"].items():
        for when in ("before", "after"):
            value, error = found[when]["auc"]
            yield Metric(
                f"{key}.{level}.auc_{when}", value, error, "bootstrap",
                f"{name}, {LEVELS[level]}: AUC {when} weighting",
                note=kind_of_classifier(level, content["mode"]),
            )  # fmt: skip
    for kind, both in mean_separations(content).items():
        for when, (value, error, chance) in both.items():
            yield Metric(
                f"{key}.separation_{when}.{kind}", value, error, "bootstrap",
                f"{name}: separation {when} weighting, {WORDS.get(kind, kind)}",
                note=f"by chance {chance:.2g}",
            )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give one table of all models, if there are any."""
    if not contents:
        return []
    rows: list[list[Cell]] = []
    for content in contents:
        weights = content["weights"]
        for level, found in content["levels"].items():
            rows.append(
                [
                    content["name"],
                    LEVELS[level],
                    Number(*found["before"]["auc"]),
                    Number(*found["after"]["auc"]),
                    Number(*weights["mean"]),
                    Number(weights["effective_number"] / content["showers"], None, 3),
                    Number(weights["effective_number_clipped"] / content["showers"], None, 3),
                    Number(weights["largest"], None, 1),
                    Number(*content["resampling"]["efficiency"]),
                ]
            )
    first = contents[0]
    return [
        Table(
            "control_weights",
            "Generated showers with weights of a discriminator",
            f"Weights {weighted_by(first)} ({first['folds']} folds); AUC of a new classifier "
            "without and with them; weights above "
            f"{first['resampling']['maximum']:g} times the mean count as that. The effective "
            "number is (sum w)^2 / sum w^2 over the number of showers.",
            ["model", "judged at", "AUC before", "AUC after", "mean weight",
             "effective number", "clipped", "largest weight", "accepted"],
            rows,
        )
    ]  # fmt: skip
