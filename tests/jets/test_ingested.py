"""From files made elsewhere over ingestion to jets: skims, parts of files, data, changed files."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.jets.part import PartResult, read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.manifests import PartManifest, write_part
from fullchain.ntuples.sources import expand_files
from fullchain.ntuples.sources_settings import IngestedSample

EVENTS = 24


@pytest.fixture
def ntuple(tmp_path: Path, write_toy: Callable[[Path, int], Path]) -> Path:
    """Events whose generator weights rise from 0.5 to 1.5."""
    return write_toy(tmp_path / "a.root", EVENTS)


def ingest(path: Path, **settings: object) -> tuple[Path, PartManifest]:
    sample = IngestedSample(files=[str(path)], **settings)  # type: ignore[arg-type]
    part = ingest_part("mine", "0000", expand_files(sample.files), sample, wait=0)
    manifest = path.parent / "0000.json"
    write_part(manifest, part)
    return manifest, part


def jets(manifest: Path, **settings: object) -> PartResult:
    return read(manifest, JetsSettings.model_validate(settings), 1)


def nominal(result: PartResult) -> ak.Array:
    return ak.from_arrow(next(result.tables.groups("nominal", 1_000_000)))


@pytest.mark.parametrize("max_events", [None, 10])
def test_a_skimmed_file_counts_its_own_events_and_keeps_the_sum_before(ntuple, max_events):
    with uproot.update(ntuple) as file:
        file.mktree("Runs", {"run": np.uint32, "genEventSumw": np.float64})
        file["Runs"].extend({"run": np.ones(1, np.uint32), "genEventSumw": np.array([480.0])})
    weights = uproot.open(ntuple)["Events"]["genWeight"].array(library="np").astype(float)
    kept = weights[:max_events].sum()
    manifest, part = ingest(ntuple, max_events=max_events)
    assert part.sum_of_weights == pytest.approx(480 * kept / weights.sum())
    assert part.sum_of_event_weights == pytest.approx(kept)
    everything = jets(manifest).cutflow["nominal"]["all"]
    assert everything["events"] == (max_events or EVENTS)
    assert everything["sum_of_weights"] == pytest.approx(kept)


def test_data_have_weight_one_and_no_truth_whatever_the_branches(ntuple):
    manifest, part = ingest(ntuple, is_data=True)
    assert part.is_data and part.sum_of_weights == EVENTS
    result = jets(manifest)
    assert list(result.tables) == ["nominal"]
    assert result.cutflow["nominal"]["all"] == {"events": EVENTS, "sum_of_weights": EVENTS}
    rows = nominal(result)
    assert len(rows) > 10
    assert ak.all(rows.weight == 1) and ak.all(rows.label == -1) and ak.all(np.isnan(rows.gen_pt))
    simulated = nominal(jets(ingest(ntuple)[0]))
    assert ak.any(simulated.label == 0) and not ak.all(simulated.weight == 1)


@pytest.mark.parametrize("max_events", [None, 10])
@pytest.mark.parametrize("entries", [EVENTS - 4, EVENTS + 4])
def test_a_file_that_grew_or_shrank_is_named(ntuple, write_toy, entries, max_events):
    manifest, _ = ingest(ntuple, max_events=max_events)
    write_toy(ntuple, entries)
    with pytest.raises(InputError, match=rf"a\.root.*{entries} entries.*manifest says {EVENTS}"):
        jets(manifest)


def stripped(path: Path, target: Path) -> None:
    """Leave only the candidates of AK8 jets, as productions of PFNano with jets' candidates do."""
    with uproot.open(path) as file:
        names = ("run", "luminosityBlock", "event", "genWeight")
        events = file["Events"].arrays(
            [*names, *file["Events"].keys(filter_name="/^(FatJet|PFCands|FatJetPFCands)_.*/")]
        )
    index, number = events["FatJetPFCands_pFCandsIdx"], ak.num(events["PFCands_pt"])
    valid = (index >= 0) & (index < number)
    linked = [np.unique(ak.to_numpy(i[v])) for i, v in zip(index, valid, strict=True)]
    new = [
        np.searchsorted(a, ak.to_numpy(i[v])) for a, i, v in zip(linked, index, valid, strict=True)
    ]

    def table(prefix: str, chosen: ak.Array | slice) -> ak.Array:
        columns = [f for f in events.fields if f.startswith(f"{prefix}_")]
        return ak.zip({f.removeprefix(f"{prefix}_"): events[f][chosen] for f in columns})

    links = table("FatJetPFCands", valid)
    links["pFCandsIdx"] = ak.values_astype(ak.Array([list(n) for n in new]), np.int32)
    content = {name: ak.to_numpy(events[name]) for name in names}
    content["FatJet"] = table("FatJet", slice(None))
    content["PFCands"] = table("PFCands", ak.Array([list(i) for i in linked]))
    content["FatJetPFCands"] = links
    with uproot.recreate(target) as file:
        file.mktree("Events", {n: ak.type(ak.Array(c)).content for n, c in content.items()})
        file["Events"].extend(content)


@pytest.mark.real_data
def test_constituents_of_pfnano_without_the_rest_get_their_puppi_weights(shared_data, tmp_path):
    stripped(shared_data / "pfnano.root", tmp_path / "linked.root")
    manifest, part = ingest(tmp_path / "linked.root")
    assert part.layout == "nanoaod"
    window = {"pt_min": 400, "pt_max": 5000, "jets_per_event": 10}
    stored = nominal(jets(manifest, selection=window))
    (tmp_path / "whole.root").symlink_to(shared_data / "pfnano.root")
    whole = nominal(jets(ingest(tmp_path / "whole.root")[0], selection=window))
    compared = 0
    for jet in stored:
        near = whole[(whole.event == jet.event) & (abs(whole.eta - jet.eta) < 0.02)]
        if len(near) == 0:
            continue
        compared += 1
        other = near[0]
        assert jet.n_constituents == other.n_constituents
        weights = ak.to_numpy(jet.constituents.puppi_weight)
        assert weights == pytest.approx(ak.to_numpy(other.constituents.puppi_weight), abs=0.02)
        assert weights.min() < 1
        # the file's jets are calibrated, ours are not
        assert jet.mass / jet.pt == pytest.approx(other.mass / other.pt, rel=0.01)
        assert jet.tau21 == pytest.approx(other.tau21, rel=0.02)
    assert compared >= 15
