"""Published jets in HDF5 and npz become ROOT files of the JetClass layout, part by part."""

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.jets.part import read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples import convert as step
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.layouts.detect import detect_layout
from fullchain.ntuples.manifests import read_part
from fullchain.ntuples.sources import part_names, part_sources
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import validate
from fullchain.step import Given

Write = Callable[..., Path]


def convert(folder: Path, *files: Path, part: str = "0000", **settings: Any) -> Path:
    """Run the step on one part; give the manifest, beside which the ROOT file lies."""
    sample = {"kind": "ingested", "files": [str(file) for file in files], **settings}
    manifest = folder / f"{part}.json"
    given = Given({"seed": 1, "ntuples": {"samples": {"mine": sample}}})
    step.main(
        sample="mine", part=part, ntuple=folder / f"{part}.root", manifest=manifest, settings=given
    )
    return manifest


def tree(manifest: Path) -> ak.Array:
    return uproot.open(manifest.with_suffix(".root"))["tree"].arrays()


def test_top_tagging_comes_back_exactly(tmp_path: Path, write_top_tagging: Write) -> None:
    path = write_top_tagging(tmp_path / "train.h5", 150)
    with h5py.File(path) as file:
        rows = file["table/table"]["values_block_0"][:, :800].reshape(150, 200, 4)
    manifest = convert(tmp_path, path)
    jets = tree(manifest)
    assert ak.num(jets.part_px).tolist() == [3 + n for n in range(150)]
    for place, name in enumerate(("energy", "px", "py", "pz")):
        column = jets[f"part_{name}"]
        assert column.type.content.content.primitive == "float32"
        padded = ak.to_numpy(ak.fill_none(ak.pad_none(column, 200, clip=True), 0))
        np.testing.assert_array_equal(padded, rows[:, :, place])
    total = rows.astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(jets.jet_pt, np.hypot(total[:, 1], total[:, 2]), rtol=1e-6)
    np.testing.assert_allclose(jets.jet_energy, total[:, 0], rtol=1e-6)
    np.testing.assert_allclose(jets.jet_phi, np.arctan2(total[:, 2], total[:, 1]), rtol=1e-6)
    assert jets.label_Tbqq.tolist() == [float(n % 2) for n in range(150)]
    assert jets.label_QCD.tolist() == [float(1 - n % 2) for n in range(150)]
    # neither charge nor kind of the particles is known
    kinds = [name for name in jets.fields if name.startswith("part_is")]
    assert len(kinds) == 5 and all(not ak.any(jets[name]) for name in [*kinds, "part_charge"])
    assert detect_layout(manifest.with_suffix(".root")) == "jetclass"


def test_the_manifest_is_what_ingestion_of_the_converted_file_would_say(
    tmp_path: Path, write_top_tagging: Write
) -> None:
    manifest = convert(tmp_path, write_top_tagging(tmp_path / "val.h5", 7), cross_section_pb=2.5)
    part = read_part(manifest)
    assert (part.layout, part.relative_to, part.cross_section_pb) == ("jetclass", "manifest", 2.5)
    assert part.files[0].path == "0000.root"
    sample = IngestedSample(files=[str(manifest.with_suffix(".root"))])
    again = ingest_part("mine", "0000", part_sources(sample, "0000"), sample)
    for name in ("tree", "events", "sum_of_weights", "sha256", "size", "entries"):
        assert getattr(part.files[0], name) == getattr(again.files[0], name)
    assert part.files[0].sha256 == checksum(manifest.with_suffix(".root"))


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_names_of_columns_decide_and_not_their_order(
    tmp_path: Path, write_top_tagging: Write, protocol: int
) -> None:
    plain = write_top_tagging(tmp_path / "a" / "train.h5")
    with h5py.File(plain) as file:
        rows = file["table/table"]["values_block_0"]
    order = np.random.default_rng(2).permutation(804)
    names = [f"{c}_{n}" for n in range(200) for c in ("E", "PX", "PY", "PZ")]
    names += ["truthE", "truthPX", "truthPY", "truthPZ"]
    mixed = write_top_tagging(
        tmp_path / "b" / "train.h5", rows[:, order], columns=[names[n] for n in order],
        protocol=protocol,
    )  # fmt: skip
    first, second = (tree(convert(path.parent, path)) for path in (plain, mixed))
    assert first.tolist() == second.tolist()


def test_names_that_python_2_pickled_are_read(tmp_path: Path, write_top_tagging: Write) -> None:
    path = write_top_tagging(tmp_path / "train.h5")
    expected = tree(convert(tmp_path, path))
    names = ["is_signal_new", "ttv"]
    lines = "".join(f"S'{name}'\np{place + 2}\na" for place, name in enumerate(names))
    with h5py.File(path, "a") as file:
        table = file["table/table"]
        table.attrs["values_block_1_kind"] = np.bytes_(f"(lp1\n{lines}.".encode())
        content = table[:]
        content["values_block_1"] = content["values_block_1"][:, ::-1]
        table[:] = content
    assert tree(convert(tmp_path, path)).tolist() == expected.tolist()


class Trap:
    """What loading a hostile pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("trapped"),)


@pytest.mark.parametrize("names", [None, b"no pickle", pickle.dumps([Trap()], 0)])
def test_without_names_the_documented_order_holds_and_no_pickle_is_loaded(
    tmp_path: Path,
    write_top_tagging: Write,
    names: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_top_tagging(tmp_path / "train.h5")
    expected = tree(convert(tmp_path, path)).tolist()
    with h5py.File(path, "a") as file:
        for block in ("values_block_0_kind", "values_block_1_kind"):
            del file["table/table"].attrs[block]
            if names is not None:
                file["table/table"].attrs[block] = np.bytes_(names)
    assert tree(convert(tmp_path, path)).tolist() == expected
    assert not Path("trapped").exists()
    if names and b"touch" in names:
        pickle.loads(names)
        assert Path("trapped").exists()


def test_quark_gluon_jets_are_what_rapidity_and_mass_say(
    tmp_path: Path, write_quark_gluon: Write
) -> None:
    path = write_quark_gluon(tmp_path / "QG_jets.npz")
    x = np.load(path)["X"][:, :14]
    jets = tree(convert(tmp_path, path))
    px = x[..., 0] * np.cos(x[..., 2])
    np.testing.assert_array_equal(ak.to_numpy(jets.part_px), px.astype(np.float32))
    energy, pz = (ak.to_numpy(jets[f"part_{c}"]).astype(np.float64) for c in ("energy", "pz"))
    np.testing.assert_allclose(np.arctanh(pz / energy), x[..., 1], atol=2e-6)
    mass2 = energy**2 - pz**2 - x[..., 0] ** 2
    proton, photon = mass2[:, 8], mass2[:, 0]
    np.testing.assert_allclose(proton, 0.938272**2, atol=2e-3)
    np.testing.assert_allclose(photon, 0, atol=2e-3)
    assert jets.part_charge[0].tolist() == [0, 1, -1, 1, -1, 0, 0, 0, 1, -1, -1, 1, -1, 1]
    kinds = {
        "Photon": [0], "ChargedHadron": [1, 2, 3, 4, 8, 9], "NeutralHadron": [5, 6, 7],
        "Electron": [10, 11], "Muon": [12, 13],
    }  # fmt: skip
    for name, places in kinds.items():
        assert np.flatnonzero(jets[f"part_is{name}"][0]).tolist() == places
    assert jets.label_light.tolist() == [0, 1, 0, 1, 0]
    assert jets.label_gluon.tolist() == [1, 0, 1, 0, 1]


def test_jets_of_a_part_whatever_the_jobs_are_the_same(
    tmp_path: Path, write_quark_gluon: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "ROWS", 2)
    paths = [write_quark_gluon(tmp_path / name, 7) for name in ("a.npz", "b.npz")]
    whole = tree(convert(tmp_path / "whole", *paths))
    assert len(whole) == 14 and len(set(whole.source_file.tolist())) == 2
    sample = IngestedSample(files=[str(path) for path in paths], jobs_per_file=3)
    assert part_names(sample) == [f"000{n}" for n in range(6)]
    shares = [
        tree(convert(tmp_path / "shared", *paths, part=part, jobs_per_file=3))
        for part in part_names(sample)
    ]
    assert [len(share) for share in shares] == [2, 2, 3, 2, 2, 3]
    assert ak.concatenate(shares).tolist() == whole.tolist()
    few = tree(convert(tmp_path / "few", *paths, max_events=3))
    assert few.source_row.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_memory_does_not_grow_with_the_file(
    tmp_path: Path,
    write_quark_gluon: Write,
    write_top_tagging: Write,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(step, "ROWS", 100)
    jets = 6000
    if kind == "npz":
        x = np.zeros((jets, 139, 4))
        x[:, 0] = [500, 0.1, 0.2, 211]
        path = write_quark_gluon(tmp_path / "a.npz", jets, X=x)
    else:
        rows = np.zeros((jets, 804), np.float32)
        rows[:, :4] = [600, 500, 0, 300]
        path = write_top_tagging(tmp_path / "a.h5", rows)
    size = 19e6 if kind == "h5" else 26e6
    assert jets * (3240 if kind == "h5" else 139 * 4 * 8) > size
    convert(tmp_path / "first", path, max_events=100)
    tracemalloc.start()
    manifest = convert(tmp_path, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read_part(manifest).events == jets
    assert peak < size / 4


def test_a_table_may_have_another_name(tmp_path: Path, write_top_tagging: Write) -> None:
    path = write_top_tagging(tmp_path / "mine.h5", key="jets")
    assert len(tree(convert(tmp_path, path, tree="jets"))) == 5
    with pytest.raises(InputError, match=r"mine\.h5: no table 'table'; the file has 'jets'.*tree"):
        convert(tmp_path, path)


def jets_of(manifest: Path, **selection: Any) -> ak.Array:
    settings = {"selection": selection, "shifts": {}, "reading": {"events_per_chunk": 4}}
    tables = read(manifest, JetsSettings.model_validate(settings), 1).tables
    return ak.from_arrow(next(tables.groups("nominal", 1_000_000)))


def test_top_tagging_jets_pass_with_their_labels_and_without_kinds(
    tmp_path: Path, write_top_tagging: Write
) -> None:
    path = write_top_tagging(tmp_path / "test.h5", 10)
    manifest = convert(tmp_path, path, part="0001", jobs_per_file=2)
    jets = tree(manifest)
    rows = jets_of(manifest, pt_min=400, pt_max=800, abs_eta_max=2.5)
    assert rows.event.tolist() == [5, 6, 7, 8, 9]
    assert rows.label.tolist() == [5, 0, 5, 0, 5] and ak.all(rows.label_fully_contained)
    np.testing.assert_allclose(rows.pt, jets.jet_pt, rtol=1e-6)
    np.testing.assert_allclose(rows.eta, jets.jet_eta, rtol=1e-5)
    assert rows.n_constituents.tolist() == [8, 9, 10, 11, 12]
    energy = rows.constituents.pt * np.cosh(rows.constituents.eta)
    order = ak.argsort(np.hypot(jets.part_px, jets.part_py), axis=1, ascending=False)
    np.testing.assert_allclose(ak.flatten(energy), ak.flatten(jets.part_energy[order]), rtol=1e-4)
    assert all(ak.all(np.isnan(rows[name])) for name in ("chf", "nhf", "phf", "elf", "muf"))
    assert not ak.any(np.isnan(rows.tau32))


def test_quark_gluon_jets_pass_with_labels_and_kinds(
    tmp_path: Path, write_quark_gluon: Write
) -> None:
    manifest = convert(tmp_path, write_quark_gluon(tmp_path / "a.npz", 9))
    rows = jets_of(manifest, pt_min=100, pt_max=1000)
    assert rows.label.tolist() == [0, 1] * 4 + [0]
    assert set(ak.flatten(rows.constituents.pdgId)) == {211, -211, 130, 22, 11, -11, 13, -13}
    total = sum(rows[name] for name in ("chf", "nhf", "phf", "elf", "muf"))
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_the_configuration_of_the_reference_set_takes_all_its_jets(project: Path) -> None:
    files = [project / "config" / name for name in ("config.yaml", "top_landscape.yaml")]
    chosen = validate(merge(*map(read_yaml, files)), "the configuration")
    samples = chosen.ntuples.samples
    assert all(isinstance(s, IngestedSample) and s.is_converted for s in samples.values())
    assert [s.files for s in samples.values()] == [
        [f"data/top_tagging/{name}.h5"] for name in ("train", "val", "test")
    ]
    for window in (chosen.jets.selection, chosen.tagging.selection):
        assert window.pt_min < 550 and window.pt_max > 650 and window.abs_eta_max > 2
    assert not chosen.jets.shifts and chosen.inference is None
    for tagger in chosen.tagging.taggers.values():
        assert set(tagger.samples) == set(samples)
