"""Local files: each way in which one can be unusable is named, or skipped and counted."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.ntuples import inspection
from fullchain.ntuples.ingest import ingest_part, main
from fullchain.ntuples.inspection import inspect_file
from fullchain.ntuples.manifests import PartManifest, read_part
from fullchain.ntuples.sources import expand_files
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.step import Given

Write = Callable[..., Path]


def ingest(*files: Path | str, **settings: object) -> PartManifest:
    sample = IngestedSample(files=[str(f) for f in files], **settings)  # type: ignore[arg-type]
    return ingest_part("mine", "0000", expand_files(sample.files), sample, wait=0)


def test_the_step_writes_a_complete_manifest(tmp_path: Path, write_nano: Write) -> None:
    first, second = write_nano(tmp_path / "a.root"), write_nano(tmp_path / "b.root", events=3)
    values = {"files": [str(tmp_path / "*.root")], "cross_section_pb": 2.5}
    out = tmp_path / "out" / "0000.json"
    given = Given({"ntuples": {"samples": {"mine": values}}})
    main(sample="mine", part="0000", manifest=out, settings=given)
    part = read_part(out)
    assert (part.sample, part.part, part.layout) == ("mine", "0000", "pfnano")
    assert [f.path for f in part.files] == [str(first), str(second)]
    assert [f.events for f in part.files] == [6, 3]
    assert part.sum_of_weights == pytest.approx(4.0 + 2.0)
    assert part.files[0].sha256 == hashlib.sha256(first.read_bytes()).hexdigest()
    assert part.files[0].size == first.stat().st_size
    assert part.cross_section_pb == 2.5
    written = json.loads(out.read_text())
    schema = {"sample", "part", "layout", "files", "events", "sum_of_weights", "cross_section_pb"}
    assert schema <= set(written)


def test_the_sum_of_weights_is_that_before_a_skim(tmp_path: Path, write_nano: Write) -> None:
    path = str(write_nano(tmp_path / "a.root", runs=1000.0))
    assert inspect_file(path).sum_of_weights == 1000.0
    part = inspect_file(path, max_events=2)
    assert part.events == 2
    assert part.sum_of_weights == pytest.approx(0.0, abs=1e-9)
    three = inspect_file(path, max_events=3)
    assert three.sum_of_weights == pytest.approx(1000 * 2 / 4)


def test_data_count_events(tmp_path: Path, write_nano: Write) -> None:
    path = str(write_nano(tmp_path / "a.root", drop=("genWeight",)))
    assert inspect_file(path, is_data=True).sum_of_weights == 6.0
    with pytest.raises(InputError, match=r"a\.root.*genWeight.*is_data: true"):
        inspect_file(path)


def test_a_column_in_a_path_is_part_of_its_name(tmp_path: Path, write_nano: Write) -> None:
    assert ingest(write_nano(tmp_path / "run:1.root")).events == 6


def damaged(tmp_path: Path, write_nano: Write, how: str) -> Path:
    path = tmp_path / f"{how}.root"
    if how == "absent":
        return path
    if how == "text":
        path.write_text("not a ROOT file at all, but long enough to have a header")
    elif how == "empty":
        path.touch()
    elif how == "stub":
        path.write_bytes(b"root1234")
    elif how == "folder":
        path.mkdir()
    elif how.startswith("cut"):
        whole = write_nano(tmp_path / "whole.root").read_bytes()
        path.write_bytes(whole[: int(len(whole) * float(how[3:]))])
    elif how == "garbled":
        whole = bytearray(write_nano(tmp_path / "whole.root").read_bytes())
        whole[300 : len(whole)] = bytes(len(whole) - 300)
        path.write_bytes(bytes(whole))
    elif how == "othertree":
        write_nano(path, tree="ntuple")
    elif how == "otherlayout":
        with uproot.recreate(path) as file:
            file.mktree("Events", {"mjj": np.float64})
            file["Events"].extend({"mjj": np.ones(4)})
    elif how == "rntuple":
        with uproot.recreate(path) as file:
            file["Events"] = {"mjj": np.ones(4)}
    elif how == "notree":
        with uproot.recreate(path) as file:
            file["label"] = "histograms only"
    elif how == "nomass":
        write_nano(path, candidates=None, drop=("FatJet_mass",))
    elif how == "noevents":
        write_nano(path, events=0)
    return path


@pytest.mark.parametrize(
    ("how", "settings", "message"),
    [
        ("absent", {}, "does not exist"),
        ("text", {}, "not a ROOT file; it starts with b'not a RO'"),
        ("empty", {}, "the file is empty"),
        ("stub", {}, "not a ROOT file"),
        ("folder", {}, r"not a file.*folder\.root/\*\.root"),
        ("cut0.99", {}, "truncated"),
        ("cut0.5", {}, "truncated"),
        ("cut0.05", {}, "truncated"),
        ("garbled", {}, "Trees: none .not an ntuple, or damaged"),
        ("othertree", {}, "no known layout fits.*Trees: ntuple"),
        ("othertree", {"layout": "nanoaod"}, "no tree 'Events'.*ntuple"),
        ("otherlayout", {}, "no known layout fits.*mjj"),
        ("otherlayout", {"layout": "pfnano"}, "lacks the branches run, luminosityBlock, event"),
        ("rntuple", {}, "Events is an RNTuple"),
        ("notree", {}, "Trees: none"),
        ("nomass", {"layout": "nanoaod"}, "lacks the branch FatJet_mass"),
        ("noevents", {}, "zero events"),
    ],
)
def test_an_unusable_file_is_named_with_the_reason(
    tmp_path: Path, write_nano: Write, how: str, settings: dict[str, str], message: str
) -> None:
    bad = damaged(tmp_path, write_nano, how)
    good = write_nano(tmp_path / "good.root")
    with pytest.raises(InputError, match=message) as raised:
        ingest(good, bad, **settings)
    assert str(bad) in str(raised.value)

    part = ingest(good, bad, on_bad_file="skip", **settings)
    assert [f.status for f in part.files] == ["ok", "skipped"]
    assert part.events == 6
    assert part.skipped[0].path == str(bad)
    assert str(part.skipped[0].reason) in str(raised.value)

    with pytest.raises(InputError, match="none of its 1 files"):
        ingest(bad, on_bad_file="skip", **settings)


def test_a_sample_of_two_layouts_is_refused(
    tmp_path: Path, write_nano: Write, write_jetclass: Write
) -> None:
    first, second = write_nano(tmp_path / "a.root"), write_jetclass(tmp_path / "b.root")
    with pytest.raises(InputError, match=r"b\.root: has the layout jetclass.*pfnano"):
        ingest(first, second)
    part = ingest(first, second, on_bad_file="skip")
    assert [f.status for f in part.files] == ["ok", "skipped"]


def test_a_broken_replica_is_passed_over(tmp_path: Path, write_nano: Write) -> None:
    good = write_nano(tmp_path / "good.root")
    broken = tmp_path / "broken.root"
    broken.write_bytes(good.read_bytes()[:-100])
    sample = IngestedSample(files=[[str(broken), str(good)]])
    part = ingest_part("mine", "0000", expand_files(sample.files), sample)
    assert part.files[0].path == str(good)
    assert part.files[0].replicas == (str(broken),)


def test_a_damaged_last_basket_is_found(tmp_path: Path, write_nano: Write) -> None:
    path = write_nano(tmp_path / "a.root", events=500)
    with uproot.open(path) as file:
        branch = file["Events"]["run"]
        basket = branch.basket(0)
        start = int(branch.member("fBasketSeek")[0]) + basket.member("fKeylen")
        size = basket.compressed_bytes
        assert size < basket.uncompressed_bytes
    content = bytearray(path.read_bytes())
    content[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"a\.root.*damaged"):
        inspect_file(str(path))


@pytest.mark.parametrize("problem", [MemoryError("no room"), KeyError("a bug")])
def test_what_is_no_fault_of_the_file_skips_none(
    tmp_path: Path, write_nano: Write, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    path = write_nano(tmp_path / "a.root")

    def fails(*_: object) -> None:
        raise problem

    monkeypatch.setattr(inspection, "_sums_of_weights", fails)
    with pytest.raises(type(problem)):
        ingest(path, on_bad_file="skip")


def test_what_a_reader_raises_is_the_fault_of_the_file(
    tmp_path: Path, write_nano: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = write_nano(tmp_path / "a.root"), write_nano(tmp_path / "b.root")
    decode = uproot.interpretation.numerical.AsDtype.final_array

    def wrong(self: object, *given: object, **further: object) -> object:
        branch = next(one for one in (*given, *further.values()) if hasattr(one, "file"))
        if branch.file.file_path == str(bad):
            raise KeyError("nonsense in the basket")
        return decode(self, *given, **further)

    monkeypatch.setattr(uproot.interpretation.numerical.AsDtype, "final_array", wrong)
    part = ingest(bad, good, on_bad_file="skip")
    assert [file.status for file in part.files] == ["skipped", "ok"]
    assert "nonsense in the basket" in str(part.files[0].reason)


def test_weights_that_are_no_numbers_are_named(tmp_path: Path, write_nano: Write) -> None:
    path = write_nano(tmp_path / "a.root")
    with uproot.open(path) as file:
        columns = file["Events"].arrays(library="ak")
    columns["genWeight"] = ak.Array([[1.0, 2.0]] * len(columns))
    with uproot.recreate(path) as file:
        file.mktree("Events", {name: columns[name] for name in columns.fields})
    with pytest.raises(InputError, match=r"a\.root: branch genWeight has not one number"):
        inspect_file(str(path))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "layout", "events", "weights"),
    [("pfnano.root", "pfnano", 10, 10.0), ("nano_tt_v15.root", "nanoaod", 200, 70034.0)],
)
def test_real_files(shared_data: Path, name: str, layout: str, events: int, weights: float) -> None:
    """Numbers of events as measured by hand; pfnano has a tree Runs, nano_tt_v15 has none."""
    part = ingest(shared_data / name)
    assert (part.layout, part.events) == (layout, events)
    assert part.sum_of_weights == pytest.approx(weights, rel=1e-5)
    with uproot.open(shared_data / name) as file:
        weight = file["Events"]["genWeight"].array()
    assert part.sum_of_weights == pytest.approx(float(ak.sum(weight)), rel=1e-5)


@pytest.mark.real_data
def test_a_real_file_cut_short(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "pfnano.root").read_bytes()
    path = tmp_path / "cut.root"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match=r"cut\.root: truncated, \d+ of \d+ bytes"):
        ingest(path)
