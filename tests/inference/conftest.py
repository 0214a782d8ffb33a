"""A small analysis made of random jets: the files of earlier stages, in miniature."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fullchain.inference import analysis_settings, fit, likelihood, templates, workspace
from fullchain.inference import histfactory as hf
from fullchain.inference.differentiable import HistFactory
from fullchain.seeds import stream
from fullchain.step import Given

# mean and width of the mass [GeV], mean of the score's Gaussian, cross section [pb], label;
# the resonance has its cross section from the settings, in the place of this one
SHAPES = {
    "zprime": (168.0, 22.0, 1.2, 0.6, 5),
    "tt": (165.0, 20.0, 1.2, 1.5, 5),
    "qcd": (60.0, 40.0, -1.2, 2000.0, 0),
    "wjet": (80.0, 25.0, -0.4, 100.0, 3),
    "tt_a14": (163.0, 21.0, 1.1, 1.6, 5),
    "qcd_a14": (62.0, 41.0, -1.1, 2100.0, 0),
}
SHIFTS = {
    "nominal": (1.0, 0.0),
    "jes_up": (1.02, 0.05),
    "jes_down": (0.98, -0.05),
    "jer_up": (1.0, 0.02),
    "jer_down": (1.0, -0.02),
    "track_efficiency_down": (0.99, -0.06),
}
EVENTS = 1500


def _rows(sample: str, first: int, events: int) -> dict[str, np.ndarray]:
    mean, width, score, _, label = SHAPES[sample]
    random = stream(5, sample, first)
    mass = np.abs(random.normal(mean, width, events))
    logit = random.normal(score, 1.0, events)
    pt = random.uniform(480.0, 720.0, events)
    columns: dict[str, list[np.ndarray]] = {}
    for variation, (scale, shift) in SHIFTS.items():
        rows = {
            "run": np.ones(events, np.uint32),
            "luminosityBlock": np.full(events, 1 + first // 1000, np.uint32),
            "event": np.arange(first, first + events, dtype=np.uint64),
            "variation": np.full(events, variation),
            "jet": np.zeros(events, np.int32),
            "weight": np.full(events, 0.5),
            "pt": pt * scale,
            "msoftdrop": mass * scale,
            "label": np.full(events, label, np.int8),
            "score": 1.0 / (1.0 + np.exp(-(logit + shift))),
        }
        for name, slope in (("isr", 0.05), ("fsr", -0.1)):
            relative = 1.0 + slope * (mass - mean) / width
            showered = sample in ("tt", "qcd")
            rows[f"w_{name}_up"] = relative if showered else np.ones(events)
            rows[f"w_{name}_down"] = 2.0 - relative if showered else np.ones(events)
        for name, column in rows.items():
            columns.setdefault(name, []).append(column)
    return {name: np.concatenate(pieces) for name, pieces in columns.items()}


def write_sample(root: Path, sample: str, parts: int = 2) -> None:
    """Write jets, scores and manifest of one sample."""
    fields = {"msoftdrop": {"unit": "GeV"}}
    pieces = []
    for part in range(parts):
        rows = _rows(sample, part * EVENTS, EVENTS)
        score = rows.pop("score")
        schema = pa.schema(
            [pa.field(n, pa.array(c).type, metadata=fields.get(n)) for n, c in rows.items()]
        )
        path = root / "jets" / sample / f"{part:04d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({n: pa.array(c) for n, c in rows.items()}, schema=schema), path)
        split = np.array(["train", "validation", "test", "test"])[rows["event"] % 4]
        identity = ("run", "luminosityBlock", "event", "variation", "jet")
        pieces.append({**{n: rows[n] for n in identity}, "score": score, "split": split})
    scores = {n: np.concatenate([piece[n] for piece in pieces]) for n in pieces[0]}
    path = root / "tagging" / "pfn" / "scores" / f"{sample}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(scores), path)
    manifest = {
        "sample": sample,
        "events": parts * EVENTS,
        "sum_of_weights": 0.5 * parts * EVENTS,
        "cross_section_pb": SHAPES[sample][3],
    }
    path = root / "ntuples" / sample / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest))


class Analysis:
    """The steps of the stage on a folder of results, with settings changed at will."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "inference"

    def given(self, **changes: Any) -> Given:
        values = analysis_settings.Analysis(**{"tagger": "pfn", **changes}).model_dump(mode="json")
        taggers = {"pfn": {"classes": {"top": {"samples": ["tt"]}, "qcd": {"samples": ["qcd"]}}}}
        return Given(
            {
                "seed": 3,
                "inference": {"analyses": {"search": values}},
                "tagging": {"taggers": taggers},
            }
        )

    def fill(self, **changes: Any) -> Path:
        templates.main(
            jets=sorted((self.root / "jets").glob("*/*.parquet")),
            scores=sorted((self.root / "tagging" / "pfn" / "scores").glob("*.parquet")),
            manifests=sorted((self.root / "ntuples").glob("*/manifest.json")),
            analysis="search",
            templates=self.out / "templates.root",
            summary=self.out / "templates.json",
            settings=self.given(**changes),
        )
        return self.out / "templates.root"

    def build(self, name: str = "workspace", **changes: Any) -> dict[str, Any]:
        workspace.main(
            analysis="search",
            templates=self.out / "templates.root",
            summary=self.out / "templates.json",
            workspace_json=self.out / f"{name}.json",
            report=self.out / f"{name}_report.json",
            patchset=self.out / f"{name}_patchset.json",
            settings=self.given(**changes),
        )
        return dict(json.loads((self.out / f"{name}.json").read_text()))

    def report(self, name: str = "workspace") -> dict[str, Any]:
        return dict(json.loads((self.out / f"{name}_report.json").read_text()))

    def fit(self, name: str = "workspace") -> dict[str, Any]:
        fit.main(
            workspace=self.out / f"{name}.json",
            report=self.out / f"{name}_report.json",
            analysis="search",
            fit_json=self.out / f"{name}_fit.json",
            settings=Given({"inference": {"results": {"fit": {}}}}),
        )
        return dict(json.loads((self.out / f"{name}_fit.json").read_text()))


def small_specification(
    signal: Any, background: Any, observed: Any, modifiers: Any = (), signal_modifiers: Any = ()
) -> dict[str, Any]:
    """A workspace of one region with the samples `s`, scaled by `mu`, and `b`."""
    signal, background = list(map(float, signal)), list(map(float, background))
    samples = [
        {"name": "s", "data": signal, "modifiers": [hf.normfactor("mu"), *signal_modifiers]},
        {"name": "b", "data": background, "modifiers": list(modifiers)},
    ]
    return hf.workspace(
        [{"name": "region", "samples": samples}],
        {"region": np.array(observed, dtype=float)},
        poi="mu",
        poi_range=(-20.0, 20.0),
        luminosity_uncertainty=0.02,
    )


def rich_specification(
    *, observed: Any = (105.0, 90.0, 80.0), scale: float = 1.0
) -> dict[str, Any]:
    """Three bins of signal on background with many kinds of modifier."""
    background = hf.Template(
        scale * np.array([100.0, 60.0, 40.0]), scale * np.array([25.0, 16.0, 9.0])
    )
    modifiers = [
        hf.lumi(),
        hf.log_normal("normalisation", 0.1),
        hf.normsys("scale", 1.05, 0.96),
        hf.histosys(
            "scale", scale * np.array([95.0, 62.0, 43.0]), scale * np.array([105.0, 58.0, 37.0])
        ),
        hf.staterror("simulation", background),
    ]
    return small_specification(
        scale * np.array([5.0, 30.0, 40.0]),
        background.values,
        scale * np.array(observed),
        modifiers=modifiers,
        signal_modifiers=[hf.lumi()],
    )


class Small:
    """Makers of small models: each gives the likelihood and its data."""

    specification = staticmethod(small_specification)
    rich_specification = staticmethod(rich_specification)

    @staticmethod
    def of(specification: dict[str, Any]) -> tuple[HistFactory, Any]:
        model, data = likelihood.load_model(specification)
        return HistFactory(model), data

    def model(self, *arguments: Any, **options: Any) -> tuple[HistFactory, Any]:
        return self.of(small_specification(*arguments, **options))

    def rich(self, **options: Any) -> tuple[HistFactory, Any]:
        return self.of(rich_specification(**options))

    @staticmethod
    def asimov(model: HistFactory, mu: float) -> Any:
        point = model.init.clone()
        point[model.poi] = mu
        return model.expected_data(point).numpy()


@pytest.fixture(scope="session")
def small() -> Small:
    """Makers of small models."""
    return Small()


@pytest.fixture
def one_sample():
    """The writer of one sample, for tests that spoil its files."""
    return write_sample


@pytest.fixture(scope="session")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Files of all samples, with templates filled; tests write under names of their own."""
    root = tmp_path_factory.mktemp("analysis")
    for sample in SHAPES:
        write_sample(root, sample)
    made = Analysis(root)
    made.fill()
    return made
