"""Part manifests: nothing incomplete is taken for whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fullchain.errors import InputError
from fullchain.ntuples.manifests import (
    PartManifest,
    SourceFile,
    merge_parts,
    read_part,
    resolve,
    write_part,
)

GOOD = SourceFile("0000.root", "Events", 10, 9.5, "ab", 100)
BAD = SourceFile("x.root", "", 0, 0.0, status="skipped", reason="x.root: truncated")


def part(**changes: object) -> PartManifest:
    return replace(PartManifest("tt", "0000", "pfnano", (GOOD, BAD), 1.5), **changes)  # type: ignore[arg-type]


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "0000.json"
    remote = replace(GOOD, path="https://a/b.root", replicas=("root://c//d.root",))
    written = PartManifest("tt", "0000", "pfnano", (GOOD, BAD, remote), None, "working_directory")
    write_part(path, written)
    assert read_part(path) == written
    assert (written.events, written.sum_of_weights) == (20, 19.0)


def test_relative_paths_start_at_the_manifest_or_the_working_directory(tmp_path: Path) -> None:
    path = tmp_path / "0000.json"
    assert resolve(part(), path, "0000.root") == str(tmp_path / "0000.root")
    here = part(relative_to="working_directory")
    assert resolve(here, path, "0000.root") == "0000.root"
    assert resolve(part(), path, "https://a/b.root") == "https://a/b.root"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"events": 11}, "says 11 events"),
        ({"sum_of_weights": 3.0}, "sum of weights"),
        ({"files": [], "events": 0, "sum_of_weights": 0.0}, "no readable file"),
        ({"relative_to": "home"}, "relative_to"),
        ({"colour": "red"}, "unknown keys colour"),
        ({"files": "0000.root"}, "no list 'files'"),
        ({"files": [{"path": "0000.root"}]}, r"files\[0\].*incomplete"),
    ],
)
def test_an_inconsistent_manifest_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "0000.json"
    write_part(path, part())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        read_part(path)


def test_a_half_written_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0000.json"
    write_part(path, part())
    path.write_text(path.read_text()[:-30])
    with pytest.raises(InputError, match="not a part manifest"):
        read_part(path)
    with pytest.raises(InputError, match="does not exist"):
        read_part(tmp_path / "0001.json")


def test_a_skip_without_a_reason_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without a reason"):
        write_part(tmp_path / "x.json", part(files=(GOOD, replace(BAD, reason=None))))


def test_parts_merge_to_a_sample(tmp_path: Path) -> None:
    paths = []
    for number, (events, cross_section) in enumerate([(10, 1.0), (30, 2.0)]):
        path = tmp_path / f"{number:04d}.json"
        file = replace(GOOD, path=f"{number}.root", events=events, sum_of_weights=events * 2.0)
        write_part(path, PartManifest("tt", f"{number:04d}", "pfnano", (file,), cross_section))
        paths.append(path)
    sample = merge_parts(paths)
    assert (sample["events"], sample["sum_of_weights"]) == (40, 80.0)
    assert sample["cross_section_pb"] == pytest.approx(1.75)
    with pytest.raises(InputError, match="comes twice"):
        merge_parts([*paths, paths[0]])
    other = tmp_path / "other.json"
    write_part(other, part(layout="nanoaod", part="0002"))
    with pytest.raises(InputError, match="own sample"):
        merge_parts([*paths, other])
