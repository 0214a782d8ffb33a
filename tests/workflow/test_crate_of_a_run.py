"""The finished test run as a Workflow Run RO-Crate."""

import json
import zipfile
from collections.abc import Callable

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_every_file_of_the_run_is_in_a_record(finished) -> None:
    said = finished.command("verify", "results/test")
    assert "nothing is changed or gone" in said
    assert "in no record" not in said


def test_the_crate_of_the_run_holds_all_of_its_jobs(finished) -> None:
    said = finished.command("crate", "results/test", "--to", "test.crate.zip")
    records = list(finished.folder.glob("results/test/**/*.provenance.json"))
    assert f"{len(records)} jobs" in said
    with zipfile.ZipFile(finished.folder / "test.crate.zip") as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        assert json.loads(archive.read("configuration.json"))["run"] == "test"
        assert "results/test/paper/index.html" in archive.namelist()
    entities = {entity["@id"]: entity for entity in graph}
    page = entities["results/test/paper/index.html"]
    assert len(page["sha256"]) == 64
    # The test configuration makes all that it reads.
    assert entities["#run"]["object"] == {"@id": "configuration.json"}


def test_the_public_validator_accepts_the_crate_of_the_run(
    finished, validate: Callable[..., tuple[bool, list[list[str]]]]
) -> None:
    crate = finished.folder / "validated.crate.zip"
    finished.command("crate", "results/test", "--to", crate.name)
    assert validate(crate) == (True, [])
