"""Files of a run against their records."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fullchain import further_outputs
from fullchain.dag import verify as command
from fullchain.dag.crate_files import read_run
from fullchain.dag.verify import describe, records, verify
from fullchain.errors import InputError
from fullchain.provenance import Record, provenance_of


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two steps, the second of which reads what the first wrote."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results/mine")
    (folder / "stage").mkdir(parents=True)
    given, first, second = Path("given.txt"), folder / "stage/first.txt", folder / "stage/b.txt"
    given.write_text("given")
    for source, made in ((given, first), (first, second)):
        with Record("dag.none", {}, [source], [made]) as record:
            made.write_text(source.read_text() + ".")
        del record
    return folder


def found(folder: Path) -> command.Verification:
    return verify(folder, Path(), records(folder))


@pytest.fixture(autouse=True)
def no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = json.dumps({"modules": {}, "packages": {}})
    monkeypatch.setattr("fullchain.provenance.code", lambda step: identity)


def test_a_run_that_nobody_touched_matches(run: Path) -> None:
    result = found(run)
    assert (result.matching, result.read, result.problems) == (2, 1, [])
    assert "nothing is changed or gone" in describe(result)
    command.main([str(run)])


def test_a_changed_file_is_named_once(run: Path) -> None:
    (run / "stage/first.txt").write_text("damaged")
    result = found(run)
    assert result.problems == ["results/mine/stage/first.txt: changed since dag.none"]
    with pytest.raises(SystemExit) as ended:
        command.main([str(run)])
    assert ended.value.code == 1


def test_a_file_that_is_gone_is_named(run: Path) -> None:
    (run / "stage/b.txt").unlink()
    assert found(run).problems == ["results/mine/stage/b.txt: gone since dag.none"]
    Path("given.txt").unlink()
    assert any(
        line.startswith("given.txt: gone since dag.none read") for line in found(run).problems
    )


def test_results_of_an_older_input_are_named(run: Path) -> None:
    first = run / "stage/first.txt"
    with Record("dag.none", {}, [Path("given.txt")], [first]):
        first.write_text("made again, differently")
    assert found(run).problems == [
        "results/mine/stage/b.txt: made by dag.none from another version of "
        "results/mine/stage/first.txt, which was made again since"
    ]


def test_cpu_time_has_that_of_the_processes_that_a_step_waits_for(run: Path) -> None:
    # More than what is asked for: the times of processes are counted in hundredths of a second.
    burn = "import time\nwhile time.process_time() < 0.6: pass"
    made = run / "stage/burnt.txt"
    before = sum(os.times()[:4])
    with Record("dag.none", {}, [], [made]):
        subprocess.run([sys.executable, "-c", burn], check=True)
        made.write_text("done")
    assert json.loads(provenance_of(made).read_text())["cpu_seconds"] >= before + 0.5


def test_figures_are_in_the_record_of_the_job_that_drew_them(run: Path) -> None:
    from fullchain import plotting

    index = run / "stage/figures/index.json"
    drawn = [index.with_name(f"mass.{suffix}") for suffix in ("pdf", "png")]
    with Record("dag.none", {}, [run / "stage/b.txt"], [index]):
        figures = plotting.figure_set(index, "stage")
        figures.save(plotting.figure()[0], "mass", "Mass", "The mass.")
        figures.write()
    record = json.loads(provenance_of(index).read_text())
    assert record["outputs"] == [str(path) for path in (index, *drawn)]
    result = found(run)
    assert (result.matching, result.unrecorded) == (5, [])
    drawn[0].write_text("by hand")
    assert found(run).problems == [f"{drawn[0]}: changed since dag.none"]


def test_a_step_answers_for_its_own_further_files_only(run: Path) -> None:
    extra, gone, last = (run / f"stage/{name}.txt" for name in ("extra", "gone", "last"))
    further_outputs.tell(run / "stage/first.txt")
    with Record("dag.none", {}, [], [last]):
        for path in (extra, gone, last):
            path.write_text("x")
            further_outputs.tell(path)
        gone.unlink()
    record = json.loads(provenance_of(last).read_text())
    assert record["outputs"] == [str(last), str(extra)]
    assert set(record["output_checksums"]) == {str(last), str(extra)}


def test_files_without_a_record_or_checksum_are_counted(run: Path) -> None:
    (run / "stage/figure.pdf").write_text("drawn")
    (run / "logs").mkdir()
    (run / "logs/a.log").write_text("not a result")
    record = provenance_of(run / "stage/b.txt")
    content = json.loads(record.read_text())
    del content["output_checksums"]
    record.write_text(json.dumps(content))
    result = found(run)
    assert result.unrecorded == ["results/mine/stage/figure.pdf"]
    assert "1 files are in no record" in describe(result)
    assert result.without_checksum == ["results/mine/stage/b.txt"]
    assert "make them again" in describe(result)


def test_folders_and_records_of_no_use_are_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        command.main(["results/other"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no provenance records"):
        records(tmp_path / "empty")
    provenance_of(run / "stage/b.txt").write_text("{}")
    with pytest.raises(InputError, match=r"b\.txt\.provenance\.json: not a provenance record"):
        records(run)


def claim_before(run: Path, path: Path, read: dict[str, str]) -> Path:
    """Leave the record of a step that wrote a file before another one did."""
    record = json.loads(provenance_of(run / "stage/b.txt").read_text())
    record |= {"step": "dag.former", "inputs": read, "outputs": [str(path)]}
    record |= {"output_checksums": {str(path): "0" * 64}, "started": "2020-01-01T00:00:00Z"}
    place = path.with_name("zz.provenance.json")
    place.write_text(json.dumps(record))
    return place


def test_of_two_records_of_a_file_the_newest_counts(run: Path) -> None:
    first = run / "stage/first.txt"
    # It comes last in the folder, and what it read is gone.
    claim_before(run, first, {"gone.txt": "1" * 64})
    assert (found(run).matching, found(run).problems) == (2, [])
    assert [record["step"] for record in records(run)] == ["dag.none", "dag.none"]
    first.write_text("damaged")
    assert found(run).problems == [f"{first}: changed since dag.none"]


def test_a_record_that_counts_for_some_of_its_files_is_compared_for_these(run: Path) -> None:
    place = claim_before(run, run / "stage/first.txt", {})
    record = json.loads(place.read_text())
    other = run / "stage/other.txt"
    other.write_text("x")
    record["outputs"].append(str(other))
    record["output_checksums"][str(other)] = "2" * 64
    place.write_text(json.dumps(record))
    assert found(run).problems == [f"{other}: changed since dag.former"]
    checksums = found(run).checksums
    files = read_run(records(run), Path(), "all", checksums).files
    versions = {file.is_old: file for file in files if file.path == str(run / "stage/first.txt")}
    assert versions[False].is_packed
    assert versions[True].sha256 == "0" * 64
