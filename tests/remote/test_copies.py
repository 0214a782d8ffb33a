"""Local copies of remote files: fetched once and whole, verified, limited, and dropped."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullchain.errors import InputError
from fullchain.ntuples import copies
from fullchain.ntuples.copies import reading_place
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.manifests import PartManifest, read_part, write_part
from fullchain.ntuples.sources import TemporaryFailure, expand_files
from fullchain.ntuples.sources_settings import IngestedSample

ProxyTo = Callable[[Any], Any]

FETCH = """
import sys
from fullchain.ntuples.copies import reading_place
print(reading_place(sys.argv[1], timeout=5.0))
sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are kept."""
    monkeypatch.setenv("FULLCHAIN_COPIES", str(tmp_path / "copies"))
    monkeypatch.setattr(copies, "_used", {})
    monkeypatch.setattr(copies, "_verified", {})
    monkeypatch.setattr(copies, "_doubted", set())
    return tmp_path / "copies"


def fetch(url: str, **options: Any) -> Path:
    return Path(reading_place(url, timeout=1.0, **options))


def forget() -> None:
    """Be as another process, which uses no copy and has verified none."""
    for stream in copies._used.values():
        stream.close()
    copies._used.clear()
    copies._verified.clear()


def fetching(url: str) -> subprocess.Popen[str]:
    """Start another process that fetches a file and uses its copy until its input is closed."""
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def ingest(*places: str, **settings: Any) -> PartManifest:
    values = {"timeout": 1.0, "retries": 2, **settings}
    sample = IngestedSample(files=[list(places)], **values)
    sources = expand_files(sample.files, sample.checksums or ())
    return ingest_part("mine", "0000", sources, sample, wait=0)


def test_nothing_is_kept_unless_asked(xrootd: Any, served: Path) -> None:
    assert reading_place(xrootd.url("a.root"), timeout=1.0) == xrootd.url("a.root")
    assert reading_place(str(served / "a.root"), timeout=1.0) == str(served / "a.root")


def test_a_file_is_fetched_once(server: Any, proxy_to: ProxyTo, served: Path, folder: Path) -> None:
    proxy = proxy_to(server)
    url = server.url("a.root", proxy.port)
    place = fetch(url)
    content = (served / "a.root").read_bytes()
    assert place.read_bytes() == content
    assert place.suffix == ".root"
    assert proxy.sent > len(content)
    forget()
    proxy.misbehave("none")
    assert fetch(url) == place
    assert proxy.sent < 10_000
    record = json.loads((place.parent / "record.json").read_text())
    assert record["sums"]["sha256"] == hashlib.sha256(content).hexdigest()
    if server.protocol == "root":
        assert record["stated"]["adler32"] == f"{zlib.adler32(content):08x}"


def test_copies_change_no_result(server: Any, served: Path, folder: Path) -> None:
    url = server.url("a.root")
    with_copies = ingest(url)
    assert any(folder.rglob("copy.root"))
    os.environ.pop("FULLCHAIN_COPIES")
    assert ingest(url) == with_copies


def test_a_damaged_copy_is_fetched_again(server: Any, folder: Path, capfd: Any) -> None:
    url = server.url("a.root")
    place = fetch(url)
    content = place.read_bytes()
    for damaged in (content[:-7], b"R" + content[1:], None):
        forget()
        place.unlink()
        if damaged is not None:
            place.write_bytes(damaged)
        assert fetch(url).read_bytes() == content
    assert "is damaged; it is fetched again" in capfd.readouterr().err


def test_a_file_that_changed_is_fetched_again(server: Any, served: Path, folder: Path) -> None:
    changing = served / "changing.txt"
    changing.write_text("first")
    assert fetch(server.url("changing.txt")).read_text() == "first"
    changing.write_text("later")
    os.utime(changing, (1, 1))
    forget()
    assert fetch(server.url("changing.txt")).read_text() == "later"


def test_a_copy_serves_while_the_server_does_not(
    server: Any, proxy_to: ProxyTo, served: Path, folder: Path, capfd: Any
) -> None:
    proxy = proxy_to(server)
    url = server.url("a.root", proxy.port)
    part = ingest(url)
    forget()
    proxy.close()
    assert ingest(url, retries=0) == PartManifest(**{**vars(part), "retries": 0})
    assert "its copy is used" in capfd.readouterr().err
    with pytest.raises(InputError, match="attempt 1 of 1"):
        ingest(server.url("b.root", proxy.port), retries=0)


@pytest.mark.parametrize("kind", ["cut", "end", "stall", "garbage"])
def test_a_broken_transfer_leaves_no_copy(
    server: Any, proxy_to: ProxyTo, folder: Path, served: Path, kind: str
) -> None:
    proxy = proxy_to(server)
    url = server.url("a.root", proxy.port)
    proxy.misbehave(kind, 100_000)
    with pytest.raises(InputError, match="attempt 2 of 2"):
        ingest(url, retries=1)
    assert not list(folder.rglob("copy*"))
    assert not list(folder.rglob(".unfinished*"))
    proxy.misbehave(kind, 100_000, connections=1)
    assert ingest(url).files[0].path == url
    (place,) = folder.rglob("copy.root")
    assert place.read_bytes() == (served / "a.root").read_bytes()


def test_a_file_that_is_cut_short_on_the_server_is_no_copy(server: Any, folder: Path) -> None:
    with pytest.raises(InputError, match=r"cut\.root: truncated"):
        ingest(server.url("cut.root"))
    assert not list(folder.rglob("copy*"))
    with pytest.raises(InputError, match=r"gone\.root: the file does not exist"):
        ingest(server.url("gone.root"))


def test_servers_without_range_requests_can_be_copied_from(nginx: Any, folder: Path) -> None:
    url = nginx.url("whole/a.root")
    assert ingest(url).files[0].path == url


def test_two_processes_fetch_once(
    server: Any, proxy_to: ProxyTo, served: Path, folder: Path
) -> None:
    proxy = proxy_to(server)
    proxy.misbehave("none")
    both = [fetching(server.url("a.root", proxy.port)) for _ in range(2)]
    places = {process.communicate("\n")[0] for process in both}
    assert len(places) == 1
    size = (served / "a.root").stat().st_size
    assert size < proxy.sent < 1.5 * size


def test_the_copies_unused_longest_make_room(
    server: Any, folder: Path, served: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    size = (served / "a.root").stat().st_size
    monkeypatch.setenv("FULLCHAIN_COPIES_GB", str(2.2 * size / 1e9))
    for number in range(4):
        (served / f"n{number}.root").write_bytes((served / "a.root").read_bytes())
    first, second = (fetch(server.url(f"n{n}.root")) for n in range(2))
    os.utime(second.parent / "record.json", (1, 1))
    forget()
    third = fetch(server.url("n2.root"))
    assert [p.is_file() for p in (first, second, third)] == [True, False, True]
    user = fetching(server.url("n0.root"))
    assert user.stdout
    assert user.stdout.readline().strip() == str(first)
    # both others are in use, one by another process
    assert reading_place(server.url("n3.root"), timeout=1.0) == server.url("n3.root")
    assert "no copy is kept" in capfd.readouterr().err
    assert first.is_file()
    assert third.is_file()
    user.communicate("\n")
    assert fetch(server.url("n3.root")).is_file()
    assert not first.is_file()


def test_fetches_under_way_and_their_leftovers_count_for_the_limit(
    xrootd: Any, folder: Path, served: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    size = (served / "a.root").stat().st_size
    monkeypatch.setenv("FULLCHAIN_COPIES_GB", str(1.5 * size / 1e9))
    url, received = xrootd.url("a.root"), copies._Entry._receive

    def receive(entry: Any, *arguments: Any) -> int:
        if entry.url == url:
            # another file is asked for while nothing of the first one is there so far
            assert reading_place(xrootd.url("b.root"), timeout=1.0) == xrootd.url("b.root")
        return received(entry, *arguments)

    monkeypatch.setattr(copies._Entry, "_receive", receive)
    assert fetch(url).is_file()
    assert "no copy is kept" in capfd.readouterr().err
    forget()
    # what a killed fetch leaves: no record, and a place for all of it
    place = fetch(url).parent
    (place / "record.json").unlink()
    (place / "copy.root").rename(place / ".unfinished.elsewhere.1.copy.root")
    (place / "expected").write_text(str(size))
    forget()
    assert fetch(xrootd.url("b.root")).is_file()
    assert {file.name for file in place.iterdir()} == {"in_use", "fetching"}


def test_a_killed_fetch_of_the_same_file_leaves_nothing(xrootd: Any, folder: Path) -> None:
    place = fetch(xrootd.url("a.root")).parent
    forget()
    (place / "record.json").unlink()
    (place / ".unfinished.elsewhere.1.copy.root").write_bytes(b"half")
    fetch(xrootd.url("a.root"))
    assert not list(place.glob(".unfinished*"))
    assert not (place / "expected").exists()


def test_a_checksum_that_comes_late_is_compared_with_the_copy(
    xrootd: Any, served: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, transfers, received = xrootd.url("a.root"), [], copies._Entry._receive

    def receive(entry: Any, *arguments: Any) -> int:
        transfers.append(entry.url)
        return received(entry, *arguments)

    monkeypatch.setattr(copies._Entry, "_receive", receive)
    told = copies.stated(url, 1.0)
    without = {name: told[name] for name in ("size", "modified")}
    for answer in (without, told, without):
        forget()
        monkeypatch.setattr(copies, "stated", lambda *_, answer=answer: answer)
        fetch(url)
    assert transfers == [url]
    forget()
    monkeypatch.setattr(copies, "stated", lambda *_: {**without, "adler32": "00000001"})
    with pytest.raises(TemporaryFailure, match="damaged on the way"):
        fetch(url)
    assert len(transfers) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_transfer_that_was_damaged_once_is_repeated_before_the_checksum_is_blamed(
    nginx: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    from fullchain.ntuples import transfer

    if kept:
        monkeypatch.setenv("FULLCHAIN_COPIES", str(tmp_path / "copies"))
    content = (served / "a.root").read_bytes()
    calls, blocks = [], transfer.blocks

    def damaged_once(url: str, timeout: float) -> Any:
        calls.append(url)
        for block in blocks(url, timeout):
            yield block[:-1] + bytes([block[-1] ^ 1]) if len(calls) == 1 else block

    monkeypatch.setattr(transfer, "blocks", damaged_once)
    monkeypatch.setattr(copies, "blocks", damaged_once)
    url, checksum = nginx.url("a.root"), f"adler32:{zlib.adler32(content):08x}"
    assert ingest(url, checksums=[checksum]).files[0].checksum == checksum
    assert len(calls) == 2


def test_a_copy_that_was_damaged_on_its_way_is_fetched_again_for_its_checksum(
    nginx: Any, served: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, blocks = (served / "a.root").read_bytes(), copies.blocks

    def damaged(url: str, timeout: float) -> Any:
        for block in blocks(url, timeout):
            yield block[:-1] + bytes([block[-1] ^ 1])

    url = nginx.url("a.root")
    with monkeypatch.context() as once:
        once.setattr(copies, "blocks", damaged)
        assert fetch(url).read_bytes() != content
    forget()
    ingest(url, checksums=[f"adler32:{zlib.adler32(content):08x}"])
    assert fetch(url).read_bytes() == content


def test_a_full_disk_is_no_reason_to_stop(
    server: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copies._Entry, "_receive", full)
    url = server.url("a.root")
    assert reading_place(url, timeout=1.0) == url
    assert "the disk of" in capfd.readouterr().err
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    assert reading_place(url, timeout=1.0) == url
    assert "do not fit on the disk" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["much", "0", "-3", "nan"])
def test_a_limit_that_is_none(xrootd: Any, folder: Path, monkeypatch: Any, text: str) -> None:
    monkeypatch.setenv("FULLCHAIN_COPIES_GB", text)
    with pytest.raises(InputError, match=f"FULLCHAIN_COPIES_GB={text}"):
        fetch(xrootd.url("a.root"))


def test_a_folder_that_cannot_be(xrootd: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FULLCHAIN_COPIES", str(tmp_path / "file"))
    with pytest.raises(InputError, match="no copies can be kept there"):
        fetch(xrootd.url("a.root"))


def test_what_the_server_says_of_the_content_is_checked(
    xrootd: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(url: str, timeout: float) -> dict[str, str]:
        return {"size": str((xrootd.folder / "a.root").stat().st_size), "adler32": "0" * 8}

    monkeypatch.setattr(copies, "stated", wrong)
    with pytest.raises(TemporaryFailure, match="damaged on the way"):
        fetch(xrootd.url("a.root"))
    assert not list(folder.rglob("copy*"))


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("algorithm", ["adler32", "sha256"])
def test_a_checksum_of_the_settings(
    server: Any, served: Path, tmp_path: Path, monkeypatch: Any, kept: bool, algorithm: str
) -> None:
    if kept:
        monkeypatch.setenv("FULLCHAIN_COPIES", str(tmp_path / "copies"))
    content = (served / "a.root").read_bytes()
    sums = {
        "adler32": f"adler32:{zlib.adler32(content):08x}",
        "sha256": f"sha256:{hashlib.sha256(content).hexdigest()}",
    }
    url = server.url("a.root")
    part = ingest(url, checksums=[sums[algorithm]])
    assert part.files[0].checksum == sums[algorithm]
    write_part(tmp_path / "part.json", part)
    assert read_part(tmp_path / "part.json") == part
    other = sums[algorithm].replace(":", ":0")[:-1]
    for place in (url, str(served / "a.root")):
        with pytest.raises(InputError, match=f"its {algorithm} is .*, the settings") as raised:
            ingest(place, checksums=[other])
        assert place in str(raised.value)


def test_checksums_belong_to_files(served: Path) -> None:
    with pytest.raises(ValueError, match="2 for 1 entries"):
        IngestedSample(files=["a.root"], checksums=[None, None])
    with pytest.raises(ValueError, match="pattern"):
        IngestedSample(files=["a.root"], checksums=["adler32:xyz"])
    with pytest.raises(InputError, match="for one checksum"):
        expand_files([str(served / "[ab].root")], ["adler32:00000000"])
