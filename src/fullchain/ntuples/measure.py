"""Measure what the samples hold: candidates, densities of pile-up, use of the shower weights."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.metrics import Metric, write_metrics
from fullchain.ntuples.densities import SPECIES, Sky, cms_reference, densities, worst_bin
from fullchain.ntuples.measurement_settings import MeasurementSettings
from fullchain.progress import track
from fullchain.step import Given, Input, Output

Array = NDArray[Any]

# Order of PSWeight in NanoAOD, see fullchain.ntuples.branches.
VARIATIONS = ("isr_up", "fsr_up", "isr_down", "fsr_down")
CANDIDATES = ("pt", "eta", "phi", "pdgId")
# The comparison with CMS needs pile-up to dominate what lies away from the jets.
ENOUGH_INTERACTIONS = 10.0


def main(
    *,
    manifests: Annotated[list[Path], Input("manifests of all samples, JSON")],
    metrics: Annotated[Path, Output("numbers with uncertainties and references")],
    numbers: Annotated[Path, Output("numbers for the figures, JSON")],
    settings: Given,
) -> None:
    """Count candidates by species, and compare pile-up away from jets with CMS."""
    chosen = settings.model("ntuples.measurement", MeasurementSettings)
    samples: dict[str, dict[str, Any]] = {}
    for path in track(manifests, "samples", unit="samples"):
        content = _read_manifest(path)
        samples[content["sample"]] = measure_sample(path.parent, content, chosen)
    reference = cms_reference()
    write_text(numbers, json.dumps({"samples": samples, "reference": reference}, indent=1) + "\n")
    write_metrics(
        metrics,
        "ntuples",
        [row for name, sample in samples.items() for row in rows(name, sample, reference)],
    )


def measure_sample(
    folder: Path, content: dict[str, Any], settings: MeasurementSettings
) -> dict[str, Any]:
    """Measure one sample; of an ingested one only what its manifest says."""
    found: dict[str, Any] = {
        key: content[key] for key in ("events", "sum_of_weights", "cross_section_pb")
    }
    generator = content.get("generator")
    if generator is None:
        return found
    found["cross_section_error_pb"] = generator["cross_section_error_pb"]
    found["process"] = generator["process"]
    parts: list[dict[str, Any]] = []
    wanted = settings.max_events
    for part in content["parts"]:
        for file in part["files"]:
            if wanted > 0:
                parts.append(_read(folder / file["path"], file["tree"], wanted))
                wanted -= len(parts[-1]["interactions"])
    found["candidates"] = _composition(parts)
    weights = np.concatenate([part["weights"] for part in parts])
    if weights.shape[1] == len(VARIATIONS):
        found["shower_weights"] = _effective(weights)
    sky = _join([part["sky"] for part in parts])
    if float(np.mean(sky.interactions)) > ENOUGH_INTERACTIONS:
        found["pileup"] = densities(sky, settings.jet_radius)
        vertices = np.concatenate([part["vertices"] for part in parts]) / sky.interactions
        found["pileup"]["vertices_per_interaction"] = float(np.mean(vertices))
    return found


def read_sky(path: Path | str, tree: str, max_events: int) -> Sky:
    """Read what `densities` needs of a PFNano file."""
    sky: Sky = _read(path, tree, max_events)["sky"]
    return sky


def _read(path: Path | str, tree: str, max_events: int) -> dict[str, Any]:
    """Read the columns of one file.

    Raises
    ------
    InputError
        The file is missing, broken or lacks a branch.
    """
    names = [f"PFCands_{name}" for name in CANDIDATES]
    names += ["FatJet_pt", "FatJet_eta", "FatJet_phi", "Pileup_nPU", "PV_npvs", "PSWeight"]
    try:
        with uproot.open(path) as file:
            events = file[tree].arrays(names, entry_stop=max_events)
    except FileNotFoundError:
        raise InputError(f"{path}: missing, though its manifest lists it; rerun its job") from None
    except (uproot.KeyInFileError, OSError, ValueError) as problem:
        raise InputError(f"{path}: cannot be read ({problem}); remove it and rerun") from None
    by_pt = ak.argsort(events["FatJet_pt"], ascending=False)
    columns = {name: ak.to_numpy(ak.flatten(events[f"PFCands_{name}"])) for name in CANDIDATES}
    sky = Sky(
        counts=ak.to_numpy(ak.num(events["PFCands_pt"])),
        pt=columns["pt"],
        eta=columns["eta"],
        phi=columns["phi"],
        pdg_id=columns["pdgId"],
        jet_counts=ak.to_numpy(ak.num(events["FatJet_pt"])),
        jet_eta=ak.to_numpy(ak.flatten(events["FatJet_eta"][by_pt])),
        jet_phi=ak.to_numpy(ak.flatten(events["FatJet_phi"][by_pt])),
        interactions=ak.to_numpy(events["Pileup_nPU"]) + 1.0,
    )
    return {
        "sky": sky,
        "interactions": sky.interactions,
        "vertices": ak.to_numpy(events["PV_npvs"]),
        "weights": ak.to_numpy(events["PSWeight"]),
    }


def _join(parts: Sequence[Sky]) -> Sky:
    return Sky(
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Sky.__dataclass_fields__
        }
    )


def _composition(parts: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """Mean number of candidates of each species per event, with standard error."""
    found = {}
    for species, codes in SPECIES.items():
        number = np.concatenate([_per_event(part["sky"], codes) for part in parts])
        error = float(np.std(number, ddof=1) / math.sqrt(len(number))) if len(number) > 1 else 0.0
        found[species] = [float(np.mean(number)), error]
    return found


def _per_event(sky: Sky, codes: tuple[int, ...]) -> Array:
    event = np.repeat(np.arange(len(sky.counts)), sky.counts)
    chosen = np.isin(np.abs(sky.pdg_id), codes)
    return np.bincount(event[chosen], minlength=len(sky.counts))


def _effective(weights: Array) -> dict[str, dict[str, float]]:
    """Mean of each relative weight, and the part of the statistics that it leaves.

    The part is (sum w)^2 / (n sum w^2); its error is the jackknife's over 20 groups of events.
    """
    found = {}
    for column, name in enumerate(VARIATIONS):
        w = weights[:, column].astype(float)
        part = w.sum() ** 2 / (len(w) * (w**2).sum())
        groups = min(20, len(w))
        group = np.arange(len(w)) % groups
        without, without2, left = (
            total.sum() - np.bincount(group, total) for total in (w, w**2, np.ones(len(w)))
        )
        jackknife = without**2 / (left * without2)
        spread = (groups - 1) / groups * np.sum((jackknife - jackknife.mean()) ** 2)
        found[name] = {
            "effective": float(part),
            "effective_error": float(np.sqrt(spread)),
            "mean": float(w.mean()),
            "mean_error": float(w.std(ddof=1) / math.sqrt(len(w))),
        }
    return found


def rows(name: str, sample: dict[str, Any], reference: dict[str, Any]) -> list[Metric]:
    """Make the metrics of one sample."""
    found = [
        Metric(
            name=f"{name}.events",
            value=float(sample["events"]),
            uncertainty=0.0,
            uncertainty_kind="exact count",
            label=f"{name}: events",
        )
    ]
    if sample.get("cross_section_error_pb") is not None:
        found.append(
            Metric(
                name=f"{name}.cross_section",
                value=sample["cross_section_pb"],
                uncertainty=sample["cross_section_error_pb"],
                uncertainty_kind="integration",
                label=f"{name}: cross section",
                unit="pb",
            )
        )
    if "candidates" in sample:
        found.append(
            Metric(
                name=f"{name}.candidates",
                value=sum(value for value, _ in sample["candidates"].values()),
                uncertainty=math.hypot(*(error for _, error in sample["candidates"].values())),
                uncertainty_kind="counting",
                label=f"{name}: candidates per event",
            )
        )
    for variation, numbers in sample.get("shower_weights", {}).items():
        found.append(
            Metric(
                name=f"{name}.effective_statistics.{variation}",
                value=numbers["effective"],
                uncertainty=numbers["effective_error"],
                uncertainty_kind="jackknife",
                label=f"{name}: effective statistics, {variation.replace('_', ' ')}",
            )
        )
    for place, numbers in sample.get("pileup", {}).get("densities", {}).items():
        cms = reference["densities"][place]
        found.append(
            Metric(
                name=f"{name}.pileup_density.{place}",
                value=numbers["density"],
                uncertainty=numbers["error"],
                uncertainty_kind="counting",
                label=f"{name}: density per interaction, {place.replace('.', ', ')}",
                published=cms["density"],
                published_uncertainty=cms["error"],
                source=reference["source"],
                note="not published: measured by us in ten simulated CMS events, used for tuning; "
                "away from jets; the CMS events have harder jets and 28.5 interactions",
            )
        )
    if "pileup" in sample:
        found += _spectrum(name, sample["pileup"], reference)
    return found


def _spectrum(name: str, pileup: dict[str, Any], reference: dict[str, Any]) -> list[Metric]:
    """Make the metric of the pT spectrum that agrees least with the reference."""
    worst = worst_bin(pileup, reference)
    if worst is None:
        return []
    low, high = worst["edges"]
    return [
        Metric(
            name=f"{name}.pileup_spectrum.worst_ratio",
            value=worst["ratio"],
            uncertainty=worst["error"],
            uncertainty_kind="counting",
            label=f"{name}: worst ratio of a bin of the pT spectra of pile-up to CMS",
            note=f"{worst['place'].replace('.', ', ')}, {low} to {high} GeV; the largest of "
            f"{worst['bins']} bins, of which {worst['beyond']} differ by more than 30 %; against "
            f"{reference['source']}, measured by us in ten events, to which the detector is tuned",
        )
    ]


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, ValueError) as problem:
        raise InputError(f"{path}: not a manifest ({problem}); remove it and rerun") from None
