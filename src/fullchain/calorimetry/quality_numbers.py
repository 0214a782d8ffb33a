"""Quality and time of all models beside each other, and beside published ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fullchain.calorimetry.classifier_settings import TREES
from fullchain.calorimetry.published_models import KIND, published, statement
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]
Value = tuple[float, float]


@dataclass(frozen=True)
class Entry:
    """What is known of one model; values are (value, error).

    Parameters
    ----------
    name, role
        `role` is model, reference (the full simulation judged against itself) or simulation (what
        makes the showers, whose time only is known).
    auc
        By level.
    mode
        Of the classifiers.
    fpd
        Frechet distance.
    cpu_ms
        CPU time for a shower by batch size [ms].
    parameters, evaluations
        Numbers.
    """

    name: str
    role: str
    auc: Mapping[str, Value]
    mode: str
    fpd: Value | None
    cpu_ms: Mapping[int, Value]
    parameters: int | None
    evaluations: int | None


@dataclass(frozen=True)
class Group:
    """What is known of one set of showers.

    Parameters
    ----------
    voxels
        Their number, 0 where no file of classifiers or timing says it.
    kind
        Of the set, if it is known.
    models
        The simulation first.
    """

    voxels: int
    kind: str | None
    models: list[Entry]


def groups(
    evaluation: Sequence[Content], classifiers: Sequence[Content], timing: Sequence[Content]
) -> dict[str, Group]:
    """Put together what the three kinds of files say of each set that was judged or timed."""
    found: dict[str, dict[tuple[str, str], dict[str, Content]]] = {}
    voxels: dict[str, int] = {}
    kinds: dict[str, str | None] = {}
    for kind, contents in (
        ("timing", timing), ("classifiers", classifiers), ("evaluation", evaluation),
    ):  # fmt: skip
        for content in contents:
            models = found.setdefault(content["set"], {})
            models.setdefault((content["role"], content["name"]), {})[kind] = content
            kinds[content["set"]] = content.get(KIND)
            if kind != "evaluation":
                voxels[content["set"]] = int(content["geometry"]["voxels"])
    order = ("simulation", "reference", "model")
    return {
        name: Group(
            voxels.get(name, 0),
            kinds[name],
            [
                _entry(model, role, models[role, model])
                for role, model in sorted(models, key=lambda key: order.index(key[0]))
            ],
        )
        for name, models in found.items()
    }


def _entry(name: str, role: str, files: Mapping[str, Content]) -> Entry:
    judged, timed = files.get("classifiers"), files.get("timing")
    fpd = files["evaluation"]["distances"]["fpd"] if "evaluation" in files else None
    levels = judged["levels"] if judged else {}
    times = timed["times"] if timed else []
    return Entry(
        name,
        role,
        _areas(levels),
        judged["mode"] if judged else "",
        (fpd["value"], fpd["error"]) if fpd else None,
        {one["batch"]: (one["cpu_ms"][0], one["cpu_ms"][1]) for one in times},
        timed.get("parameters") if timed else None,
        timed.get("evaluations") if timed else None,
    )


def words_of(entry: Entry) -> str:
    """Name of a row."""
    if entry.role == "reference":
        return "full simulation against itself"
    return f"{entry.name} (the simulation)" if entry.role == "simulation" else entry.name


def tables(
    evaluation: Sequence[Content], classifiers: Sequence[Content], timing: Sequence[Content]
) -> list[Table]:
    """Give a table of each set of showers. It holds times, which differ from run to run."""
    several = groups(evaluation, classifiers, timing)
    processors = sorted({str(one["processor"]) for one in timing})
    threads = sorted({int(one["threads"]) for one in timing})
    return [_table(name, group, processors, threads) for name, group in several.items()]


def _table(name: str, group: Group, processors: Sequence[str], threads: Sequence[int]) -> Table:
    models = group.models
    _, known = published(group.voxels)
    batches = sorted({batch for one in models for batch in one.cpu_ms} | {1, 100, 10000})
    rows: list[list[Cell]] = [_row(one, batches) for one in models]
    for model in known:
        times = dict(zip((1, 100, 10000), model.cpu_ms or (), strict=False))
        rows.append(
            [
                f"{model.name} (published)",
                Number(model.low, None, 3),
                Number(model.high, None, 3),
                None if model.fpd is None else Number(1e3 * model.fpd, None, 2),
                *(Number(times[batch], None, 2) if batch in times else None for batch in batches),
                None if model.parameters is None else Number(model.parameters / 1e6, None, 2),
                None,
            ]
        )
    modes = " and ".join(sorted({one.mode for one in models if one.mode}))
    text = "AUC of low- and high-level classifiers"
    if modes:
        text += f" ({modes} mode, or boosted trees where their area is larger)"
    text += ", FPD x 1000, CPU time for a shower [ms] at batches of several sizes"
    if processors:
        text += f" ({', '.join(processors)}; threads: {', '.join(map(str, threads))})"
    text += (
        ", trained parameters [millions], and how often the busiest layer runs for one batch. "
        "Times are medians with errors of repeated measurements; what is missing was not measured."
    )
    if known:
        text += f" {statement(group.kind, group.voxels)}."
    return Table(
        f"quality_{name}",
        f"Quality and time, {name}",
        text,
        ["model", "AUC, low level", "AUC, high level", "FPD",
         *(f"ms, batch {batch}" for batch in batches), "parameters", "evaluations"],
        rows,
        [place for place, one in enumerate(models) if one.role == "model"],
    )  # fmt: skip


def _row(one: Entry, batches: Sequence[int]) -> list[Cell]:
    def cells() -> Iterator[Cell]:
        yield words_of(one)
        for level in ("low", "high"):
            yield Number(*one.auc[level]) if level in one.auc else None
        yield Number(1e3 * one.fpd[0], 1e3 * one.fpd[1]) if one.fpd else None
        for batch in batches:
            yield Number(*one.cpu_ms[batch]) if batch in one.cpu_ms else None
        yield None if one.parameters is None else Number(one.parameters / 1e6, None, 3)
        yield None if one.evaluations is None else Number(one.evaluations, None, 0)

    return list(cells())


def _areas(levels: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Area of each level: that of network or trees, whichever is larger."""
    found: dict[str, tuple[float, float]] = {}
    for name, one in levels.items():
        level, area = name.removesuffix(TREES), (one["auc"][0], one["auc"][1])
        found[level] = max(area, found.get(level, area))
    return found
