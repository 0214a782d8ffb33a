"""Which files make up a sample, and the order in which places are tried."""

import subprocess
import sys
from pathlib import Path

import pytest

from fullchain.errors import InputError
from fullchain.ntuples import sources
from fullchain.ntuples.jet_files.formats import CONTAINERS
from fullchain.ntuples.layouts.detect import SIGNATURES
from fullchain.ntuples.sources import (
    Source,
    TemporaryFailure,
    check_protocol,
    expand_files,
    first_answer,
    local_inputs,
    part_names,
    part_sources,
)
from fullchain.ntuples.sources_settings import CONVERTED_LAYOUTS, TABLE_LAYOUTS, IngestedSample


@pytest.fixture
def three_files(tmp_path: Path) -> Path:
    for name in ("b.root", "a.root", "c.root"):
        (tmp_path / name).write_bytes(b"root")
    return tmp_path


def names(folder: Path, found: list[Source]) -> list[str]:
    return [Path(source.name).relative_to(folder).as_posix() for source in found]


def test_globs_are_sorted_and_the_given_order_is_kept(three_files: Path) -> None:
    (three_files / "deep").mkdir()
    (three_files / "deep" / "d.root").write_bytes(b"root")
    entries = [str(three_files / "deep" / "**" / "*.root"), str(three_files / "*.root")]
    assert names(three_files, expand_files(entries)) == [
        "deep/d.root",
        "a.root",
        "b.root",
        "c.root",
    ]


def test_a_file_whose_name_looks_like_a_glob_is_itself(three_files: Path) -> None:
    (three_files / "x[1].root").write_bytes(b"root")
    assert names(three_files, expand_files([str(three_files / "x[1].root")])) == ["x[1].root"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["{}/*.rot"], r"\.rot: no file matches"),
        (["{}/*.root", "{}/a.root"], "a.root: listed twice"),
        (["{}/a.root", "{}/./a.root"], "listed twice"),
        (["https://a.b/*.root"], "cannot be a glob"),
        ([["{}/*.root", "https://a.b/c.root"]], "a replica is one file"),
        ([[]], "empty list of replicas"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(
    three_files: Path, entries: list[str | list[str]], message: str
) -> None:
    filled = [
        entry.format(three_files)
        if isinstance(entry, str)
        else [e.format(three_files) for e in entry]
        for entry in entries
    ]
    with pytest.raises(InputError, match=message):
        expand_files(filled)


def test_parts_are_groups_of_files(three_files: Path) -> None:
    missing = str(three_files / "missing.root")
    sample = IngestedSample(
        files=[
            str(three_files / "*.root"),
            ["https://x/d.root", str(three_files / "copy.root")],
            missing,
        ],
        files_per_job=2,
    )
    (three_files / "copy.root.part").write_bytes(b"")
    assert part_names(sample) == ["0000", "0001", "0002"]
    assert part_sources(sample, "0002") == [Source((missing,))]
    assert local_inputs(sample, "0002") == []
    assert local_inputs(sample, "0001") == [str(three_files / "c.root")]
    with pytest.raises(InputError, match="There is no part 0003"):
        part_sources(sample, "0003")


def test_parts_of_a_generated_sample_are_jobs() -> None:
    class Generated:
        kind, events, events_per_job = "generated", 2001, 1000

    assert part_names(Generated()) == ["0000", "0001", "0002"]


def test_home_folder_is_expanded(three_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(three_files))
    assert expand_files(["~/a.root"]) == [Source((str(three_files / "a.root"),))]


def test_a_passing_failure_is_tried_again_and_then_the_next_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(sources.time, "sleep", pauses.append)
    tried: list[str] = []

    def attempt(path: str) -> int:
        tried.append(path)
        if "first" in path:
            raise TemporaryFailure(f"{path}: reset")
        if "second" in path:
            raise InputError(f"{path}: does not exist")
        return 7

    places = ("https://first", "https://second", "third.root")
    lines: list[str] = []
    answer = first_answer(Source(places), attempt, retries=2, wait=1.0, report=lines.append)
    assert answer == ("third.root", 7)
    assert tried == ["https://first"] * 3 + ["https://second", "third.root"]
    assert pauses == [1.0, 2.0]
    assert "attempt 1 of 3" in lines[0]
    assert "trying the next replica" in lines[-1]
    with pytest.raises(
        InputError, match=r"none of its 2 replicas[\s\S]*reset[\s\S]*does not exist"
    ):
        first_answer(Source(places[:2]), attempt, retries=0)


@pytest.mark.parametrize(
    ("failure", "may_pass"),
    [(TemporaryFailure("reset"), True), (InputError("no tree '(attempt 1)'"), False)],
)
def test_a_later_start_is_advised_where_the_failure_may_pass(
    failure: Exception, may_pass: bool
) -> None:
    def attempt(path: str) -> int:
        raise failure

    with pytest.raises(InputError) as raised:
        first_answer(Source(("https://first",)), attempt, retries=0)
    assert (sources.REMEDY in str(raised.value)) == may_pass


def test_xrootd_without_its_packages_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install xrootd"):
        check_protocol("root://eospublic.cern.ch//eos/a.root")
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: object())
    check_protocol("root://eospublic.cern.ch//eos/a.root")
    with pytest.raises(InputError, match="ftp:// is not supported"):
        check_protocol("ftp://a/b.root")


def test_settings_know_every_layout() -> None:
    choices = IngestedSample.model_json_schema()["properties"]["layout"]["enum"]
    assert set(choices) == {"auto", *SIGNATURES, *CONVERTED_LAYOUTS}
    assert {*CONTAINERS, *TABLE_LAYOUTS} == set(CONVERTED_LAYOUTS)


def test_names_of_parts_are_found_without_heavy_imports() -> None:
    code = (
        "import sys; import fullchain.ntuples.sources; "
        "print(sorted({'numpy', 'uproot', 'pydantic', 'fsspec'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
