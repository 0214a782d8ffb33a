"""Reading from real servers whose connections are slow, break, fall silent or bring nonsense."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.jets.part import read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples import xrootd as reader
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.manifests import PartManifest, write_part
from fullchain.ntuples.sources import expand_files
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.pileup.reading import read_chunks

ProxyTo = Callable[[Any], Any]

BEFORE_ALL, IN_BETWEEN = 0, 20_000
"""Bytes of the answers that pass; the second is after the list of branches."""

PASSING = [
    ("cut", BEFORE_ALL), ("cut", IN_BETWEEN), ("end", IN_BETWEEN), ("garbage", BEFORE_ALL),
    ("garbage", IN_BETWEEN), ("stall", BEFORE_ALL), ("stall", IN_BETWEEN),
]  # fmt: skip


def ingest(*places: str, **settings: Any) -> PartManifest:
    values = {"timeout": 1.0, "retries": 2, **settings}
    sample = IngestedSample(files=[list(places)], **values)
    sources = expand_files(sample.files, sample.checksums or ())
    return ingest_part("mine", "0000", sources, sample, wait=0)


def events(folder: Path, part: PartManifest) -> dict[str, np.ndarray]:
    """What the stage pileup reads of a part."""
    write_part(folder / "part.json", part)
    chunks = [c.events for c in read_chunks(folder / "part.json", events_per_chunk=10)]
    return {n: np.concatenate([getattr(c, n) for c in chunks]) for n in ("event", "pt", "dz")}


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    for name, values in left.items():
        assert values.dtype == right[name].dtype
        assert values.tobytes() == right[name].tobytes(), name


@pytest.fixture
def local(tmp_path: Path, served: Path) -> dict[str, np.ndarray]:
    return events(tmp_path, ingest(str(served / "a.root")))


def test_a_remote_file_is_as_a_local_one(
    server: Any, served: Path, tmp_path: Path, local: dict[str, np.ndarray]
) -> None:
    part = ingest(server.url("a.root"))
    there, here = part.files[0], ingest(str(served / "a.root")).files[0]
    assert (there.events, there.sum_of_weights) == (here.events, here.sum_of_weights)
    assert (there.sha256, there.size) == (None, None)
    assert_same(events(tmp_path, part), local)


@pytest.mark.parametrize(("kind", "after"), PASSING)
def test_a_fault_that_passes_is_overcome(
    server: Any, proxy_to: ProxyTo, tmp_path: Path, local: Any, kind: str, after: int
) -> None:
    proxy = proxy_to(server)
    url = server.url("a.root", proxy.port)
    proxy.misbehave(kind, after, connections=1)
    part = ingest(url)
    assert proxy.accepted > 1
    assert part == ingest(url)
    proxy.misbehave(kind, after, connections=1)
    assert_same(events(tmp_path, part), local)
    assert proxy.accepted > 1


@pytest.mark.parametrize(("kind", "after"), PASSING)
def test_a_fault_that_stays_leads_to_the_next_replica_or_an_error(
    server: Any, proxy_to: ProxyTo, tmp_path: Path, local: Any, kind: str, after: int
) -> None:
    proxy = proxy_to(server)
    bad, good = server.url("a.root", proxy.port), server.url("b.root")
    part = ingest(bad, good)
    proxy.misbehave(kind, after)
    assert ingest(bad, good, retries=0).files[0].path == good
    assert_same(events(tmp_path, part), local)
    with pytest.raises(InputError) as raised:
        ingest(bad, retries=1)
    message = str(raised.value)
    assert bad in message
    assert "attempt 2 of 2" in message
    assert "another replica" in message


def test_a_server_that_is_not_there(server: Any, proxy_to: ProxyTo) -> None:
    proxy = proxy_to(server)
    first, second = (server.url(name, proxy.port) for name in ("a.root", "b.root"))
    proxy.close()
    with pytest.raises(InputError, match="none of its 2 replicas") as raised:
        ingest(first, second, retries=1)
    assert first in str(raised.value)
    assert second in str(raised.value)
    assert str(raised.value).count("attempt 2 of 2") == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.root", "does not exist"),
        ("cut.root", r"truncated, \d+ of \d+ bytes"),
        ("empty.root", "empty|HTTP 416"),
        ("text.root", "not a ROOT file"),
    ],
)
def test_what_another_attempt_cannot_mend(server: Any, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        ingest(server.url(name))
    assert server.url(name) in str(raised.value)
    assert "attempt" not in str(raised.value)
    assert ingest(server.url(name), server.url("a.root")).files[0].path == server.url("a.root")


def test_a_file_without_permission(xrootd: Any) -> None:
    with pytest.raises(InputError, match="no permission"):
        ingest(xrootd.url("secret.root"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("forbidden", "HTTP 403"),
        ("many", r"429.*attempt 2 of 2"),
        ("busy", r"503.*attempt 2 of 2"),
        ("whole", "no range requests"),
        ("turning", r"TooManyRedirects.*attempt 2 of 2"),
    ],
)
def test_answers_of_a_web_server(nginx: Any, place: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ingest(nginx.url(f"{place}/a.root"), retries=1)


def test_a_slow_server_and_one_that_sends_elsewhere(nginx: Any, tmp_path: Path, local: Any) -> None:
    for place in ("slow", "moved"):
        assert_same(events(tmp_path, ingest(nginx.url(f"{place}/a.root"))), local)


def test_questions_that_are_never_answered_end(
    xrootd: Any, tmp_path: Path, local: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    url = xrootd.url("a.root")
    told = reader.stated(url, 1.0)
    assert set(told) == {"size", "modified", "adler32"}
    library = reader.client(1.0)

    class Silent(library.FileSystem):  # type: ignore[name-defined]
        def query(self, *_: Any, timeout: int, callback: Any) -> Any:
            return SimpleNamespace(ok=True)

    monkeypatch.setattr(library, "FileSystem", Silent)
    monkeypatch.setattr(reader, "_patience", lambda timeout: 0.5)
    with reader.BoundedResource(url, 1.0) as file:
        assert reader._vector_limits(file.file, 1.0) == (1024, 2097136)
    del told["adler32"]
    assert reader.stated(url, 1.0) == told
    assert "checksum did not come" in capfd.readouterr().err
    monkeypatch.setattr(Silent, "stat", lambda *_, **__: SimpleNamespace(ok=True), raising=False)
    with pytest.raises(TimeoutError, match="never answered"):
        reader.stated(url, 1.0)


@pytest.mark.parametrize(("kind", "executor"), [("stall", "iterative"), ("cut", "futures")])
def test_jets_are_those_of_the_local_file(
    server: Any, proxy_to: ProxyTo, served: Path, tmp_path: Path, kind: str, executor: str
) -> None:
    settings = {"reading": {"events_per_chunk": 8, "executor": executor, "workers": 2}}
    chosen = JetsSettings.model_validate(settings)
    proxy = proxy_to(server)

    def jets(part: PartManifest) -> tuple[str, list[str]]:
        write_part(tmp_path / "part.json", part)
        result = read(tmp_path / "part.json", chosen, 1)
        # text has all digits, and NaN where there is none
        rows = next(result.tables.groups("nominal", 1_000_000))
        return repr(rows.to_pydict()), list(result.files)

    expected, _ = jets(ingest(str(served / "a.root")))
    part = ingest(server.url("a.root", proxy.port), server.url("b.root"), retries=1)
    proxy.misbehave(kind, IN_BETWEEN, connections=1)
    assert jets(part) == (expected, [part.files[0].path])
    proxy.misbehave(kind, IN_BETWEEN)
    assert jets(part) == (expected, [server.url("b.root")])
