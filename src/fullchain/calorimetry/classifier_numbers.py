"""Numbers of classifiers of showers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry.classifier_settings import TREES
from fullchain.calorimetry.published_models import (
    KIND,
    SOURCE,
    PublishedModel,
    beside,
    note,
    published,
)
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

LEVELS = {
    "low": "low level",
    "low" + TREES: "low level, boosted trees",
    "high": "high level",
    "high" + TREES: "high level, boosted trees",
}
"""What classifiers see; trees see what the network of their level does."""


def kind_of_classifier(level: str, mode: str) -> str:
    """Say what judges at a level.

    Examples
    --------
    >>> kind_of_classifier("low", "lite"), kind_of_classifier("low_trees", "lite")
    ('classifier in lite mode', 'boosted trees')
    """
    return "boosted trees" if level.endswith(TREES) else f"classifier in {mode} mode"


def by_set(contents: Sequence[Content]) -> dict[str, list[Content]]:
    """Contents of each set of showers, the references first."""
    found: dict[str, list[Content]] = {}
    for content in contents:
        found.setdefault(content["set"], []).append(content)
    return {
        name: sorted(some, key=lambda one: one.get("role") != "reference")
        for name, some in found.items()
    }


def key_of(content: Content) -> str:
    """Beginning of the names of metrics: references of several sets may have one name."""
    if content["role"] == "reference":
        return f"classifiers.{content['set']}.reference"
    return f"classifiers.{content['name']}"


def words_of(content: Content) -> str:
    """What is judged."""
    if content["role"] == "reference":
        return f"{content['set']}, full simulation against itself"
    return str(content["name"])


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics."""
    return [metric for content in contents for metric in _of(content)]


def _of(content: Content) -> Iterator[Metric]:
    other = _beside(content)
    for level, found in content["levels"].items():
        key, text = f"{key_of(content)}.{level}", f"{words_of(content)}, {LEVELS[level]}"
        kind = "bootstrap" if len(found["starts"]) == 1 else "bootstrap and starts"
        words = f"{kind_of_classifier(level, content['mode'])}; 0.5 where nothing is told apart"
        fields: dict[str, Any] = {}
        if other is not None and not level.endswith(TREES):
            about = note(content.get(KIND), content["geometry"]["voxels"])
            words += f"; published: {other.name}, official mode, {about}"
            theirs = other.low if level == "low" else other.high
            fields = {"published": theirs, "source": SOURCE}
        value, error = found["auc"]
        yield Metric(f"{key}.auc", value, error, kind, f"{text}: AUC", note=words, **fields)
        value, error = found["jsd"]
        yield Metric(
            f"{key}.jsd", value, error, kind, f"{text}: Jensen-Shannon divergence", unit="bits",
            note="as far as the classifier sees it; 0 where nothing is told apart",
        )  # fmt: skip
        value, error = found["calibration"]["error"]
        yield Metric(
            f"{key}.calibration", value, error, "bootstrap",
            f"{text}: expected calibration error",
            note=f"if perfect {found['calibration']['error_if_perfect']:.2g}",
        )  # fmt: skip


def _beside(content: Content) -> PublishedModel | None:
    voxels = content["geometry"]["voxels"]
    known = {model.name: model for model in published(voxels)[1]}
    return known.get(beside(content["role"], voxels))


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table of each set of showers."""
    return [_table(name, some) for name, some in by_set(contents).items()]


def _table(name: str, contents: Sequence[Content]) -> Table:
    levels = [level for level in LEVELS if any(level in one["levels"] for one in contents)]
    quantities = ("auc", "auc_uncalibrated", "jsd")
    rows: list[list[Cell]] = []
    for content in contents:
        cells = [
            Number(*content["levels"][level][quantity]) if level in content["levels"] else None
            for level in levels
            for quantity in quantities
        ]
        rows.append([words_of(content), content["mode"], *cells])
    showers = ", ".join(sorted({str(one["showers"]["of_each_kind"]) for one in contents}))
    return Table(
        f"classifiers_{name}",
        f"Classifiers of generated and simulated showers, {name}",
        f"From {showers} showers of each kind, a part of which tests; errors by bootstrap over "
        "these, and over starts where there are several. Networks see little with so few showers, "
        "most of all at the low level: of network and trees the larger area counts. AUC after "
        "isotonic calibration as in the CaloChallenge, and as learned; Jensen-Shannon divergence "
        "in bits.",
        [
            "showers",
            "mode",
            *(
                f"{words}, {LEVELS[level]}"
                for level in levels
                for words in ("AUC", "AUC as learned", "JSD")
            ),
        ],
        rows,
        [place for place, one in enumerate(contents) if one["role"] != "reference"],
    )
