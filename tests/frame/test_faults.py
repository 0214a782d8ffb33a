"""Damaged inputs, full disks and folders that cannot be written have names."""

import errno
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import uproot

from fullchain import faults
from fullchain.damage import damage
from fullchain.errors import InputError
from fullchain.provenance import Record, checksum, provenance_of
from fullchain.unchanged import MOST_RECORDS, check_unchanged


def parquet(path: Path) -> None:
    pq.write_table(pa.table({"x": np.random.default_rng(1).random(20000)}), path)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(1).random((500, 40))
        file.create_dataset("x", data=values, compression="gzip", chunks=(100, 40))


def root(path: Path) -> None:
    with uproot.recreate(path) as file:
        file["Events"] = {"x": np.random.default_rng(1).random(20000)}


def model(path: Path) -> None:
    torch.save({"weights": torch.arange(5000.0)}, path)


def exchanged(path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [value], [other])), path)


def project(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("top.v")
        content = os.urandom(20000)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


MAKERS = {
    "jets.parquet": parquet,
    "showers.h5": hdf5,
    "events.root": root,
    "model.pt": model,
    "model.onnx": exchanged,
    "rtl.tar.gz": project,
    "netlist.v.gz": lambda path: path.write_bytes(gzip.compress(os.urandom(5000))),
    "numbers.json": lambda path: path.write_text(json.dumps({"a": list(range(1000))})),
    "card.yaml": lambda path: path.write_text("{a: [1, 2, 3], b: {c: 3}}\n"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_that_is_cut_or_of_another_format_is_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    MAKERS[name](path)
    assert damage(path) is None
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert damage(path)
    path.write_bytes(b"%PDF-1.7: {[ something else\n" * 50)
    assert damage(path)
    path.write_bytes(b"")
    assert damage(path) == "it is empty"


@pytest.mark.parametrize("name", ["showers.h5", "events.root", "model.pt", "rtl.tar.gz"])
def test_a_block_of_zeros_in_packed_content_is_damage(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    MAKERS[name](path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(500) + whole[middle + 500 :])
    assert damage(path)


def test_contradictions_in_a_footer_are_damage_and_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jets.parquet"
    column = pa.array([1.0])
    pq.write_table(pa.Table.from_arrays([column, column], names=["x", "x"]), path)
    # To read such a file may end the process.
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *_: pytest.fail("was read"))
    text = rf"^{path}: damaged: a column is there twice\. Where"
    with pytest.raises(InputError, match=text), faults.named([path], []):
        raise ZeroDivisionError


def test_a_file_of_unknown_kind_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "some.thing").write_text("text")
    assert damage(tmp_path / "some.thing") is None
    assert damage(tmp_path) is None


def test_the_damaged_one_of_several_inputs_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text("{}")
    bad.write_text("{")
    text = r"bad\.json: damaged: Expecting .*, delete it"
    with pytest.raises(InputError, match=text), faults.named([good, bad], []):
        json.loads(bad.read_text())
    with pytest.raises(ZeroDivisionError), faults.named([good], []):
        raise ZeroDivisionError
    with pytest.raises(InputError, match=r"^mine$"), faults.named([bad], []):
        raise InputError("mine")


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (OSError(errno.ENOSPC, "x"), "made.h5: the disk is full .No space left on device.; "),
        (OSError(errno.EDQUOT, "x"), "made.h5: the quota on this disk is used up .*make room"),
        (OSError(errno.EFBIG, "x"), "made.h5: files of this size .*raise the limit .ulimit -f."),
        (OSError(errno.ENOSPC, "x", "/tmp/work/a"), "/tmp/work/a: the disk is full"),
        (OSError("errno = 28, error message = 'No space left on device'"), "made.h5: the disk"),
        (RuntimeError("PytorchStreamWriter failed writing file data/3"), "made.h5: the disk"),
    ],
)
def test_a_full_disk_is_known_however_it_is_told(
    problem: Exception, text: str, tmp_path: Path
) -> None:
    there = tmp_path / "there.json"
    there.write_text("{}")
    outputs = [there, tmp_path / "made.h5"]
    with pytest.raises(InputError, match=text) as raised, faults.named([], outputs):
        raise problem
    assert f"MB are free in {tmp_path} now" in str(raised.value)
    # Often a library fails again while it closes the file.
    with pytest.raises(InputError, match=text), faults.named([], [tmp_path / "made.h5"]):
        try:
            raise problem
        finally:
            raise RuntimeError("cannot close")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_closed_folder_is_known_where_a_library_only_spells_it_out(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.h5"
    problem = RuntimeError(f"unable to create file (error message = '{os.strerror(number)}')")
    with pytest.raises(RuntimeError, match="unable"), faults.named([], [made]):
        raise problem
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    text = f"{made}: {os.strerror(number)}; this step writes there"
    with pytest.raises(InputError, match=text), faults.named([], [made]):
        raise problem


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two outputs of a step, with their record."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results")
    folder.mkdir()
    paths = [folder / "0001.parquet", folder / "0001.json"]
    with Record("ntuples.manifest", {}, [], paths):
        for path in paths:
            path.write_text(path.name)
    return paths


def sums(*paths: Path) -> dict[str, str]:
    return {str(path): checksum(path) for path in paths}


def test_inputs_as_they_were_written_pass(made: list[Path]) -> None:
    given = Path("mine.root")
    given.write_text("x")
    check_unchanged(sums(*made, given))


@pytest.mark.parametrize("number", [0, 1])
def test_an_input_that_differs_from_its_record_is_named(made: list[Path], number: int) -> None:
    path = made[number]
    path.write_text("0001.parquex")
    with pytest.raises(
        InputError, match=rf"{path}: changed since ntuples\.manifest wrote it"
    ) as raised:
        check_unchanged(sums(*made))
    record = provenance_of(made[0])
    assert f"delete its record {record}" in str(raised.value)
    record.unlink()
    check_unchanged(sums(*made))


def test_a_record_under_another_name_is_found(made: list[Path]) -> None:
    record = provenance_of(made[0])
    record.rename(record.with_name("else.provenance.json"))
    check_unchanged(sums(*made))
    made[1].write_text("changed")
    with pytest.raises(InputError, match=r"0001\.json: changed since"):
        check_unchanged(sums(*made))


def test_an_output_in_a_folder_below_the_first_is_compared(made: list[Path]) -> None:
    table = made[0].parent / "tables" / "jets.tex"
    table.parent.mkdir()
    with Record("paper.collect", {}, [], [made[0].with_name("metrics.json"), table]):
        made[0].with_name("metrics.json").write_text("{}")
        table.write_text("1 & 2")
    check_unchanged(sums(table))
    table.write_text("1 & 3")
    with pytest.raises(InputError, match=rf"{table}: changed since paper\.collect wrote it"):
        check_unchanged(sums(table))


def test_a_damaged_record_tells_nothing_but_is_named(
    made: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    provenance_of(made[0]).write_text("{")
    made[0].write_text("changed")
    check_unchanged(sums(*made))
    assert f"{provenance_of(made[0])}: not a provenance record" in capsys.readouterr().err


def test_a_file_that_another_step_writes_now_leaves_no_record_of_the_first(
    made: list[Path],
) -> None:
    """A sample that was ingested is generated: its manifest is a second output then."""
    manifest = made[1]
    with Record("ntuples.ingest", {}, [], [manifest]):
        manifest.write_text("ingested")
    check_unchanged(sums(manifest))
    with Record("ntuples.generate", {}, [], made):
        manifest.write_text("generated")
    assert not provenance_of(manifest).exists()
    check_unchanged(sums(*made))


def claim(place: Path, step: str, year: int, path: Path, content: str) -> None:
    digest = hashlib.sha256(content.encode()).hexdigest()
    record = {
        "step": step,
        "inputs": {},
        "outputs": [str(path)],
        "output_checksums": {str(path): digest},
        "started": f"{year}-01-01T00:00:00Z",
    }
    place.write_text(json.dumps(record))


def test_a_file_may_be_what_any_record_says(made: list[Path]) -> None:
    manifest = made[1]
    own = provenance_of(manifest)
    claim(own, "ntuples.ingest", 2020, manifest, "ingested")
    for number in range(MOST_RECORDS + 1):
        provenance_of(manifest.with_name(f"x{number}")).write_text(own.read_text())
    check_unchanged(sums(*made))
    others = manifest.with_name("zz.provenance.json")
    claim(others, "ntuples.convert", 2021, manifest, "converted")
    manifest.write_text("converted")
    check_unchanged(sums(manifest))
    manifest.write_text("by hand")
    with pytest.raises(InputError, match=r"since ntuples\.manifest wrote it") as raised:
        check_unchanged(sums(manifest))
    named = str(raised.value).rpartition("delete all its records: ")[2].split(", ")
    assert {str(own), str(provenance_of(made[0])), str(others)} <= set(named)
    for name in named:
        Path(name).unlink()
    check_unchanged(sums(manifest))


def test_a_folder_is_listed_once(made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    glob = Path.glob

    def noting(folder: Path, pattern: str) -> Iterator[Path]:
        listed.append(folder)
        return iter(glob(folder, pattern))

    monkeypatch.setattr(Path, "glob", noting)
    check_unchanged(sums(*made))
    assert listed == [made[0].parent]


def test_a_step_that_is_cut_off_leaves_no_older_record(made: list[Path]) -> None:
    with pytest.raises(KeyboardInterrupt), Record("ntuples.manifest", {}, [], made):
        made[0].write_text("made again")
        raise KeyboardInterrupt
    assert not provenance_of(made[0]).exists()
    check_unchanged(sums(*made))
