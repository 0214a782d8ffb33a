"""Numbers of the conversion with hls4ml for the metrics and tables of the stage."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]


def metrics(contents: Mapping[str, Content]) -> list[Metric]:
    """Give the metrics; `contents` are hls4ml.json by name of model and point."""
    return [metric for name, one in contents.items() for metric in _of(name, one)]


def _of(name: str, one: Content) -> Iterator[Metric]:
    note = f"{one['settings']['io_type']}, {one['settings']['strategy']}"
    if one["mode"] != "exact":
        note += f", precision by hand: {one['settings']['precision']['default']}"
    for backend, entry in one["emulations"].items():
        key, words = f"hls4ml.{name}.{backend.lower()}", f"{name}, hls4ml for {backend}"
        yield Metric(
            f"{key}.vectors", entry["vectors"], 0.0, "count", f"{words}: vectors compared",
            note=note,
        )  # fmt: skip
        yield Metric(
            f"{key}.mismatches", entry["mismatches"], 0.0, "count",
            f"{words}: vectors that differ from the network", note=note,
        )  # fmt: skip
        agreement = entry["float"]["jets_agreement"]
        if agreement is not None and agreement[1]:
            value, error = fraction(*agreement)
            yield Metric(
                f"{key}.float_agreement", value, error, "binomial",
                f"{words}: part of jets with the class that float gives", note=note,
            )  # fmt: skip


def fraction(part: int, everything: int) -> tuple[float, float]:
    """Give part / everything, and the standard deviation of its posterior with a flat prior.

    It is not 0 where all or none are in the part.
    """
    variance = (part + 1) * (everything - part + 1) / ((everything + 2) ** 2 * (everything + 3))
    return part / everything, float(variance**0.5)


def tables(contents: Mapping[str, Content]) -> list[Table]:
    """Give a table of all emulations, and one of the layers of each network."""
    if not contents:
        return []
    return [_emulations(contents), *(_layers(name, one) for name, one in contents.items())]


def _emulations(contents: Mapping[str, Content]) -> Table:
    rows: list[list[Cell]] = []
    for name, one in contents.items():
        for backend, project in one["projects"].items():
            entry = one["emulations"].get(backend)
            chosen = one["settings"]
            counts: list[Cell] = ["not emulated", None, None, None]
            if entry is not None:
                counts = [
                    Number(entry["vectors"], 0.0),
                    Number(entry["mismatches"], 0.0),
                    entry["first_layer_that_differs"] or "none",
                    Number(entry["float"]["largest_difference"], 0.0, decimals=6),
                ]
            kept = sum(layer["kind"] != "Input" for layer in project["layers"])
            said = f"{chosen['io_type']}, {chosen['strategy']}"
            rows.append([name, backend, said, Number(kept, 0.0), *counts])
    return Table(
        "hls4ml_emulations",
        "Emulation of the C++ code of hls4ml against the fixed-point networks",
        "Vectors compared bit by bit (jets of the test part, random and extreme inputs), and the "
        "largest difference of an output from a float evaluation of the same weights. Projects "
        "for oneAPI need Intel's compiler to be emulated; their types are checked to be those of "
        "the emulated project.",
        [
            "model", "backend", "settings", "layers in hls4ml", "vectors", "mismatches",
            "first layer that differs", "largest difference from float",
        ],
        rows,
    )  # fmt: skip


def _layers(name: str, one: Content) -> Table:
    backend, entry = next(iter(one["emulations"].items()))
    rows: list[list[Cell]] = []
    for layer in entry["layers"]:
        held = layer["format"] if one["mode"] == "exact" else layer["types"].get("result")
        bits: Cell = "exact sum" if layer["kind"] != "flatten" else "as before"
        if held is not None:
            low, high = held["bits"]
            bits = f"{low}" if low == high else f"{low} to {high}"
        overflow = max((counts["jets"] for counts in layer["overflows"].values()), default=None)
        traced = layer["hls4ml"] is not None
        rows.append(
            [
                layer["name"],
                layer["kind"].replace("_", " "),
                bits,
                None if held is None else Number(held["pruned"], 0.0),
                Number(layer["mismatches"], 0.0) if traced else None,
                Number(layer["largest_difference"], 0.0, decimals=6) if traced else None,
                Number(layer["largest_difference_from_float"], 0.0, decimals=6) if traced else None,
                None if overflow is None else Number(overflow, 0.0),
                Number(layer["values"]["jets"], 0.0),
            ]
        )
    return Table(
        f"hls4ml_layers_{_word(name)}",
        f"{name}: every layer of the emulation for {backend}",
        "Bits of the outputs of a layer, pruned outputs, vectors whose outputs differ from the "
        "fixed-point network, largest differences from it and from a float evaluation without "
        "rounding, and values of jets that saturate or overflow. A layer without code of its own "
        "has no entries.",
        [
            "layer", "kind", "bits", "pruned", "mismatches", "largest difference",
            "largest difference from float", "values beyond the format", "values",
        ],
        rows,
    )  # fmt: skip


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)
