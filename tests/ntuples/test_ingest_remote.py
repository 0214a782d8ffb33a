"""Files behind a web server that works, is slow, refuses, or breaks the connection."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullchain.errors import InputError
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.manifests import PartManifest
from fullchain.ntuples.sources import expand_files
from fullchain.ntuples.sources_settings import IngestedSample

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def one_file(tmp_path: Path, write_nano: Write) -> Path:
    return write_nano(tmp_path / "a.root")


def ingest(*files: str | list[str], **settings: object) -> PartManifest:
    sample = IngestedSample(files=list(files), **{"timeout": 5.0, **settings})  # type: ignore[arg-type]
    return ingest_part("mine", "0000", expand_files(sample.files), sample, wait=0)


def test_a_remote_file_gives_the_same_manifest_as_a_local_one(
    file_server: Any, one_file: Path
) -> None:
    local = ingest(str(one_file)).files[0]
    remote = ingest(file_server.url("good", "a.root")).files[0]
    assert remote.path == file_server.url("good", "a.root")
    assert (remote.events, remote.sum_of_weights) == (local.events, local.sum_of_weights)
    assert (remote.sha256, remote.size) == (None, None)


@pytest.mark.parametrize(
    ("manner", "name", "message"),
    [
        ("good", "b.root", "does not exist"),
        ("403", "a.root", "HTTP 403"),
        ("whole", "a.root", "no range requests"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(
    file_server: Any, manner: str, name: str, message: str
) -> None:
    url = file_server.url(manner, name)
    with pytest.raises(InputError, match=message) as raised:
        ingest(url)
    assert url in str(raised.value)
    assert file_server.requests[manner] == 1


def test_a_cut_connection_is_tried_again_then_the_next_replica_answers(file_server: Any) -> None:
    cut, good = file_server.url("cut", "a.root"), file_server.url("good", "a.root")
    part = ingest([cut, file_server.url("404", "a.root"), good], retries=2)
    assert part.files[0].path == good
    assert part.events == 6
    assert file_server.requests["cut"] >= 3
    assert part.files[0].replicas == (cut, file_server.url("404", "a.root"))


def test_a_connection_that_breaks_now_and_then_is_enough(file_server: Any) -> None:
    part = ingest(file_server.url("flaky", "a.root"), retries=3)
    assert part.events == 6
    assert file_server.requests["flaky"] > 4


def test_a_busy_server_is_tried_again(file_server: Any) -> None:
    with pytest.raises(InputError, match=r"attempt 2 of 2"):
        ingest(file_server.url("503", "a.root"), retries=1)
    assert file_server.requests["503"] == 2


def test_a_silent_server_is_given_up_after_the_timeout(file_server: Any) -> None:
    with pytest.raises(InputError, match=r"silent/a\.root"):
        ingest(file_server.url("silent", "a.root"), retries=0, timeout=0.5)


def test_a_server_that_is_not_there(file_server: Any) -> None:
    file_server.close()
    url = file_server.url("good", "a.root")
    with pytest.raises(InputError, match="attempt 1 of 1"):
        ingest(url, retries=0)


def test_skipped_remote_files_are_counted(file_server: Any) -> None:
    good, gone = file_server.url("good", "a.root"), file_server.url("good", "gone.root")
    part = ingest(good, gone, on_bad_file="skip")
    assert [f.status for f in part.files] == ["ok", "skipped"]
    assert "gone.root" in str(part.skipped[0].reason)


def test_xrootd_without_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install xrootd"):
        ingest("root://eospublic.cern.ch//eos/opendata/a.root")
