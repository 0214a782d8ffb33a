"""What the taggers cost, in one table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fullchain.stage_tables import Cell, Number, Table

Cost = Mapping[str, Any]


def table(costs: Sequence[Cost]) -> Table:
    """Set size, operations, rates and memory of all taggers side by side.

    `costs` holds the content of cost.json of each tagger, all with the same batch sizes.
    """
    batches = [rate["batch"] for rate in costs[0]["torch"]["rates"]]
    rows = [_row(one, runtime) for one in costs for runtime in ("torch", "onnxruntime")]
    threads = costs[0]["threads"]
    return Table(
        "cost",
        "What a tagger costs",
        "Size and operations are those of one training, rates and memory those of the score, the "
        "mean of all trainings. Operations are products and sums in matrix products, convolutions "
        "and attention, each counting one, the mean over jets without their padding where the "
        "network leaves it out; norms, activations and searches for neighbours are not counted. Of "
        "trees they are the comparisons on the way of a jet, and the size is the number of nodes. "
        "Rates are of the model on tensors that are ready: neither reading nor reclustering nor "
        "observables count. Each is the median of repeats, in brackets their central 68 %, on the "
        f"CPU with {threads} {'thread' if threads == 1 else 'threads'}. Memory is what the process "
        f"holds at most beyond what it held before, while it scores {max(batches)} jets at once. "
        "Rates and memory depend on the machine and on its load, and differ from run to run.",
        (
            "Tagger",
            "Runtime",
            "Trainings",
            "Weights or nodes",
            "Operations for a jet",
            *(f"jets/s, {batch} at once" for batch in batches),
            "Memory [MB]",
        ),
        rows,
    )


def _row(cost: Cost, runtime: str) -> list[Cell]:
    found, operations = cost[runtime], cost["operations"]
    memory = found["memory_mb"]
    return [
        cost["tagger"],
        runtime,
        Number(float(cost["trainings"]), 0.0),
        Number(float(cost["size"]["value"]), 0.0),
        Number(operations["value"], operations["deviation"]),
        *(_interval(rate) for rate in found["rates"]),
        None if memory is None else Number(round(memory["added"], 1)),
    ]


def _interval(rate: Mapping[str, float]) -> str:
    """Median and interval of a rate, which on a busy machine lies far from its middle."""
    median, low, high = (_two_digits(rate[name]) for name in ("median", "low", "high"))
    return f"{median} ({low} – {high})"


def _two_digits(value: float) -> str:
    """Round to two digits, without a power of ten.

    Examples
    --------
    >>> _two_digits(2537.0), _two_digits(3.14159), _two_digits(0.0123)
    ('2500', '3.1', '0.012')
    """
    places = 1 - math.floor(math.log10(value))
    return f"{round(value, places):.{max(places, 0)}f}"
