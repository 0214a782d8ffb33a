"""Two small analyses, fitted by the steps of the stage: the files from which it is presented.

A measurement with two regions, and a search with one region and three hypotheses.
"""

import json
from pathlib import Path
from typing import Any

import jsonpatch
import numpy as np
import pyhf
import pytest
from scipy import stats

from fullchain.inference import fit, impacts, likelihood, limit, scan, toys
from fullchain.inference import histfactory as hf
from fullchain.inference.presentation_settings import FigureSettings, PublicationSettings
from fullchain.learning.device import repeatable
from fullchain.seeds import stream
from fullchain.step import Given

MASS = np.array([0.0, 40.0, 80.0, 120.0, 145.0, 165.0, 185.0, 205.0, 260.0])
DIJET = np.array([1000.0, 1200.0, 1400.0, 1600.0, 1800.0, 2000.0, 2300.0, 2600.0, 3000.0])
GROUPS = {"jes": "detector", "jer": "detector", "isr": "theory", "fsr": "theory"}
LUMINOSITY = 0.1


def _peak(edges, mean, width, events):
    inside = np.diff(stats.norm.cdf(edges, mean, width))
    return events * inside / inside.sum()


def _falling(edges, scale, events):
    inside = -np.diff(np.exp(-edges / scale))
    return events * inside / inside.sum()


def _sample(name, values, edges, effective, region, signal="", poi="mu", free=False):
    """A process with shape and yield variations that are functions of the observable."""
    centre = (edges[:-1] + edges[1:]) / 2
    slope = (centre - centre.mean()) / (edges[-1] - edges[0])
    variance = values**2 / np.maximum(effective * values / values.sum(), 1.0)
    modifiers = [hf.lumi(), hf.staterror(f"mc_{region}", hf.Template(values, variance))]
    if name == signal:
        modifiers.append(hf.normfactor(poi))
    if free:
        modifiers.append(hf.normfactor("qcd_rate"))
    for line, size in (("jes", 0.25), ("jer", -0.1)):
        shape = values * slope * size
        modifiers.append(hf.histosys(line, values + shape, values - shape))
        modifiers.append(hf.normsys(line, 1 + 0.1 * size, 1 / (1 + 0.1 * size)))
    if name in ("tt", "qcd"):
        modifiers.append(hf.normsys("isr", 1.04, 0.97))
        shape = values * slope * 0.15
        modifiers.append(hf.histosys("fsr", values + shape, values - 0.8 * shape))
    if name == "wjet":
        modifiers.append(hf.log_normal("wjet_normalisation", 0.1))
    return {"name": name, "data": values.tolist(), "modifiers": modifiers}


def measurement() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Top pairs in the jet mass, with a control region."""
    edges = {"pass": MASS, "fail": MASS[:-1]}
    channels = []
    for region, (tt, qcd, wjet) in {"pass": (520, 700, 60), "fail": (150, 9000, 300)}.items():
        axis = edges[region]
        rows = [
            ("tt", _peak(axis, 172, 22, 0.8 * tt) + _falling(axis, 90, 0.2 * tt), 4000),
            ("qcd", _falling(axis, 75, qcd), 3000),
            ("wjet", _peak(axis, 82, 14, wjet), 2000),
        ]
        samples = [
            _sample(name, values, axis, effective, region, "tt", free=name == "qcd")
            for name, values, effective in rows
        ]
        channels.append({"name": region, "samples": samples})
    return _workspace(channels, (-5.0, 10.0)), edges


def search(mean: float) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A narrow resonance in the dijet mass."""
    rows = [
        ("zprime", _peak(DIJET, mean, 0.07 * mean, 60), 5000),
        ("tt", _falling(DIJET, 330, 250), 3000),
        ("qcd", _falling(DIJET, 300, 900), 2500),
    ]
    samples = [_sample(*row[:2], DIJET, row[2], "signal", "zprime") for row in rows]
    channels = [{"name": "signal", "samples": samples}]
    return _workspace(channels, (-5.0, 10.0)), {"signal": DIJET}


def _workspace(channels, poi_range):
    observed = {
        one["name"]: np.sum([sample["data"] for sample in one["samples"]], axis=0)
        for one in channels
    }
    return hf.workspace(
        channels, observed, poi="mu", poi_range=poi_range, luminosity_uncertainty=0.014
    )


RESULTS = Given(
    {
        "seed": 11,
        "inference": {
            "results": {
                "fit": {"minos": "poi"},
                "impacts": {},
                "scan": {"parameters": ["jes"], "points": 11},
            },
            "limits": {"toys": 0, "scan_points": 6},
            "toys": {"goodness": 40, "coverage": 40},
        },
    }
)


def write(folder: Path, name: str, file: str, content: Any) -> Path:
    path = folder / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, allow_nan=False))
    return path


def draw(specification: Any, name: str, mu: float) -> None:
    """Put pseudo-data into a workspace."""
    model, _ = likelihood.load_model(specification)
    drawn = likelihood.draw_data(model, mu, stream(11, name))
    for one in specification["observations"]:
        one["data"] = drawn[model.config.channel_slices[one["name"]]].tolist()


def present(
    folder: Path, name: str, specification: Any, edges: Any, hypotheses: Any, *, blind: bool
) -> dict[str, Any]:
    """Write workspace and report of one analysis, and run the steps that all have."""
    free = {"lumi": "luminosity", "wjet_normalisation": "normalisation"}
    observable = {"name": "msoftdrop" if name == "ttbar" else "dijet_mass", "unit": "GeV"}
    report = {
        "luminosity": LUMINOSITY,
        "blind": blind,
        "data": {"kind": "asimov" if blind else "pseudo", "mu": 1.0},
        "observable": dict.fromkeys(edges, observable),
        "edges": {region: one.tolist() for region, one in edges.items()},
        "groups": {**GROUPS, **free},
        "hypotheses": hypotheses,
        "notes": [],
    }
    given: dict[str, Any] = {
        "workspace": write(folder, name, "workspace.json", specification),
        "report": write(folder, name, "model.json", report),
        "analysis": name,
        "settings": RESULTS,
    }
    place = folder / name
    fit.main(**given, fit_json=place / "fit.json")
    impacts.main(**given, impacts_json=place / "impacts.json")
    scan.main(**given, scans_json=place / "scans.json")
    return given


@pytest.fixture(scope="session")
def presented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the files of a measurement and of a search."""
    folder = tmp_path_factory.mktemp("presented")
    with repeatable(threads=1):
        _present_all(folder)
    return folder


def _present_all(folder: Path) -> None:
    specification, edges = measurement()
    draw(specification, "ttbar", 1.0)
    given = present(folder, "ttbar", specification, edges, [], blind=False)
    toys.main(**given, toys=folder / "ttbar" / "toys.json")
    masses = {1500.0: 30.0, 2000.0: 6.0, 2500.0: 1.5}
    specification, edges = search(1500.0)
    draw(specification, "zprime", 0.0)
    hypotheses, patches = [], []
    for mass, cross_section in masses.items():
        name = f"zprime_{mass:.0f}"
        other, _ = search(mass)
        changed = {**specification, "channels": other["channels"]}
        patch = jsonpatch.make_patch(specification, changed).patch
        patches.append({"metadata": {"name": name, "values": [mass]}, "patch": patch})
        hypotheses.append(
            {
                "name": name,
                "patch": name if patch else None,
                "mass": mass,
                "cross_section_pb": cross_section,
            }
        )
    patchset = {
        "metadata": {
            "references": {"hepdata": "ins0000000"},
            "description": "masses",
            "digests": {"sha256": pyhf.utils.digest(specification)},
            "labels": ["mass"],
        },
        "patches": patches,
        "version": "1.0.0",
    }
    given = present(folder, "zprime", specification, edges, hypotheses, blind=False)
    path = write(folder, "zprime", "patchset.json", patchset)
    limit.main(**given, patchset=[path], limits=folder / "zprime" / "limits.json")


@pytest.fixture(scope="session")
def files(presented: Path):
    """The files of one kind of all analyses that have it."""

    def found(kind: str, root: Path = presented) -> list[Path]:
        return sorted(root.glob(f"*/{kind}.json"))

    return found


@pytest.fixture(scope="session")
def given() -> Given:
    """Settings of the steps."""
    publication = PublicationSettings(title="Top pairs", abstract="A test.")
    return Given(
        {
            "inference": {
                "figures": FigureSettings().model_dump(mode="json"),
                "publication": {"ttbar": publication.model_dump(mode="json")},
            }
        }
    )
