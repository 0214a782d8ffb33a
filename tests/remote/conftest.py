"""Real servers of a folder, and a proxy that breaks the connections to them on demand."""

import contextlib
import importlib.util
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uproot

EVENTS = 24
JETS = 4000

XROOTD = """
xrd.port {port}
xrd.allow host 127.0.0.1
xrd.allow host localhost
all.export /
oss.localroot {folder}/served
all.adminpath {folder}/admin
all.pidpath {folder}/admin
xrootd.chksum adler32
"""

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    root {folder}/served;
    location /forbidden/ {{ return 403; }}
    location /many/ {{ return 429; }}
    location /busy/ {{ return 503; }}
    location /whole/ {{ max_ranges 0; alias {folder}/served/; }}
    location /slow/ {{ limit_rate 500k; alias {folder}/served/; }}
    location /moved/ {{ return 302 /a.root; }}
    location /turning/ {{ return 302 /turning/a.root; }}
  }}
}}
"""

GARBAGE = bytes(range(256)) * 16
_BLOCK = 65536


@dataclass
class Fault:
    """What happens to connections.

    Parameters
    ----------
    kind
        "cut" (ends with a reset), "end" (ends as if all was sent), "stall" (stays open, sends no
        more), "garbage" (other bytes from there on), or "none".
    after
        Bytes of the server's answer that pass before.
    connections
        How many connections it concerns, from the first; later ones work.
    """

    kind: str
    after: int = 0
    connections: int = 1_000_000


@dataclass
class Proxy:
    """Passes connections of a port of its own on to ``(host, port)``, with one fault at a time."""

    target: tuple[str, int]
    fault: Fault = field(default_factory=lambda: Fault("none"))
    accepted: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def misbehave(self, kind: str, after: int = 0, connections: int = 1_000_000) -> None:
        """Break connections from now on, those that exist included; counts start again."""
        self.drop()
        self.fault, self.accepted, self.sent = Fault(kind, after, connections), 0, 0

    def drop(self) -> None:
        """End all connections."""
        for one in list(self._open):
            _end(one, reset=True)
        self._open.clear()

    def close(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            broken = self.accepted <= self.fault.connections
            fault = self.fault if broken else Fault("none")
            self._open.add(client)
            if fault.kind == "stall" and not fault.after:
                continue
            try:
                server = socket.create_connection(self.target)
            except OSError:
                _end(client, reset=True)
                continue
            self._open.add(server)
            for task in (self._requests, self._answers):
                threading.Thread(target=task, args=(client, server, fault), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        with contextlib.suppress(OSError):
            while block := client.recv(_BLOCK):
                server.sendall(block)
        _end(server)

    def _answers(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while block := server.recv(_BLOCK):
                if fault.kind != "none" and passed + len(block) > fault.after:
                    client.sendall(block[: fault.after - passed])
                    self.sent += fault.after - passed
                    self._break(client, fault)
                    return
                client.sendall(block)
                passed += len(block)
                self.sent += len(block)
        _end(client)

    @staticmethod
    def _break(client: socket.socket, fault: Fault) -> None:
        if fault.kind == "garbage":
            client.sendall(GARBAGE)
        if fault.kind != "stall":
            _end(client, reset=fault.kind == "cut")


def _end(one: socket.socket, *, reset: bool = False) -> None:
    with contextlib.suppress(OSError):
        if reset:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@dataclass
class Server:
    """A server of ``folder`` at a port; ``tls`` is its port for https, ``url`` makes URLs."""

    folder: Path
    protocol: str
    port: int
    tls: int = 0

    def url(self, name: str, port: int | None = None) -> str:
        """URL of a file, at another port if there is a proxy."""
        slash = "/" if self.protocol == "root" else ""
        return f"{self.protocol}://127.0.0.1:{port or self.port}/{slash}{name}"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Folder of the servers, which others may read: XRootD does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="fullchain_servers_"))
    folder.chmod(0o777)
    (folder / "served").mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def served(server_folder: Path, project: Path) -> Path:
    """What the servers show: events in a.root, the same in b.root, and files that are not whole."""
    folder = server_folder / "served"
    place = project / "tests" / "pileup" / "conftest.py"
    specification = importlib.util.spec_from_file_location("pileup_events", place)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with uproot.recreate(folder / "a.root") as file:
        file.mktree("Events", module.columns(np.random.default_rng(4), EVENTS))
    random = np.random.default_rng(5)
    jets = {name: random.uniform(1, 2, JETS).astype(np.float32) for name in ("pt", "mass", "d2")}
    with uproot.recreate(folder / "jets.root") as file:
        file.mktree("tree", {"label": np.int32, **dict.fromkeys(jets, np.float32)})
        for first in range(0, JETS, 500):
            one = {name: column[first : first + 500] for name, column in jets.items()}
            file["tree"].extend({"label": np.ones(500, np.int32), **one})
    content = (folder / "a.root").read_bytes()
    (folder / "b.root").write_bytes(content)
    (folder / "cut.root").write_bytes(content[: len(content) // 2])
    (folder / "empty.root").write_bytes(b"")
    (folder / "text.root").write_text("no ROOT file, though it is called so\n")
    (folder / "secret.root").write_bytes(content)
    (folder / "secret.root").chmod(0)
    return folder


@pytest.fixture(scope="session")
def xrootd(server_folder: Path, served: Path) -> Iterator[Server]:
    """A server of XRootD."""
    program = _program("xrootd", "xrootd-server")
    port = _free_port()
    (server_folder / "admin").mkdir(mode=0o777)
    (server_folder / "admin").chmod(0o777)
    configuration = server_folder / "xrootd.cfg"
    configuration.write_text(XROOTD.format(folder=server_folder, port=port))
    command = [program, "-c", str(configuration), "-l", str(server_folder / "admin" / "log")]
    with _running(command, port, server_folder, user="nobody" if os.getuid() == 0 else None):
        yield Server(served, "root", port)


@pytest.fixture(scope="session")
def nginx(server_folder: Path, served: Path) -> Iterator[Server]:
    """A web server, also with TLS; its certificate is signed by itself."""
    program = _program("nginx", "nginx-light", Path("/usr/sbin"))
    _certify(server_folder)
    port, tls = _free_port(), _free_port()
    configuration = server_folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=server_folder, port=port, tls=tls))
    with _running([program, "-c", str(configuration)], port, server_folder):
        yield Server(served, "http", port, tls)


@pytest.fixture(params=["xrootd", "nginx"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the two servers."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy_to() -> Iterator[Callable[[Server], Proxy]]:
    """Start proxies to servers."""
    started: list[Proxy] = []

    def start(server: Server) -> Proxy:
        started.append(Proxy(("127.0.0.1", server.port)))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further attempts come at once."""
    still = SimpleNamespace(sleep=lambda seconds: None)
    monkeypatch.setattr("fullchain.ntuples.sources.time", still)
    monkeypatch.delenv("FULLCHAIN_COPIES", raising=False)
    monkeypatch.delenv("FULLCHAIN_COPIES_GB", raising=False)


def _program(name: str, package: str, folder: Path = Path("/usr/bin")) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(folder))
    if found is None:
        pytest.skip(f"the program {name} is not installed (Debian package {package})")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _certify(folder: Path) -> None:
    program = _program("openssl", "openssl")
    subprocess.run(
        [
            program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", folder / "key.pem", "-out", folder / "certificate.pem",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip


@contextlib.contextmanager
def _running(
    command: list[str], port: int, folder: Path, user: str | None = None
) -> Iterator[None]:
    """A server, from when it answers at its port."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, user=user)
    try:
        while not _answers(port):
            if process.poll() is not None:
                pytest.fail(f"{command[0]} ended: {(folder / 'output').read_text()[-1000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
