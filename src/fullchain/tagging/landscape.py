"""Our taggers of top quarks beside those of the literature, in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

from fullchain.stage_tables import Cell, Number, Table
from fullchain.tagging.published import BACKGROUND, SIGNAL, VALUES, WINDOW, Published

TRAINING_JETS = 1_200_000
"""Jets in the training part of the reference data set."""

LAYOUT = "top_tagging"
"""Layout of a sample that is read from the reference data set."""

TITLES = {
    "pfn": "PFN",
    "particlenet_lite": "ParticleNet-Lite, 26k weights",
    "particlenet": "ParticleNet, 366k weights",
    "part": "ParT",
    "lgatr": "L-GATr",
}
"""How a row of `VALUES` is named."""

_UNCHECKED = "value not checked there"
_PELICAN = f"PELICAN of 2307.16506; {_UNCHECKED}"
_LORENTZNET = f"LorentzNet of 2201.08187; {_UNCHECKED}"
_SLIM = f"L-GATr-slim of 2512.17011; {_UNCHECKED}"
_OMNILEARNED = f"OmniLearned of 2510.24066; {_UNCHECKED}"

OTHERS: dict[str, dict[str, Published]] = {
    "PELICAN, 1k weights": {
        "auc": Published(0.9835, None, _PELICAN),
        "rejection_30": Published(1145.0, None, _PELICAN),
    },
    "PELICAN, 3k weights": {
        "auc": Published(0.9850, None, _PELICAN),
        "rejection_30": Published(1494.0, None, _PELICAN),
    },
    "PELICAN, 11k weights": {
        "auc": Published(0.9858, None, _PELICAN),
        "rejection_30": Published(1879.0, None, _PELICAN),
    },
    "LorentzNet, 224k weights": {
        "accuracy": Published(0.942, None, _LORENTZNET),
        "auc": Published(0.9868, None, _LORENTZNET),
        "rejection_50": Published(498.0, 18.0, _LORENTZNET),
        "rejection_30": Published(2195.0, 173.0, _LORENTZNET),
    },
    "L-GATr-slim, fine-tuned": {
        "rejection_50": Published(693.0, 17.0, _SLIM),
        "rejection_30": Published(3062.0, 84.0, _SLIM),
    },
    "OmniLearned-L": {
        "rejection_50": Published(688.0, 9.0, _OMNILEARNED),
        "rejection_30": Published(3486.0, 157.0, _OMNILEARNED),
    },
}
"""Published taggers that are not among our architectures, or not as they were trained."""

PRETRAINED = ("L-GATr-slim, fine-tuned", "OmniLearned-L")
"""Those that saw other jets before those of the reference data set."""

QUANTITIES = ("accuracy", "auc", "rejection_50", "rejection_30")
COLUMNS = (
    "Tagger",
    "Training jets",
    "Accuracy",
    "AUC",
    r"$1/\epsilon_B$ at 50 %",
    r"$1/\epsilon_B$ at 30 %",
    "Uncertainty, source",
)

Measured = Mapping[str, Any]


def table(
    performances: Sequence[Measured],
    training_jets: Mapping[str, int | None],
    layouts: Mapping[str, str],
) -> Table:
    """Set our taggers beside the published ones.

    Parameters
    ----------
    performances
        Content of performance.json of each tagger; those that do not tell top quarks from light
        jets are left out.
    training_jets
        Jets that each tagger was trained on, by its name; None where a file gave its weights.
    layouts
        Layout of the files of each sample; of a generated one nothing.
    """
    ours = [one for one in performances if is_top_tagger(one)]
    rows = [row for one in ours for row in _own_rows(one, training_jets[one["tagger"]])]
    published = [
        _published_row(TITLES.get(name, name), values)
        for name, values in sorted({**VALUES, **OTHERS}.items(), key=lambda item: _order(item[1]))
    ]
    statements: dict[str, list[str]] = {}
    for one in ours:
        text = difference(one, training_jets[one["tagger"]], layouts)
        statements.setdefault(text, []).append(one["tagger"])
    caption = [
        "Accuracy at a score of 0.5, area under the ROC curve, and inverse background efficiency "
        "at 50 and 30 % signal.",
        *(f"Those of {' and '.join(names)} are {text}." for text, names in statements.items()),
        "Published values are of the top-tagging reference data set (1902.09914: Delphes, jets of "
        f"{WINDOW[0]:g}-{WINDOW[1]:g} GeV) as their source states them, most uncertainties being "
        "spreads over trainings; a dash stands where nothing is stated.",
        *_left_out(performances),
    ]
    return Table(
        "landscape",
        "Taggers of top quarks, ours and published",
        " ".join(caption),
        COLUMNS,
        [*rows, *published],
        tuple(range(len(rows))),
    )


def is_top_tagger(measured: Measured) -> bool:
    """Tell whether a tagger tells top quarks from light jets, and has no third class."""
    labels = [set(one["labels"]) for one in measured["classes"].values()]
    return len(labels) == 2 and labels[0] == SIGNAL and labels[1] <= BACKGROUND


def difference(measured: Measured, jets: int | None, layouts: Mapping[str, str]) -> str:
    """Say in which way our numbers are of other data than the published ones."""
    samples = sorted({name for one in measured["classes"].values() for name in one["samples"]})
    window = measured["selection"]
    ours = (window["pt_min"], window["pt_max"])
    same_data = all(layouts.get(name) == LAYOUT for name in samples)
    found = [] if same_data else [f"another simulation (samples {', '.join(samples)})"]
    if ours != WINDOW:
        found.append(f"jets of {ours[0]:g}-{ours[1]:g} GeV")
    if jets is None:
        found.append("weights of a file, trained elsewhere")
    elif jets < TRAINING_JETS:
        found.append(f"{jets} jets to train on instead of {TRAINING_JETS / 1e6:g} million")
    if not found:
        return "of the same data set"
    kind = "the same data set" if same_data else "another data set, and not to be compared"
    return f"of {kind}: {'; '.join(found)}"


def _left_out(performances: Sequence[Measured]) -> list[str]:
    names = [one["tagger"] for one in performances if not is_top_tagger(one)]
    if not names:
        return []
    return [f"Not in the table, for they tell other jets apart: {', '.join(names)}."]


def _own_rows(measured: Measured, jets: int | None) -> list[list[Cell]]:
    """The score itself, with the bootstrap, and the mean of single trainings with their spread."""
    values: dict[str, Cell] = {
        name: Number(measured[name]["value"], measured[name]["deviation"])
        for name in ("accuracy", "auc")
    }
    for point in measured["working_points"]:
        found = point["rejection"]
        name = f"rejection_{100 * point['signal_efficiency']:g}"
        limit = "lower" if found["is_limit"] else None
        values[name] = Number(found["value"], found["uncertainty"], limit=limit)
    number: Cell = "weights of a file" if jets is None else Number(float(jets), 0.0)
    own = f"{measured['tagger']} (ours)"
    seeds = measured["seeds"]
    if seeds is None:
        return [[own, number, *_cells(values), "bootstrap over events"]]
    text = f"mean of {seeds['number']} trainings; bootstrap over events"
    single = f"one of {seeds['number']} trainings; mean and spread of them"
    return [
        [own, number, *_cells(values), text],
        [f"{measured['tagger']} (ours), single", number, *_cells(_single(seeds)), single],
    ]


def _single(seeds: Measured) -> dict[str, Cell]:
    pairs = {name: seeds[name] for name in ("accuracy", "auc")} | {
        f"rejection_{100 * point['signal_efficiency']:g}": point["rejection"]
        for point in seeds["working_points"]
    }
    return {
        name: Number(found["mean"], found["deviation"])
        for name, found in pairs.items()
        if found["mean"] is not None
    }


def _cells(values: Mapping[str, Cell]) -> list[Cell]:
    return [values.get(name) for name in QUANTITIES]


def _published_row(title: str, values: Mapping[str, Published]) -> list[Cell]:
    cells: dict[str, Cell] = {
        name: Number(one.value, one.uncertainty, decimals=_decimals(name, one))
        for name, one in values.items()
    }
    source = next(iter(values.values())).source
    jets = "more, pre-trained" if title in PRETRAINED else Number(float(TRAINING_JETS), 0.0)
    return [title, jets, *_cells(cells), source]


def _decimals(quantity: str, one: Published) -> int:
    """Decimals that papers give: four of an area, three or four of an accuracy."""
    if quantity == "accuracy":
        return max(3, len(f"{one.value:.4f}".rstrip("0")) - 2)
    return 4 if quantity == "auc" else 0


def _order(values: Mapping[str, Published]) -> float:
    return values["rejection_30"].value
