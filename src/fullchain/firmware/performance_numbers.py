"""Numbers of evaluations, for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

WORDS = {
    "balanced_accuracy": "balanced accuracy",
    "auc.macro": "AUC of a class against the rest, mean",
}
ANOMALY_WORDS = {"auc.macro": "AUC of a signal against background jets, mean"}
MEANING = (
    "The balanced accuracy is the mean over classes of the part of their jets that is assigned to "
    "them; the AUC is that of a class against an even mixture of the others (of anomaly scores: of "
    "a signal against background jets), and its mean. Errors are from a bootstrap over events; "
    "those of differences know that the jets are the same"
)


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give accuracy and mean AUC of each model, differences of points, mismatches."""
    return [metric for one in contents for metric in _metrics(one)]


def _metrics(one: Content) -> Iterator[Metric]:
    model = one["model"]
    for name, words in (ANOMALY_WORDS if one["kind"] in ANOMALY_SCORES else WORDS).items():
        value, error = one["float"]["numbers"][name]
        yield Metric(
            f"performance.{model}.float.{name}", value, error, "bootstrap",
            f"{model}, floating point: {words}",
        )  # fmt: skip
        for point, entry in one["points"].items():
            key, text = f"performance.{model}.{point}", f"{model} {point}, quantised: {words}"
            value, error = entry["quantised"]["numbers"][name]
            yield Metric(f"{key}.{name}", value, error, "bootstrap", text)
            value, error = entry["quantised"]["minus_float"][name]
            yield Metric(
                f"{key}.{name}.minus_float", value, error, "bootstrap", f"{text}, less float",
                note="paired: the same jets and replicas",
            )  # fmt: skip
    for point, entry in one["points"].items():
        for emulation, compared in entry["emulations"].items():
            yield Metric(
                f"performance.{model}.{point}.{emulation}.mismatches",
                float(compared["mismatches"]), 0.0, "count",
                f"{model} {point}: vectors whose output of {emulation} differs from the quantised",
                note=f"of {compared['vectors']} vectors",
            )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table of all points, and one of classes for each model."""
    if not contents:
        return []
    return [_overview(contents), *(_classes(one) for one in contents)]


def _overview(contents: Sequence[Content]) -> Table:
    rows: list[list[Cell]] = []
    for one in contents:
        rows.append([one["model"], "float", *_pairs(one["float"]["numbers"]), None, None, None])
        for point, entry in one["points"].items():
            quantised = entry["quantised"]
            less = quantised["minus_float"]
            main = "balanced_accuracy" if "balanced_accuracy" in less else "auc.macro"
            rows.append(
                [
                    one["model"],
                    f"{point}, quantised",
                    *_pairs(quantised["numbers"]),
                    Number(*less[main]),
                    None,
                    None,
                ]
            )
            for emulation, compared in entry["emulations"].items():
                rows.append(
                    [
                        one["model"],
                        f"{point}, {emulation}",
                        *_pairs(compared["numbers"]),
                        "equal to the quantised" if compared["equal"] else "see mismatches",
                        Number(float(compared["vectors"]), 0.0),
                        Number(float(compared["mismatches"]), 0.0),
                    ]
                )
    return Table(
        "performance",
        "Performance in floating point, quantised and emulated",
        f"{MEANING}. Less float: of the balanced accuracy, of the AUC for anomaly scores.",
        ["model", "what", "balanced accuracy", "AUC", "less float", "vectors", "mismatches"],
        rows,
    )


def _pairs(numbers: Mapping[str, Sequence[float]]) -> list[Cell]:
    return [
        Number(numbers[name][0], numbers[name][1]) if name in numbers else None for name in WORDS
    ]


def _classes(one: Content) -> Table:
    numbers = one["float"]["numbers"]
    names = [name.removeprefix("auc.") for name in numbers if name.startswith("auc.")]
    names.remove("macro")
    efficiencies = one["settings"]["efficiencies"]
    wanted = ["auc.{}"] + [f"rejection.{{}}.{efficiency:g}" for efficiency in efficiencies]
    rows: list[list[Cell]] = []
    for name in names:
        for what, found in [("float", numbers)] + [
            (point, entry["quantised"]["numbers"]) for point, entry in one["points"].items()
        ]:
            pairs = [found[template.format(name)] for template in wanted]
            rows.append(
                [
                    name,
                    what,
                    *(None if pair[0] is None else Number(pair[0], pair[1]) for pair in pairs),
                ]
            )
    heads = [rf"$1/\epsilon_B$ at $\epsilon_S$ = {efficiency:g}" for efficiency in efficiencies]
    return Table(
        f"classes_{one['model']}",
        f"Classes as {one['model']} sees them",
        f"{MEANING}. Empty: no background passes.",
        ["class", "what", "AUC", *heads],
        rows,
    )
