"""Jets from files behind a web server that breaks connections."""

import collections
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from fullchain.errors import InputError
from fullchain.jets.part import PartResult, read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples import sources
from fullchain.ntuples.ingest import ingest_part
from fullchain.ntuples.manifests import write_part
from fullchain.ntuples.sources import expand_files
from fullchain.ntuples.sources_settings import IngestedSample

EVENTS = 24


class Server:
    """Serves a folder; cuts the answers whose numbers, by the first folder of the URL, are set."""

    def __init__(self, folder: Path) -> None:
        self.requests: collections.Counter[str] = collections.Counter()
        self.cuts: dict[str, range] = {}
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                _, place, name = self.path.split("/", 2)
                content = (folder / name).read_bytes()
                asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                start, stop = 0, len(content)
                if asked:
                    start = int(asked[1])
                    stop = min(int(asked[2]) + 1 if asked[2] else stop, len(content))
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(stop - start))
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
                self.end_headers()
                if self.command == "HEAD":
                    return
                number = server.requests[place]
                server.requests[place] += 1
                cut = number in server.cuts.get(place, range(0))
                self.wfile.write(content[start : (start + stop) // 2 if cut else stop])
                self.close_connection = cut

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, place: str) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/{place}/a.root"


@pytest.fixture
def server(tmp_path: Path, write_toy: Callable[[Path, int], Path]) -> Iterator[Server]:
    write_toy(tmp_path / "a.root", EVENTS)
    started = Server(tmp_path)
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.time, "sleep", lambda seconds: None)


def manifest_of(folder: Path, *places: str, retries: int) -> Path:
    sample = IngestedSample(files=[list(places)], timeout=2.0, retries=retries)
    part = ingest_part("mine", "0000", expand_files(sample.files), sample, wait=0)
    assert (part.timeout, part.retries) == (2.0, retries)
    write_part(folder / "0000.json", part)
    return folder / "0000.json"


def jets(manifest: Path, **reading: object) -> PartResult:
    settings = {"reading": {"events_per_chunk": 10, **reading}}
    return read(manifest, JetsSettings.model_validate(settings), 1)


def pt(result: PartResult) -> pa.ChunkedArray:
    return next(result.tables.groups("nominal", 1_000_000))["pt"]


def requests_of_jets(server: Server, manifest: Path) -> int:
    """Number of requests that jets from the first replica take when nothing breaks."""
    server.requests.clear()
    jets(manifest)
    return server.requests["one"]


@pytest.mark.parametrize(
    ("executor", "share"), [("iterative", 0.0), ("iterative", 0.6), ("futures", 0.6)]
)
def test_a_connection_cut_once_is_tried_again(server, tmp_path, capfd, share, executor):
    manifest = manifest_of(tmp_path, server.url("one"), retries=2)
    first = int(share * requests_of_jets(server, manifest))
    expected = jets(manifest_of(tmp_path, str(tmp_path / "a.root"), retries=2))
    manifest = manifest_of(tmp_path, server.url("one"), retries=2)
    server.requests.clear()
    server.cuts["one"] = range(first, first + 1)
    capfd.readouterr()
    result = jets(manifest, executor=executor)
    assert server.requests["one"] > first
    assert "attempt 1 of 3" in capfd.readouterr().err
    assert pt(result) == pt(expected)
    assert result.files == {server.url("one"): EVENTS}


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_server_that_stays_broken_is_left_for_the_next_replica(server, tmp_path, share):
    manifest = manifest_of(tmp_path, server.url("one"), server.url("two"), retries=1)
    first = int(share * requests_of_jets(server, manifest))
    expected = jets(manifest)
    server.requests.clear()
    server.cuts["one"] = range(first, 10_000)
    result = jets(manifest)
    assert list(result.files) == [server.url("two")]
    assert pt(result) == pt(expected)
    server.cuts["two"] = range(10_000)
    with pytest.raises(InputError, match=r"one/a\.root[\s\S]*two/a\.root"):
        jets(manifest)
