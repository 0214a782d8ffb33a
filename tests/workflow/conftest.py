"""A folder of its own for each workflow that a test runs."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows import link

FEW = (
    "results/test/jets/wjet/0000.parquet",
    "results/test/unfolding/gaussian/ibu_converged/spectra.json",
    "results/test/unfolding/gaussian/ibu_converged/performance.json",
    "results/test/calorimetry/samples/vae.h5",
)
"""Results of few jobs that have steps of many kinds among them."""


@dataclass
class Flow:
    """A working folder in which the project's workflow runs, with warm starts as of `make run`."""

    folder: Path
    warm: bool = False

    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        warm = {"FULLCHAIN_WARM": "1" if self.warm else "0"}
        return {**os.environ, **warm, "PATH": path, "COLUMNS": "200"}

    def start(self, *arguments: str, largest_file: int | None = None) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own.

        With `largest_file` no process can write a file of more bytes: as on a full disk, the
        write fails in the middle.
        """

        def limit() -> None:
            # What runs in the background of a script ignores Ctrl-C, and so would its children.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if largest_file:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        command = ["snakemake", "--cores", "2", "--configfile", "config/test.yaml", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=limit,
        )

    def run(self, *arguments: str, succeeds: bool = True) -> str:
        """Run Snakemake to its end; give what it printed."""
        process = self.start(*arguments)
        output = process.communicate()[0]
        assert (process.returncode == 0) is succeeds, output + self.logs()
        return output

    def command(self, *arguments: str, status: int = 0) -> str:
        """Run a command of `fullchain`; give what it printed."""
        done = subprocess.run(
            ["fullchain", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def why(self, *arguments: str) -> str:
        return self.command("why", *(arguments or ("--configfile", "config/test.yaml")))

    def result(self, path: str) -> Path:
        return self.folder / "results" / "test" / path

    def json(self, path: str) -> dict:
        return json.loads(self.result(path).read_text())

    def logs(self) -> str:
        """The end of every log, for the message of a failed assertion."""
        logs = self.folder.glob("results/*/logs/**/*.log")
        return "".join(f"\n== {log.name}\n{log.read_text()[-1500:]}" for log in sorted(logs))


@pytest.fixture(scope="session")
def new_flow(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Flow]:
    def make(name: str) -> Flow:
        return Flow(link(tmp_path_factory.mktemp(name), project))

    return make


@pytest.fixture(scope="session")
def finished(new_flow: Callable[[str], Flow]) -> Iterator[Flow]:
    """The test configuration, run once from nothing to the report."""
    flow = new_flow("finished")
    flow.warm = True
    flow.run()
    yield flow


@pytest.fixture(scope="session")
def small(new_flow: Callable[[str], Flow]) -> Iterator[Flow]:
    """A few results of the test configuration: generation, jets, an unfolding, a training."""
    flow = new_flow("small")
    flow.run("--", *FEW)
    yield flow
