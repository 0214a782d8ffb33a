"""What belongs to a whole process: trusted certificates, and the end of the program."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

INSPECT = """
import sys
from fullchain.ntuples.inspection import inspect_file
print(inspect_file(sys.argv[1], timeout=1.0).events)
"""

LEFT_OPEN = """
import sys, uproot
from fullchain.ntuples.inspection import open_options
file = uproot.open({sys.argv[1]: None}, **open_options(sys.argv[1], 1.0))
print(file["Events"].num_entries)
sys.stdout.flush()
sys.stdin.readline()
"""


def run(program: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_only_trusted_certificates_are_taken(nginx: Any, server_folder: Path) -> None:
    url = f"https://127.0.0.1:{nginx.tls}/a.root"
    refused = run(INSPECT, url)
    assert refused.returncode
    assert "InputError" in refused.stderr
    assert "certificate of the server cannot be verified" in refused.stderr
    assert "SSL_CERT_FILE" in refused.stderr
    taken = run(INSPECT, url, SSL_CERT_FILE=str(server_folder / "certificate.pem"))
    assert (taken.returncode, taken.stdout) == (0, "24\n"), taken.stderr


@pytest.mark.parametrize("kind", ["stall", "cut"])
def test_a_program_ends_though_its_server_does_not_answer(
    server: Any, proxy_to: Callable[[Any], Any], kind: str
) -> None:
    proxy = proxy_to(server)
    process = subprocess.Popen(
        [sys.executable, "-c", LEFT_OPEN, server.url("a.root", proxy.port)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == "24\n"
    proxy.misbehave(kind)
    process.communicate("\n")
    assert process.returncode == 0
