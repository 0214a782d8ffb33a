"""A small run with the files of three stages, as their steps leave them."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fullchain.drawing import histogram
from fullchain.metrics import Metric, write_metrics
from fullchain.plotting import figure, figure_set, finish
from fullchain.step import Given

METRICS = {
    "ntuples": [
        Metric("tt.mass", 180.2, 0.9, "counting", r"mean mass of $t\bar{t}$ jets", "GeV"),
    ],
    "jets": [
        Metric("qcd.multiplicity", 55.1, 0.41, "counting", "constituents & <friends>"),
    ],
    "tagging": [
        Metric(
            "pfn.auc", 0.97642, 0.00113, "bootstrap", "PFN, area under the ROC curve",
            published=0.9819, source="arXiv:2405.14806, table 1 (50 % & more)",
            note="other jets: 1.2M of the reference data set",
        ),
        Metric(
            "pfn.rejection_30", 712.0, 96.0, "bootstrap", r"PFN, $1/\epsilon_B$ at 30 %",
            published=888.0, published_uncertainty=17.0, source="arXiv:2405.14806",
        ),
        Metric("pfn.jets", 2000.0, 0.0, "exact count", "jets"),
    ],
}  # fmt: skip


@dataclass
class Run:
    """A results folder and the arguments of the steps of the paper stage."""

    folder: Path
    stage_tables: list[Path] = field(default_factory=list)
    accounts: list[Path] = field(default_factory=list)

    @property
    def metrics(self) -> list[Path]:
        return [self.folder / stage / "metrics.json" for stage in METRICS]

    @property
    def indexes(self) -> list[Path]:
        return [self.folder / stage / "figures/index.json" for stage in METRICS]

    def paper(self, name: str) -> Path:
        return self.folder / "paper" / name

    def collect(self) -> None:
        from fullchain.paper import collect

        collect.main(
            metrics=self.metrics,
            collected=self.paper("metrics.json"),
            tables=[self.paper(f"tables/{stage}.tex") for stage in METRICS],
            numbers=self.paper("tables/numbers.tex"),
            stage_tables=self.stage_tables,
            composed=[self.paper("tables/composed.tex") for _ in self.stage_tables],
            settings=Given({}),
        )

    def figures(self) -> None:
        from fullchain.paper import figures

        figures.main(
            indexes=self.indexes,
            collected=self.paper("figures/index.json"),
            settings=Given({}),
        )

    def report(self, **paper) -> str:
        from fullchain.paper import report

        values = {"run": "small", "seed": 1, "jets": {"pt": [500, 700]}, "inference": None}
        report.main(
            metrics=self.paper("metrics.json"),
            figures=self.paper("figures/index.json"),
            tables=sorted(self.paper("tables").glob("*.tex")),
            manifests=[self.folder / "ntuples/tt/manifest.json"],
            cutflows=[self.folder / f"jets/tt/{part}.json" for part in ("0000", "0001")],
            stage_tables=self.stage_tables,
            accounts=self.accounts,
            page=self.paper("index.html"),
            graph=self.paper("dag.svg"),
            settings=Given(values | {"paper": {"headline": ["tagging.*.auc"]} | paper}),
        )
        return self.paper("index.html").read_text(encoding="utf-8")


def write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def record(folder: Path, step: str, outputs: list[str], inputs: list[str], duration=2.0) -> None:
    """Leave a provenance record as the command line does, with paths of another machine."""
    place = "results/small/"
    write_json(
        folder / (outputs[0] + ".provenance.json"),
        {
            "step": step,
            "settings": {"seed": 1},
            "code": {
                "step": step,
                "modules": {f"fullchain.{step}": "0123456789abcdef"},
                "packages": {"python": "3.11", "numpy": "2.4.0"},
            },
            "inputs": {place + path: "ab" * 32 for path in inputs},
            "outputs": [place + path for path in outputs],
            "started": "2026-11-22T04:05:06Z",
            "duration_seconds": duration,
            "cpu_seconds": duration / 2,
            "host": "node-seven",
            "platform": "Linux",
        },
    )


def _make_run(folder: Path) -> Run:
    for stage, metrics in METRICS.items():
        write_metrics(folder / stage / "metrics.json", stage, metrics)
        drawn = figure_set(folder / stage / "figures/index.json", stage)
        fig, ax = figure(3.0, 2.4)
        histogram(ax, [3, 5, 2], [0, 1, 2, 3], errors=[1, 2, 1], label=stage)
        finish(ax, xlabel="mass [GeV]", ylabel="jets")
        drawn.save(fig, "mass", f"Mass in {stage}", f"Jet mass $m_{{SD}}$ in {stage} <raw>.")
        drawn.write()
    write_json(
        folder / "ntuples/tt/manifest.json",
        {
            "sample": "tt", "layout": "nanoaod", "events": 2000, "sum_of_weights": 1.5e6,
            "cross_section_pb": 4.21, "files_skipped": 1, "parts": [{"files": [{}, {}]}],
        },
    )  # fmt: skip
    for part, left in (("0000", 700), ("0001", 650)):
        everything = {"events": 1000, "sum_of_weights": 1000.0}
        kept = {"events": left, "sum_of_weights": float(left)}
        shifted = {"events": left - 20, "sum_of_weights": left - 13.5}
        write_json(
            folder / f"jets/tt/{part}.json",
            {
                "sample": "tt",
                "part": part,
                "files_skipped": [],
                "cutflow": {
                    "nominal": {"all": everything, "one_jet": kept},
                    "jes_down": {"all": everything, "one_jet": shifted},
                },
            },
        )
    events = "ntuples/tt/0000.root"
    record(folder, "ntuples.generate", [events], [], duration=75.0)
    record(folder, "ntuples.measure", ["ntuples/metrics.json"], [events])
    record(folder, "ntuples.manifest", ["ntuples/tt/manifest.json"], [events])
    for part in ("0000", "0001"):
        record(
            folder, "jets.process", [f"jets/tt/{part}.parquet", f"jets/tt/{part}.json"], [events]
        )
    parquet = [f"jets/tt/{part}.parquet" for part in ("0000", "0001")]
    record(folder, "jets.measure", ["jets/metrics.json"], parquet)
    record(folder, "tagging.train", ["tagging/pfn/model.pt"], parquet, duration=190.0)
    record(folder, "tagging.tabulate", ["tagging/metrics.json"], ["tagging/pfn/model.pt"])
    for stage in METRICS:
        source = f"{stage}/metrics.json"
        record(folder, f"{stage}.plot", [f"{stage}/figures/index.json"], [source])
    record(folder, "tagging.old", ["tagging/forgotten.json"], parquet)
    tables = [f"paper/tables/{stage}.tex" for stage in METRICS] + ["paper/tables/numbers.tex"]
    numbers = [f"{stage}/metrics.json" for stage in METRICS]
    record(folder, "paper.collect", ["paper/metrics.json", *tables], numbers)
    indexes = [f"{stage}/figures/index.json" for stage in METRICS]
    record(folder, "paper.figures", ["paper/figures/index.json"], indexes)
    return Run(folder)


@pytest.fixture(scope="session")
def made_run(tmp_path_factory) -> Path:
    """A run made once: drawing takes the longest."""
    return _make_run(tmp_path_factory.mktemp("run") / "small").folder


@pytest.fixture
def run(made_run: Path, tmp_path: Path) -> Run:
    """A run whose steps are all done but those of the paper stage."""
    return Run(Path(shutil.copytree(made_run, tmp_path / "small")))


@pytest.fixture
def make_run():
    """Function that makes such a run in a folder."""
    return _make_run
