"""Numbers of the uncertainty of generated distributions for the metrics of the stage."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric

Content = Mapping[str, Any]


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics: how pulls are distributed, and how large the spread is."""
    found: list[Metric] = []
    for one in contents:
        for name, numbers in one["observables"].items():
            bins = numbers["bins_used"]
            key, text = f"variation.{one['model']}.{name}", f"{one['model']}, {name}: "
            note = f"{bins} bins, {one['draws']} draws of weights, {one['showers']} showers"
            error = math.sqrt(2.0 / max(bins, 1))
            for which, words in (
                ("mean_squared_pull", "mean squared pull"),
                ("mean_squared_pull_without_spread", "the same without the spread of the weights"),
            ):
                value = numbers[which]
                found.append(
                    Metric(
                        f"{key}.{which}",
                        value,
                        max(value, 1.0) * error,
                        "spread of chi-squared",
                        text + words,
                        note=note,
                    )
                )
            within = numbers["within_one"]
            found.append(
                Metric(
                    f"{key}.within_one",
                    within,
                    math.sqrt(max(within * (1 - within), 0.05) / max(bins, 1)),
                    "counting",
                    text + "part of pulls within one",
                    note=f"{note}; 0.68 where the uncertainty is right",
                )
            )
    return found
