"""Numbers of quantised networks for metrics and tables of the stage.

They are those of points as `point_files.by_point` gives them, with `census` and `quantisation`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

METHODS = {"aware": "trained with rounding", "post": "rounded after training"}


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give resources and saturation of each point."""
    return [metric for one in contents for metric in _of(one)]


def _of(one: Content) -> Iterator[Metric]:
    key, name = f"network.{one['model']}.{one['point']}", f"{one['model']} {one['point']}"
    census, overflow = one["census"], one["quantisation"]["overflow"]
    counts = (
        ("ebops", census["ebops"], "effective bit operations", None),
        (
            "weights", census["weights"] - census["zero_weights"], "weights that are not 0",
            f"of {census['weights']}",
        ),
        (
            "saturating", sum(entry["count"] for entry in overflow.values()),
            "values that saturate", "inputs and all layers, jets of the validation part",
        ),
    )  # fmt: skip
    for word, value, label, note in counts:
        yield Metric(f"{key}.{word}", float(value), 0.0, "count", f"{name}: {label}", note=note)


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table of bit widths and EBOPs, one row for each layer of each point."""
    if not contents:
        return []
    rows = [row for one in contents for row in _rows(one)]
    return [
        Table(
            "network_bits",
            "Bits of the quantised networks",
            "Mean bits and, in brackets, largest bits: weights from their first to their last 1 "
            "without the sign (0: pruned), activations the width of their format with the sign. "
            "EBOPs are exact for the network as it is exported; saturating values are those of the "
            "validation part.",
            [
                "model, point, layer", "method", "weights", "biases", "activations",
                "weights not 0 [%]", "EBOPs", "saturating [%]",
            ],
            rows,
        )
    ]  # fmt: skip


def _rows(one: Content) -> Iterator[list[Cell]]:
    method = METHODS[one["quantisation"]["settings"]["method"]]
    ebops = {layer["name"]: layer["ebops"] for layer in one["census"]["layers"]}
    for layer, entry in one["census"]["bits"].items():
        overflow = one["quantisation"]["overflow"].get(layer)
        used: Cell = None
        if "weight" in entry:
            numbers = entry["weight"]["numbers"]
            used = Number(100 * (1 - numbers[0] / sum(numbers)), 0.0, 1)
        saturating: Cell = None
        if overflow is not None and overflow["values"]:
            saturating = Number(100 * overflow["count"] / overflow["values"], 0.0, 2)
        yield [
            f"{one['model']}, {one['point']}, {layer}",
            method,
            *(_bits(entry, part) for part in ("weight", "bias", "activation")),
            used,
            None if layer == "inputs" else Number(ebops[layer], 0.0, 0),
            saturating,
        ]


def _bits(entry: Content, part: str) -> Cell:
    if part not in entry:
        return None
    return f"{entry[part]['mean']:.2f} ({entry[part]['largest']})"
