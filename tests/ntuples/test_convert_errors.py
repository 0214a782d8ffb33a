"""Published jets that cannot be converted: messages name file, jet, and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.ntuples import convert as step
from fullchain.ntuples.inspection import inspect_file
from fullchain.ntuples.manifests import read_part
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.step import Given

Write = Callable[..., Path]


def convert(folder: Path, *files: Any, part: str = "0000", **settings: Any) -> Path:
    sample = {"kind": "ingested", "files": [_names(file) for file in files], **settings}
    manifest = folder / f"{part}.json"
    given = Given({"seed": 1, "ntuples": {"samples": {"mine": sample}}})
    step.main(
        sample="mine", part=part, ntuple=folder / f"{part}.root", manifest=manifest, settings=given
    )
    return manifest


def _names(file: Any) -> Any:
    return [str(path) for path in file] if isinstance(file, list) else str(file)


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (3, 1, np.nan, r"jet 3: a momentum is not finite; .*checksum"),
        (2, 0, -1.0, "jet 2: a constituent has a negative energy"),
        (4, 0, 0.0, "jet 4: a constituent has momentum, no energy"),
        (1, slice(1, 3), 0.0, "jet 1: a constituent has no transverse momentum"),
        (1, slice(None), 0.0, "jet 1: it has no constituents"),
        (slice(2, None), 5, np.inf, r"jet 2: a momentum is not finite \(3 such jets near it\)"),
    ],
)
def test_a_bad_top_tagging_jet_is_named(
    tmp_path: Path, write_top_tagging: Write, row: Any, column: Any, value: float, message: str
) -> None:
    good = write_top_tagging(tmp_path / "good.h5")
    with h5py.File(good) as file:
        rows = file["table/table"]["values_block_0"]
    rows[row, column] = value
    path = write_top_tagging(tmp_path / "bad.h5", rows)
    with pytest.raises(InputError, match=rf"bad\.h5: {message}"):
        convert(tmp_path, path)
    assert not (tmp_path / "0000.root").exists() and not (tmp_path / "0000.json").exists()


def test_a_label_that_is_none_is_named(tmp_path: Path, write_top_tagging: Write) -> None:
    path = write_top_tagging(tmp_path / "a.h5", 3, labels=np.array([0, 1, 2]))
    with pytest.raises(InputError, match=r"a\.h5: jet 2: is_signal_new is neither 0 nor 1"):
        convert(tmp_path, path)


def names(particles: int) -> list[str]:
    return [f"{c}_{n}" for n in range(particles) for c in ("E", "PX", "PY", "PZ")]


@pytest.mark.parametrize(
    ("columns", "integers", "message"),
    [
        ([*names(3), "PX_3"], ("is_signal_new",), "wrong columns: .*a column PX_3, but not all"),
        (names(3)[:-1], ("is_signal_new",), "wrong columns: .*no column PZ_2"),
        (["a", "b"], ("is_signal_new",), "wrong columns: .*no column E_0"),
        (names(3), ("ttv",), "no column is_signal_new"),
    ],
)
def test_a_table_of_other_columns_is_refused(
    tmp_path: Path,
    write_top_tagging: Write,
    columns: list[str],
    integers: tuple[str, ...],
    message: str,
) -> None:
    rows = np.ones((2, len(columns)), np.float32)
    path = write_top_tagging(tmp_path / "a.h5", rows, columns=columns, integers=integers)
    with pytest.raises(InputError, match=rf"a\.h5: .*{message}"):
        convert(tmp_path, path)


def test_a_table_without_names_needs_the_documented_shape(
    tmp_path: Path, write_top_tagging: Write
) -> None:
    path = write_top_tagging(
        tmp_path / "a.h5", np.ones((2, 12), np.float32), columns=names(3), protocol=0
    )
    with h5py.File(path, "a") as file:
        del file["table/table"].attrs["values_block_0_kind"]
    with pytest.raises(InputError, match="values_block_0 has 12 columns, 804 are expected"):
        convert(tmp_path, path)


def test_other_content_of_an_hdf5_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "fixed.h5", "w") as file:
        file["table/axis0"], file["table/block0_values"] = [1.0], [2.0]
    with pytest.raises(InputError, match=r"fixed\.h5: .*fixed format of pandas.*format='table'"):
        convert(tmp_path, tmp_path / "fixed.h5")
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["table"] = np.ones((3, 3))
    with pytest.raises(InputError, match=r"plain\.h5: 'table' is no DataFrame"):
        convert(tmp_path, tmp_path / "plain.h5")


def test_compression_that_cannot_be_undone_is_named(tmp_path: Path) -> None:
    kind = np.dtype([("index", "<i8"), ("values_block_0", "<f4", (4,))])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((4,))
        creation.set_filter(32999, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((4,))
        where = file.create_group("table").id
        h5py.h5d.create(where, b"table", h5py.h5t.py_create(kind), space, dcpl=creation)
    with pytest.raises(InputError, match=r"a\.h5: .*HDF5 filter 32999.*hdf5plugin.*ptrepack"):
        convert(tmp_path, tmp_path / "a.h5")


def x(jets: int = 3, **changes: Any) -> np.ndarray:
    content = np.zeros((jets, 5, 4))
    content[:, :2] = [[100, 0.1, 0.2, 211], [400, 0.1, 0.3, 22]]
    for place, value in changes.values():
        content[place] = value
    return content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": x(bad=((1, 0, 1), np.nan))}, "jet 1: a particle is not finite"),
        ({"X": x(bad=((2, 1, 0), -3))}, "jet 2: a particle has a negative pT"),
        ({"X": x(bad=(1, 0))}, "jet 1: it has no particles"),
        ({"X": x(bad=((0, 0, 3), 12))}, "jet 0: a particle has the PDG code 12, none that"),
        ({"X": x(), "y": np.array([0, 1, 0.5])}, "jet 2: y is neither 0 nor 1"),
        ({"X": x(), "y": np.zeros(2)}, r"X has 3 jets, y the shape \(2,\)"),
        ({"X": x()[..., :3]}, r"X has the shape \(3, 5, 3\), not \(jets, particles, 4\)"),
        ({"X": np.asfortranarray(x())}, "array 'X' .*Fortran order.*savez"),
        ({"X": x().astype(object)}, "array 'X' .*object.*not one of numbers"),
        ({"X": x(0), "y": np.zeros(0)}, "has zero jets"),
    ],
)
def test_a_bad_quark_gluon_file_is_named(
    tmp_path: Path, write_quark_gluon: Write, changes: dict[str, np.ndarray], message: str
) -> None:
    path = write_quark_gluon(tmp_path / "a.npz", 3, **changes)
    with pytest.raises(InputError, match=rf"a\.npz: .*{message}"):
        convert(tmp_path, path)


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", jets=np.zeros(3), y=np.zeros(3))
    with pytest.raises(InputError, match=r"a\.npz: no array 'X'; the file has jets, y"):
        convert(tmp_path, tmp_path / "a.npz")


@pytest.mark.parametrize("kept", [0.5, 0.98])
@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_a_file_that_is_cut_short_is_named(
    tmp_path: Path, write_top_tagging: Write, write_quark_gluon: Write, suffix: str, kept: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    whole = write_top_tagging(path, 40) if suffix == "h5" else write_quark_gluon(path, 40)
    content = whole.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=rf"a\.{suffix}: .*truncated or damaged, get it again"):
        convert(tmp_path, path)


def test_damage_inside_a_file_is_named(
    tmp_path: Path, write_top_tagging: Write, write_quark_gluon: Write
) -> None:
    for path in (write_top_tagging(tmp_path / "a.h5", 40), write_quark_gluon(tmp_path / "a.npz")):
        content = bytearray(path.read_bytes())
        middle = len(content) // 3 if path.suffix == ".npz" else len(content) - 2000
        content[middle : middle + 400] = b"\0" * 400
        path.write_bytes(bytes(content))
        with pytest.raises(InputError, match=rf"a\{path.suffix}: .*damaged"):
            convert(tmp_path, path)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("absent.h5", {}, r"absent\.h5: the file does not exist"),
        ("text.h5", {}, r"text\.h5: starts with b'no jets'.*an HDF5 file or a NumPy archive"),
        ("good.npz", {"layout": "top_tagging"}, r"good\.npz: is a NumPy archive.*layout top_tag"),
        ("good.h5", {"layout": "quark_gluon"}, r"good\.h5: is an HDF5 file.*set 'layout'"),
        ("good.h5", {"jobs_per_file": 9}, "only 5 jets to share among 9 jobs"),
    ],
)
def test_files_that_are_none_of_the_layout(
    tmp_path: Path,
    write_top_tagging: Write,
    write_quark_gluon: Write,
    name: str,
    settings: dict[str, Any],
    message: str,
) -> None:
    write_top_tagging(tmp_path / "good.h5")
    write_quark_gluon(tmp_path / "good.npz")
    (tmp_path / "text.h5").write_text("no jets")
    with pytest.raises(InputError, match=message):
        convert(tmp_path, tmp_path / name, **settings)


def test_urls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"https://a\.b/c\.h5: .*over a network; download it"):
        convert(tmp_path, "https://a.b/c.h5")


def test_files_of_both_sets_are_no_sample(
    tmp_path: Path, write_top_tagging: Write, write_quark_gluon: Write
) -> None:
    files = write_top_tagging(tmp_path / "a.h5"), write_quark_gluon(tmp_path / "b.npz")
    with pytest.raises(InputError, match=r"b\.npz: has the layout quark_gluon.*before it have top"):
        convert(tmp_path, *files)


def test_bad_files_are_left_out_whole_where_this_is_asked(
    tmp_path: Path, write_quark_gluon: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "ROWS", 2)
    good = write_quark_gluon(tmp_path / "good.npz", 4)
    # its last jets are bad: what comes before must not be written either
    bad = write_quark_gluon(tmp_path / "bad.npz", 9, X=x(9, bad=((8, 0, 0), np.nan)))
    part = read_part(convert(tmp_path, bad, good, on_bad_file="skip"))
    assert (part.events, [f.status for f in part.files]) == (4, ["ok", "skipped"])
    assert "bad.npz: jet 8" in str(part.skipped[0].reason)
    with pytest.raises(InputError, match=r"none of its 1 files can be used:\n.*bad\.npz: jet 8"):
        convert(tmp_path / "none", bad, on_bad_file="skip")
    with pytest.raises(InputError, match=r"bad\.npz: jet 8"):
        convert(tmp_path / "error", good, bad)


def test_the_next_replica_is_read_where_one_is_absent(
    tmp_path: Path, write_quark_gluon: Write
) -> None:
    good = write_quark_gluon(tmp_path / "good.npz", 4)
    assert read_part(convert(tmp_path, [tmp_path / "absent.npz", good])).events == 4


def test_only_files_that_are_converted_are_shared_by_jobs() -> None:
    assert IngestedSample(files=["a.h5"], jobs_per_file=3).is_converted
    assert IngestedSample(files=[["https://x/a.npz", "b.npz"]]).is_converted
    assert IngestedSample(files=["data/*"], layout="quark_gluon").is_converted
    assert not IngestedSample(files=["a.root"]).is_converted
    assert not IngestedSample(files=["a.h5"], layout="jetclass").is_converted
    with pytest.raises(ValidationError, match="jobs_per_file: only files of top_tagging and"):
        IngestedSample(files=["a.root"], jobs_per_file=2)


def test_ingestion_says_what_such_a_file_needs(tmp_path: Path, write_quark_gluon: Write) -> None:
    path = write_quark_gluon(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"not a ROOT file; .*HDF5 or npz, set the layout"):
        inspect_file(str(path))
