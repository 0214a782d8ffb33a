"""One part of a sample from ROOT to Parquet: the same however it is read, and never incomplete."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.jets import cluster
from fullchain.jets.columns import SCHEMA
from fullchain.jets.part import read
from fullchain.jets.replicas import ReplicatedFile
from fullchain.jets.settings import JetsSettings
from fullchain.jets.spill import Tables
from fullchain.ntuples.manifests import PartManifest, SourceFile, read_part, write_part
from fullchain.step import Given

SEED = 11


def jets_settings(**changes: Any) -> JetsSettings:
    return JetsSettings.model_validate(changes)


def reading(**changes: Any) -> JetsSettings:
    return jets_settings(reading=changes)


@pytest.fixture(scope="module")
def nominal_result(toy: Path) -> dict[str, pa.Table]:
    return whole(read(toy, jets_settings(), SEED).tables)


def whole(tables: Tables) -> dict[str, pa.Table]:
    """All rows of each variation."""
    return {name: next(tables.groups(name, 1_000_000)) for name in tables}


def run_step(manifest: Path, folder: Path, settings: JetsSettings) -> tuple[Path, dict[str, Any]]:
    jets, summary = folder / "jets.parquet", folder / "jets.json"
    given = Given({"seed": SEED, "jets": settings.model_dump(mode="json")})
    cluster.main(manifest=manifest, jets=jets, summary=summary, settings=given)
    return jets, json.loads(summary.read_text())


def content(table: pa.Table) -> bytes:
    """All bits of a table; NaN equals NaN here."""
    stream = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), stream)
    return bytes(stream.getvalue())


def contents(tables: dict[str, pa.Table]) -> dict[str, bytes]:
    return {name: content(table) for name, table in tables.items()}


@pytest.mark.parametrize("events_per_chunk", [6, 17])
def test_chunks_do_not_matter(toy, nominal_result, events_per_chunk):
    again = read(toy, reading(events_per_chunk=events_per_chunk), SEED)
    assert contents(whole(again.tables)) == contents(nominal_result)


def test_two_runs_give_the_same_bytes(toy, tmp_path):
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        files.append(run_step(toy, tmp_path / name, jets_settings())[0].read_bytes())
    assert files[0] == files[1]


def test_other_seed_changes_only_what_is_left_to_chance(toy, nominal_result):
    other = whole(read(toy, jets_settings(), SEED + 1).tables)
    changed = {name for name in other if content(other[name]) != content(nominal_result[name])}
    assert changed == {"jer_up", "track_efficiency_down"}


def rows_by_jet(table: pa.Table) -> dict[tuple[int, float], Any]:
    """Rows by event and direction, which no scale factor changes."""
    array = ak.from_arrow(table)
    return {(int(row.event), round(float(row.eta), 5)): row for row in array}


@pytest.mark.parametrize(("name", "factor"), [("jes_up", 1.01), ("jes_down", 0.99)])
def test_scale_shift_scales_jets_with_their_constituents(toy, nominal_result, name, factor):
    nominal = rows_by_jet(nominal_result["nominal"])
    shifted = rows_by_jet(nominal_result[name])
    common = set(nominal) & set(shifted)
    assert len(common) > 0.8 * len(nominal)
    for key in common:
        for column in ("pt", "mass", "msoftdrop"):
            assert shifted[key][column] == pytest.approx(factor * nominal[key][column], rel=1e-6)
        for column in ("tau21", "tau32", "d2", "n2", "chf"):
            assert shifted[key][column] == pytest.approx(nominal[key][column], nan_ok=True)
        np.testing.assert_allclose(
            shifted[key].constituents.pt, factor * nominal[key].constituents.pt, rtol=1e-6
        )
        np.testing.assert_allclose(shifted[key].lund.kt, factor * nominal[key].lund.kt, rtol=1e-6)
    # what the shift brings into the window is there, and what it takes out is not
    assert all(500 <= row.pt < 700 for row in shifted.values())


def test_track_shift_loses_charged_constituents_only(toy, nominal_result):
    nominal = ak.from_arrow(nominal_result["nominal"])
    shifted = ak.from_arrow(nominal_result["track_efficiency_down"])
    charged = [
        ak.sum(ak.sum(a.constituents.charge != 0, axis=1)) / len(a) for a in (nominal, shifted)
    ]
    neutral = [
        ak.sum(ak.sum(a.constituents.charge == 0, axis=1)) / len(a) for a in (nominal, shifted)
    ]
    assert charged[1] < 0.99 * charged[0]
    assert neutral[1] == pytest.approx(neutral[0], rel=0.02)


def test_rows_are_consistent(nominal_result):
    jets = ak.from_arrow(nominal_result["nominal"])
    assert len(jets) > 30
    constituents = jets.constituents
    assert ak.all(constituents.pt[:, :-1] >= constituents.pt[:, 1:])
    assert ak.all(ak.num(constituents) == jets.n_constituents)
    px = ak.sum(constituents.pt * np.cos(constituents.phi), axis=1)
    py = ak.sum(constituents.pt * np.sin(constituents.phi), axis=1)
    np.testing.assert_allclose(np.hypot(px, py), jets.pt, rtol=1e-5)
    assert not ak.any((constituents.charge != 0) & (constituents.from_pv == 0)), "CHS"
    np.testing.assert_allclose(jets.chf + jets.nhf + jets.phf + jets.elf + jets.muf, 1, rtol=1e-5)
    assert ak.all((jets.jet == 0) | (jets.jet == 1))
    assert ak.all(ak.num(jets.lund) < jets.n_constituents)
    leading = jets[jets.label == 0]
    assert len(leading) > 10 and not np.isnan(ak.to_numpy(leading.gen_pt)).any()


def test_parquet_has_units_and_descriptions(toy, tmp_path):
    path, _ = run_step(toy, tmp_path, jets_settings())
    schema = pq.read_schema(path)
    assert schema.names == SCHEMA.names
    for field in schema:
        assert field.metadata[b"description"]
    assert schema.field("pt").metadata[b"unit"] == b"GeV"
    d0 = schema.field("constituents").type.value_field.type.field("d0")
    assert d0.metadata[b"unit"] == b"cm"
    file = pq.ParquetFile(path)
    names = [
        file.read_row_group(i, columns=["variation"])["variation"][0].as_py()
        for i in range(file.num_row_groups)
    ]
    assert names[0] == "nominal" and len(names) == len(set(names)) == 6


def test_summary_counts_every_event(toy, tmp_path):
    _, summary = run_step(toy, tmp_path, jets_settings())
    part = read_part(toy)
    assert [f["events_read"] for f in summary["files"]] == [30, 17]
    for cuts in summary["cutflow"].values():
        counts = list(cuts.values())
        assert counts[0]["events"] == 47
        assert counts[0]["sum_of_weights"] == pytest.approx(part.sum_of_weights, rel=1e-6)
        assert [c["events"] for c in counts] == sorted((c["events"] for c in counts), reverse=True)
    assert "w_isr_up" in summary["absent"] and "pt" not in summary["absent"]


def test_no_jet_in_the_window_is_an_empty_table(toy, tmp_path):
    path, summary = run_step(
        toy, tmp_path, jets_settings(selection={"pt_min": 5000, "pt_max": 6000})
    )
    assert pq.read_table(path).num_rows == 0 and pq.read_schema(path).names == SCHEMA.names
    assert summary["cutflow"]["nominal"]["all"]["events"] == 47


def copy_part(toy: Path, folder: Path) -> Path:
    for name in ("a.root", "b.root", toy.name):
        (folder / name).write_bytes((toy.parent / name).read_bytes())
    return folder / toy.name


def test_missing_file_is_named(toy, tmp_path):
    manifest = copy_part(toy, tmp_path)
    (tmp_path / "b.root").unlink()
    with pytest.raises(InputError, match=r"b\.root"):
        read(manifest, jets_settings(), SEED)


def test_truncated_file_is_named_and_nothing_is_written(toy, tmp_path):
    manifest = copy_part(toy, tmp_path)
    content = (tmp_path / "b.root").read_bytes()
    (tmp_path / "b.root").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"b\.root"):
        run_step(manifest, tmp_path, jets_settings())
    assert not (tmp_path / "jets.parquet").exists()


def test_damaged_basket_is_named(toy, tmp_path):
    manifest = copy_part(toy, tmp_path)
    path = tmp_path / "b.root"
    branch = uproot.open(path)["Events"]["PFCands_pt"]
    key = branch.basket_key(0)
    start = key.data_cursor.index
    content = bytearray(path.read_bytes())
    # behind the header of the compressed block, so that it is the content that is wrong
    content[start + 12 : start + 200] = bytes(188)
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"b\.root.*(cannot be read|sum of weights)"):
        read(manifest, jets_settings(), SEED)


def test_a_fault_of_the_program_is_none_of_the_file(toy, monkeypatch):
    def ragged(*_: Any) -> None:
        ak.to_numpy(ak.Array([[1.0], [2.0, 3.0]]))

    monkeypatch.setattr("fullchain.jets.processor.cluster", ragged)
    with pytest.raises(Exception, match="subarray lengths are not regular") as raised:
        read(toy, jets_settings(), SEED)
    assert not isinstance(raised.value, InputError)


def test_a_lack_of_memory_is_no_damage(toy, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("no room for the basket")

    monkeypatch.setattr("uproot.interpretation.jagged.AsJagged.final_array", full)
    with pytest.raises(Exception, match="no room for the basket") as raised:
        read(toy, jets_settings(), SEED)
    assert not isinstance(raised.value, InputError)


def test_the_log_tells_where_the_reading_failed(toy, monkeypatch, capfd):
    def wrong(*_: Any, **__: Any) -> None:
        raise ValueError("nonsense in the basket")

    monkeypatch.setattr("uproot.interpretation.jagged.AsJagged.final_array", wrong)
    with pytest.raises(InputError, match=r"nonsense in the basket\); the file is damaged"):
        read(toy, jets_settings(), SEED)
    trace = capfd.readouterr().err
    assert "Traceback" in trace
    assert "read_candidates" in trace


@pytest.mark.parametrize("executor", ["iterative", "futures"])
def test_a_file_that_goes_away_is_read_from_its_replica(toy, tmp_path, monkeypatch, executor):
    part = read_part(copy_part(toy, tmp_path))
    first = part.files[0]
    (tmp_path / "other.root").write_bytes((tmp_path / "a.root").read_bytes())
    files = (replace(first, path="a.root", replicas=("other.root",)),)
    write_part(tmp_path / "replica.json", PartManifest("toy", "0000", "pfnano", files))
    expected = contents(whole(read(tmp_path / "replica.json", jets_settings(), SEED).tables))
    inspected = ReplicatedFile._inspect

    def gone(file: ReplicatedFile, path: str) -> Any:
        found = inspected(file, path)
        (tmp_path / "a.root").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(ReplicatedFile, "_inspect", gone)
    result = read(tmp_path / "replica.json", reading(executor=executor), SEED)
    assert list(result.files) == [str(tmp_path / "other.root")]
    assert contents(whole(result.tables)) == expected
    alone = (replace(files[0], replicas=()),)
    write_part(tmp_path / "alone.json", PartManifest("toy", "0000", "pfnano", alone))
    (tmp_path / "a.root").write_bytes((tmp_path / "other.root").read_bytes())
    with pytest.raises(InputError, match=r"a\.root: cannot be opened \(FileNotFound") as raised:
        read(tmp_path / "alone.json", reading(executor=executor), SEED)
    assert "damaged" not in str(raised.value)


@pytest.mark.parametrize(("events", "message"), [(60, "manifest says 60"), (20, "weights")])
def test_changed_number_of_events_is_an_error(toy, tmp_path, events, message):
    part = read_part(copy_part(toy, tmp_path))
    first = part.files[0]
    total = first.sum_of_weights
    files = (SourceFile(first.path, first.tree, events, total, sum_of_event_weights=total),)
    manifest = tmp_path / "changed.json"
    write_part(manifest, PartManifest("toy", "0000", "pfnano", files))
    with pytest.raises(InputError, match=message):
        read(manifest, jets_settings(), SEED)


def test_part_of_a_file_may_be_asked_for(toy, tmp_path):
    part = read_part(copy_part(toy, tmp_path))
    weights = uproot.open(tmp_path / "a.root")["Events"]["genWeight"].array(library="np")[:20]
    files = (SourceFile("a.root", "Events", 20, float(np.sum(weights, dtype=float))),)
    manifest = tmp_path / "limited.json"
    write_part(manifest, PartManifest("toy", part.part, "pfnano", files))
    result = read(manifest, jets_settings(), SEED)
    assert result.cutflow["nominal"]["all"]["events"] == 20


def test_missing_branch_is_named(toy, tmp_path):
    with uproot.recreate(tmp_path / "a.root") as file:
        names = ("run", "luminosityBlock", "event", "genWeight")
        file.mktree("Events", {name: np.ones(3, np.uint32) for name in names})
    manifest = tmp_path / "0000.json"
    files = (SourceFile("a.root", "Events", 3, 3.0),)
    write_part(manifest, PartManifest("toy", "0000", "pfnano", files))
    with pytest.raises(InputError, match=r"a\.root.*PFCands_pt"):
        read(manifest, jets_settings(), SEED)


def test_stored_puppi_that_is_not_there_names_file_and_setting(toy):
    wanted = jets_settings(clustering={"mitigation": "stored"})
    with pytest.raises(InputError, match=r"a\.root.*jets\.clustering\.mitigation"):
        read(toy, wanted, SEED)


def test_replica_stands_in_for_a_missing_file(toy, tmp_path):
    part = read_part(copy_part(toy, tmp_path))
    first = part.files[0]
    files = (
        SourceFile(
            "gone.root", first.tree, first.events, first.sum_of_weights, replicas=("a.root",)
        ),
    )
    manifest = tmp_path / "replica.json"
    write_part(manifest, PartManifest("toy", "0000", "pfnano", files))
    result = read(manifest, jets_settings(), SEED)
    assert list(result.files) == [str(tmp_path / "a.root")]


def test_nanoaod_without_constituents_keeps_the_stored_observables(tmp_path):
    fatjet = {
        "pt": [[600.0], [550.0, 300.0]],
        "eta": [[0.1], [0.2, 0.3]],
        "phi": [[1.0], [2.0, -1.0]],
        "mass": [[90.0], [120.0, 40.0]],
        "msoftdrop": [[80.0], [110.0, 20.0]],
        "tau1": [[0.3], [0.4, 0.1]],
        "tau2": [[0.1], [0.3, 0.1]],
        "tau3": [[0.05], [0.2, 0.1]],
        "tau4": [[0.04], [0.1, 0.1]],
        "n2b1": [[0.25], [0.3, 0.2]],
    }
    with uproot.recreate(tmp_path / "v9.root") as file:
        content = {
            "run": np.ones(2, np.uint32),
            "luminosityBlock": np.ones(2, np.uint32),
            "event": np.array([1, 2], np.uint64),
            "genWeight": np.ones(2, np.float32),
            "FatJet": ak.zip(
                {n: ak.values_astype(ak.Array(v), np.float32) for n, v in fatjet.items()}
            ),
        }
        file.mktree("Events", content)
    manifest = tmp_path / "0000.json"
    files = (SourceFile("v9.root", "Events", 2, 2.0),)
    write_part(manifest, PartManifest("old", "0000", "nanoaod", files))
    result = read(manifest, jets_settings(), SEED)
    assert list(result.tables) == ["nominal"], "no truth: recorded data, which has no shifts"
    rows = ak.from_arrow(whole(result.tables)["nominal"])
    assert rows.pt.tolist() == [600, 550]
    assert rows.msoftdrop.tolist() == [80, 110]
    np.testing.assert_allclose(rows.tau21, [1 / 3, 0.75], rtol=1e-6)
    np.testing.assert_allclose(rows.n2, [0.25, 0.3], rtol=1e-6)
    assert ak.all(np.isnan(rows.d2)) and ak.all(ak.num(rows.constituents) == 0)
    assert {"constituents", "lund", "d2"} <= set(result.absent)


def test_jetclass_brings_its_own_labels(tmp_path):
    rng = np.random.default_rng(3)
    counts = [20, 30, 25]
    n = sum(counts)
    eta, phi = rng.normal(0.2, 0.2, n), rng.normal(1.0, 0.2, n)
    pt = rng.exponential(24, n) + 1
    charge = rng.choice([-1, 0, 1], n)
    particles = {
        "part_px": pt * np.cos(phi),
        "part_py": pt * np.sin(phi),
        "part_pz": pt * np.sinh(eta),
        "part_energy": pt * np.cosh(eta),
        "part_charge": charge,
        "part_isChargedHadron": charge != 0,
        "part_isNeutralHadron": np.zeros(n),
        "part_isPhoton": charge == 0,
        "part_isElectron": np.zeros(n),
        "part_isMuon": np.zeros(n),
    }
    content: dict[str, Any] = {
        name: ak.unflatten(np.asarray(values, np.float32), counts)
        for name, values in particles.items()
    }
    energy, pz = (ak.to_numpy(ak.sum(content[f"part_{x}"], axis=1)) for x in ("energy", "pz"))
    px, py = (ak.to_numpy(ak.sum(content[f"part_{x}"], axis=1)) for x in ("px", "py"))
    jet_pt = np.hypot(px, py)
    content |= {
        "jet_pt": jet_pt,
        "jet_eta": np.arcsinh(pz / jet_pt),
        "jet_phi": np.arctan2(py, px),
        "jet_energy": energy,
        "label_QCD": np.array([0, 1, 0], np.float32),
        "label_Tbqq": np.array([1, 0, 0], np.float32),
        "label_Wqq": np.array([0, 0, 1], np.float32),
    }
    with uproot.recreate(tmp_path / "jets.root") as file:
        file.mktree("tree", content)
    manifest = tmp_path / "0000.json"
    files = (SourceFile("jets.root", "tree", 3, 3.0),)
    write_part(manifest, PartManifest("jetclass", "0000", "jetclass", files))
    window = {"pt_min": 100, "pt_max": 3000, "identification": False}
    result = read(manifest, jets_settings(selection=window), SEED)
    rows = ak.from_arrow(whole(result.tables)["nominal"])
    assert rows.label.tolist() == [5, 0, 3] and ak.all(rows.label_fully_contained)
    np.testing.assert_allclose(rows.pt, jet_pt, rtol=1e-5)
    assert rows.n_constituents.tolist() == counts
    assert not ak.any(np.isnan(rows.tau21)) and len(list(result.tables)) == 6
