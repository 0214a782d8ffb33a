"""Real CMS files from end to end, against what CMS stored beside the constituents."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.jets.part import PartResult, read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples.inspection import inspect_file
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part

pytestmark = pytest.mark.real_data


def jets_of(path: Path, folder: Path, pt_min: float) -> PartResult:
    found = inspect_file(
        str(path), layout="auto", tree=None, is_data=False, max_events=None, timeout=10
    )
    source = SourceFile(str(path), found.tree, found.events, found.sum_of_weights)
    manifest = folder / "0000.json"
    write_part(manifest, PartManifest("real", "0000", found.layout, (source,)))
    settings = JetsSettings.model_validate(
        {"selection": {"pt_min": pt_min, "pt_max": 5000, "jets_per_event": 10}}
    )
    return read(manifest, settings, 1)


def matched_with_stored(jets: ak.Array, path: Path) -> dict[str, np.ndarray]:
    """The file's own observables of the same jets, by event and direction."""
    names = ("pt", "eta", "phi", "mass", "tau1", "tau2", "tau3", "n2b1", "rawFactor")
    events = uproot.open(path)["Events"].arrays(["event", *(f"FatJet_{n}" for n in names)])
    rows = []
    for jet in jets:
        event = events[events.event == jet.event][0]
        distance = np.hypot(
            event.FatJet_eta - jet.eta,
            (event.FatJet_phi - jet.phi + np.pi) % (2 * np.pi) - np.pi,
        )
        place = ak.argmin(distance, axis=0)
        assert distance[place] < 0.05
        rows.append([event[f"FatJet_{n}"][place] for n in names])
    return dict(zip(names, np.array(rows, dtype=float).T, strict=True))


def test_pfnano(shared_data, tmp_path):
    path = shared_data / "pfnano.root"
    result = jets_of(path, tmp_path, 500)
    jets = ak.from_arrow(next(result.tables.groups("nominal", 1_000_000)))
    assert result.cutflow["nominal"]["all"] == {"events": 10, "sum_of_weights": 10.0}
    assert len(jets) == 20
    stored = matched_with_stored(jets, path)
    # PUPPI weights of the file: our jets are CMS' uncorrected ones
    raw = stored["pt"] * (1 - stored["rawFactor"])
    np.testing.assert_allclose(jets.pt, raw, rtol=3e-3)
    np.testing.assert_allclose(jets.mass, stored["mass"] * (1 - stored["rawFactor"]), rtol=1e-2)
    np.testing.assert_allclose(jets.tau21, stored["tau2"] / stored["tau1"], rtol=3e-2)
    several = stored["n2b1"] > 0.1
    np.testing.assert_allclose(jets.n2[several], stored["n2b1"][several], rtol=5e-2)
    assert set(jets.label.tolist()) <= {-1, 0, 1, 2}
    assert np.median(jets.npu) == pytest.approx(28, abs=4)
    matched = ~np.isnan(ak.to_numpy(jets.gen_pt))
    assert matched.sum() >= 19
    assert not np.isnan(ak.to_numpy(jets.gen_msoftdrop)[matched]).any()
    assert ak.all(jets.gen_msoftdrop[matched] < 1.05 * jets.gen_mass[matched] + 1)


def test_nanoaod_v15(shared_data, tmp_path):
    path = shared_data / "nano_tt_v15.root"
    result = jets_of(path, tmp_path, 200)
    jets = ak.from_arrow(next(result.tables.groups("nominal", 1_000_000)))
    assert result.cutflow["nominal"]["all"]["events"] == 200
    stored = matched_with_stored(jets, path)
    np.testing.assert_allclose(jets.pt, stored["pt"], rtol=1e-6)
    np.testing.assert_allclose(jets.mass, stored["mass"], rtol=1e-2)
    np.testing.assert_allclose(jets.tau21, stored["tau2"] / stored["tau1"], rtol=1e-2)
    several = stored["n2b1"] > 0.1
    np.testing.assert_allclose(jets.n2[several], stored["n2b1"][several], rtol=2e-2)
    assert ak.sum((jets.label == 5) & jets.label_fully_contained) == 3
    assert {"n_ak4", "ht"} <= set(result.absent)
    assert not np.allclose(jets.w_isr_up, 1) and len(list(result.tables)) == 6
