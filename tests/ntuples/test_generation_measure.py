"""Numbers and figures of the stage: what is measured is what the files hold."""

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.metrics import read_metrics
from fullchain.ntuples import figures, measure, plot
from fullchain.ntuples.densities import cms_reference
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.step import Given

EVENTS = 40
SETTINGS = Given({"ntuples": {"measurement": {}}})


def write_sample(folder: Path, name: str, *, pileup: int, weights: int) -> Path:
    """A sample of 300 candidates an event, in one file, with its manifest."""
    random = np.random.default_rng(1)
    number, jets = np.full(EVENTS, 300), np.full(EVENTS, 2)

    def jagged(counts: np.ndarray, values: np.ndarray) -> ak.Array:
        return ak.unflatten(values, counts)

    total = int(number.sum())
    codes = np.where(np.arange(total) % 3 == 0, 22, 211)
    columns = {
        "PFCands": ak.zip(
            {
                "pt": jagged(number, random.exponential(0.6, total)),
                "eta": jagged(number, random.uniform(-2.5, 2.5, total)),
                "phi": jagged(number, random.uniform(-3.1, 3.1, total)),
                "pdgId": jagged(number, codes),
            }
        ),
        "FatJet": ak.zip(
            {
                key: jagged(jets, random.uniform(-1, 1, 2 * EVENTS) + (200.0 * (key == "pt")))
                for key in ("pt", "eta", "phi")
            }
        ),
        "Pileup_nPU": np.full(EVENTS, pileup),
        "PV_npvs": np.full(EVENTS, pileup // 2 + 1),
        "PSWeight": jagged(
            np.full(EVENTS, weights), 1.0 + 0.1 * random.standard_normal(EVENTS * weights)
        ),
    }
    (folder / name).mkdir()
    with uproot.recreate(folder / name / "0000.root") as file:
        types = {name: ak.type(ak.Array(c)).content for name, c in columns.items()}
        file.mktree("Events", types).extend(columns)
    content = {
        "sample": name,
        "events": EVENTS,
        "sum_of_weights": float(EVENTS),
        "cross_section_pb": 2.0,
        "generator": {"cross_section_error_pb": 0.1, "process": "qcd"},
        "parts": [{"files": [{"path": "0000.root", "tree": "Events"}]}],
    }
    path = folder / name / "manifest.json"
    path.write_text(json.dumps(content))
    return path


def write_ingested(folder: Path) -> Path:
    content = {"sample": "data", "events": 7, "sum_of_weights": 7.0, "cross_section_pb": None}
    path = folder / "data.json"
    path.write_text(json.dumps({**content, "parts": []}))
    return path


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, Path]:
    manifests = [
        write_sample(tmp_path, "qcd", pileup=0, weights=4),
        write_sample(tmp_path, "qcd_pu50", pileup=50, weights=1),
        write_ingested(tmp_path),
    ]
    metrics, numbers = tmp_path / "metrics.json", tmp_path / "numbers.json"
    measure.main(manifests=manifests, metrics=metrics, numbers=numbers, settings=SETTINGS)
    return metrics, numbers


def test_numbers_are_those_of_the_files(measured: tuple[Path, Path]) -> None:
    stage, rows = read_metrics(measured[0])
    found = {row.name: row for row in rows}
    assert stage == "ntuples"
    assert found["data.events"].value == 7
    assert found["qcd.cross_section"].value == 2.0
    assert found["qcd.candidates"].value == 300
    composition = json.loads(measured[1].read_text())["samples"]["qcd"]["candidates"]
    assert composition["photon"][0] == pytest.approx(100, abs=0.5)
    assert composition["charged"][0] == pytest.approx(200, abs=0.5)
    effective = found["qcd.effective_statistics.fsr_up"]
    assert effective.value == pytest.approx(1 / 1.01, abs=0.01)
    assert 0 < effective.uncertainty < 0.02
    assert "qcd.pileup_density.photon.barrel" not in found
    density = found["qcd_pu50.pileup_density.photon.barrel"]
    # 100 photons over |eta| < 2.5, 51 interactions.
    assert density.value == pytest.approx(100 / (5 * 2 * 3.1) / 51, rel=0.10)
    reference = cms_reference()
    assert density.published == reference["densities"]["photon.barrel"]["density"]
    assert density.source == reference["source"]
    # The sample has no neutral hadrons and nothing beyond |eta| = 2.5.
    worst = found["qcd_pu50.pileup_spectrum.worst_ratio"]
    assert worst.value == 0.0
    assert worst.note is not None
    assert "charged, edge, 0.1 to 0.2 GeV" in worst.note
    assert "qcd.pileup_spectrum.worst_ratio" not in found


def test_figures_are_those_that_were_announced(measured: tuple[Path, Path], tmp_path: Path) -> None:
    window = {"pthat_min": 525.0, "events": 100}
    settings = NtuplesSettings(
        samples={
            "qcd": {"kind": "generated", "process": "qcd", "shower_weights": True, **window},
            "qcd_pu50": {"kind": "generated", "process": "qcd", "pileup": 50.0, **window},
            "data": {"kind": "ingested", "files": ["data.root"]},
        },
        keep_default_samples=False,
    )
    index = tmp_path / "figures" / "index.json"
    plot.main(numbers=measured[1], index=index, settings=Given({}))
    drawn = [entry["name"] for entry in json.loads(index.read_text())]
    assert drawn == figures.names(settings.samples)
    for name in drawn:
        assert (index.parent / f"{name}.pdf").stat().st_size > 1000
        assert (index.parent / f"{name}.png").stat().st_size > 1000


def test_little_pileup_has_its_figures_too(tmp_path: Path) -> None:
    values = {"kind": "generated", "process": "qcd", "pthat_min": 525.0, "events": 100}
    settings = NtuplesSettings(
        samples={"qcd": {**values, "pileup": 5.0}}, keep_default_samples=False
    )
    manifest = write_sample(tmp_path, "qcd", pileup=5, weights=1)
    metrics, numbers = tmp_path / "metrics.json", tmp_path / "numbers.json"
    measure.main(manifests=[manifest], metrics=metrics, numbers=numbers, settings=SETTINGS)
    index = tmp_path / "figures" / "index.json"
    given = Given({"ntuples": {"samples": {"qcd": {"pileup": 5.0, "pileup_profile": {}}}}})
    plot.main(numbers=numbers, index=index, settings=given)
    captions = {entry["name"]: entry["caption"] for entry in json.loads(index.read_text())}
    assert sorted(captions) == sorted(figures.names(settings.samples))
    for name in ("pileup_density", "pileup_spectra"):
        assert "No sample has enough pile-up" in captions[name]


def test_ingested_samples_alone_are_enough(tmp_path: Path) -> None:
    metrics, numbers = tmp_path / "metrics.json", tmp_path / "numbers.json"
    measure.main(
        manifests=[write_ingested(tmp_path)], metrics=metrics, numbers=numbers, settings=SETTINGS
    )
    index = tmp_path / "index.json"
    plot.main(numbers=numbers, index=index, settings=Given({}))
    assert [entry["name"] for entry in json.loads(index.read_text())] == ["samples"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write_sample(tmp_path, "qcd", pileup=0, weights=1)
    (path.parent / "0000.root").unlink()
    with pytest.raises(InputError, match=r"0000\.root: missing"):
        measure.main(
            manifests=[path],
            metrics=tmp_path / "m.json",
            numbers=tmp_path / "n.json",
            settings=SETTINGS,
        )
