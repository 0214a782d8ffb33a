"""Jets and scores of a tagger that has learned the mass, and the steps of a flow on their files."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from fullchain.decorrelation import flatten, transform
from fullchain.decorrelation.method_settings import ClassifierSettings, FlowSettings
from fullchain.learning import split
from fullchain.step import Given
from fullchain.tagging import members
from fullchain.tagging.score_files import ScoreWriter, named_columns
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import SplitSettings, TaggerSettings

EVENTS = 4800
SEED = 5
TYPES = {
    "run": pyarrow.uint32(),
    "luminosityBlock": pyarrow.uint32(),
    "event": pyarrow.uint64(),
    "variation": pyarrow.string(),
    "jet": pyarrow.int32(),
    "label": pyarrow.int8(),
    "label_fully_contained": pyarrow.bool_(),
}
TRAINING = {
    "epochs": 16,
    "batch_size": 128,
    "learning_rate": 0.03,
    "schedule": "one_cycle",
    "patience": 16,
}

Columns = dict[str, np.ndarray]


def jets_of(sample: str) -> Columns:
    """One jet of each event, two of each tenth, every eighth in another variation."""
    rng = np.random.default_rng(1 if sample == "qcd" else 2)
    event = np.sort(np.concatenate([np.arange(EVENTS), np.arange(0, EVENTS, 10)]))
    jets = len(event)
    signal = sample != "qcd"
    mass = rng.normal(85, 12, jets) if signal else 40 + rng.exponential(70, jets)
    return {
        "run": np.ones(jets, dtype=int),
        "luminosityBlock": np.ones(jets, dtype=int),
        "event": event + (0 if signal else 10**6),
        "variation": np.where(np.arange(jets) % 8 == 7, "jes_up", "nominal"),
        "jet": np.append(0, np.diff(event) == 0).astype(int),
        "weight": rng.uniform(0.5, 1.5, jets),
        "pt": rng.uniform(450, 750, jets),
        "eta": rng.uniform(-2.2, 2.2, jets),
        "phi": rng.uniform(-3, 3, jets),
        "mass": mass,
        "msoftdrop": mass,
        "label": np.full(jets, 3 if signal else 0),
        "label_fully_contained": np.full(jets, signal),
    }


def probabilities_of(columns: Columns, seeds: int, classes: int) -> np.ndarray:
    """Scores of a tagger that has learned the mass, (seeds, jets, classes); one jet has none."""
    rng = np.random.default_rng(3)
    jets = len(columns["event"])
    logit = 2.0 - np.abs(columns["msoftdrop"] - 85) / 25 + 1.5 * (columns["label"] == 3) - 2.0
    common = rng.normal(size=jets)
    result = []
    for _ in range(seeds):
        signal = 1 / (1 + np.exp(-logit - common - 0.3 * rng.normal(size=jets)))
        rest = rng.dirichlet(np.ones(classes - 1), jets) * (1 - signal)[:, None]
        result.append(np.concatenate([signal[:, None], rest], axis=1))
    found = np.stack(result).astype(np.float32)
    # Outside of the selection, as jets without particles are.
    found[:, columns["pt"] == columns["pt"].min()] = np.nan
    return found


def write(folder: Path, sample: str, tagger: TaggerSettings) -> tuple[Path, Path]:
    """Write jets and scores of a sample."""
    columns = jets_of(sample)
    jets, scores = folder / f"{sample}.jets.parquet", folder / f"{sample}.scores.parquet"
    table = {
        name: pyarrow.array(column.tolist(), type=TYPES.get(name, pyarrow.float32()))
        for name, column in columns.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(table), jets, row_group_size=500)
    hashes = split.fold(columns["run"], columns["luminosityBlock"], columns["event"], SEED)
    own = {
        **columns,
        "fold": hashes,
        "split": members.recorded_parts(hashes, tagger.folds, SplitSettings(), sample),
    }
    found = probabilities_of(columns, tagger.seeds, len(tagger.classes))
    with ScoreWriter(scores, tagger.class_names, tagger.seeds) as writer:
        writer.write({**own, **named_columns(found, tagger.class_names)})
    return jets, scores


def tagger_of(seeds: int, classes: int = 2, folds: int = 1) -> TaggerSettings:
    own = {"W": {"samples": ["wjet"], "labels": ["W"]}}
    labels = {2: (["gluon", "light", "b"],), 3: (["gluon"], ["light", "b"])}[classes]
    own |= {f"qcd{k}": {"samples": ["qcd"], "labels": list(one)} for k, one in enumerate(labels)}
    return TaggerSettings.model_validate(
        {"classes": own, "signal": "W", "seeds": seeds, "folds": folds}
    )


def values_of(tagger: TaggerSettings, **flow: Any) -> dict[str, Any]:
    method = FlowSettings.model_validate({"layers": (32,), "training": TRAINING, **flow})
    chosen = ClassifierSettings(tagger="w", method=method)
    return {
        "seed": SEED,
        "tagging": {
            "selection": SelectionSettings().model_dump(mode="json"),
            "taggers": {"w": tagger.model_dump(mode="json")},
            "evaluation": {"alternatives": {"other": {"qcd": "stand_in"}}},
        },
        "decorrelation": {
            "against": ["msoftdrop"],
            "classifiers": {"flow": chosen.model_dump(mode="json")},
        },
    }


class Study:
    """Files of one tagger, and the steps on them."""

    def __init__(self, folder: Path, tagger: TaggerSettings, **flow: Any) -> None:
        self.folder, self.tagger = folder, tagger
        self.values = values_of(tagger, **flow)
        self.samples = ("wjet", "qcd")
        self.files = {sample: write(folder, sample, tagger) for sample in self.samples}

    def flatten(self, member: str = "mean", classifier: str = "flow") -> Path:
        path = self.folder / member / "flow.pt"
        path.parent.mkdir(exist_ok=True)
        flatten.main(
            jets=[self.files[sample][0] for sample in self.samples],
            samples=list(self.samples),
            scores=[self.files[sample][1] for sample in self.samples],
            classifier=classifier,
            member=member,
            flow=path,
            history=path.with_name("history.json"),
            settings=Given(self.values),
        )
        return path

    def transform(self, sample: str, flows: list[Path], name: str = "new") -> Path:
        path = self.folder / f"{sample}.{name}.parquet"
        transform.main(
            jets=[self.files[sample][0]],
            sample=sample,
            scores=self.files[sample][1],
            flows=flows,
            transformed=path,
            settings=Given(self.values),
        )
        return path
