"""A workflow whose jobs start warm gives the same files as one whose jobs start cold."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import processes, results
from fullchain.warm_start.driver import ADDRESS

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux"),
]

TARGETS = (
    "results/test/unfolding/gaussian/multifold/performance.json",
    "results/test/unfolding/gaussian/ibu_converged/performance.json",
    "results/test/inference/synthetic/known.json",
)


def run(folder: Path, program: Path, warm: str) -> str:
    """Make the targets; the training has two threads, the rest one."""
    environment = {**os.environ, "FULLCHAIN_WARM": warm, "COLUMNS": "200"}
    environment["PATH"] = f"{program.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2", *TARGETS),
            *("--configfile", "config/test.yaml", "--set-threads", "unfolding_reweight=2"),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    logs = "".join(log.read_text() for log in folder.glob("results/test/logs/**/*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    return logs


# The command `fullchain`, which also notes the server that it was given, if any.
PROGRAM = f"""#!{sys.executable}
import os
from pathlib import Path

with (Path(__file__).parent / "servers").open("a") as stream:
    stream.write(os.environ.get("{ADDRESS}", "") + "\\n")
from fullchain.entry import main
main()
"""


def table(folder: Path, path: str) -> dict[str, str]:
    with (folder / "results" / "test" / "benchmarks" / path).open() as stream:
        return next(csv.DictReader(stream, delimiter="\t"))


def test_warm_jobs_give_the_same_files(new_flow: Callable[[str], Any], tmp_path: Path) -> None:
    program = tmp_path / "fullchain"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    cold, warm = new_flow("cold").folder, new_flow("warm").folder
    servers = tmp_path / "servers"
    run(cold, program, "")
    starts = servers.read_text().splitlines()
    assert starts and not any(starts), "a job of the cold run was given a server"
    servers.unlink()
    # A job that its server does not take says so in its log.
    assert "warm start" not in run(warm, program, "1")
    again = servers.read_text().splitlines()
    assert len(again) == len(starts) and all(again), "a job of the warm run was given no server"
    # Nothing of the server outlives Snakemake.
    assert processes(warm) == {}
    expected, found = (results(folder / "results" / "test") for folder in (cold, warm))
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
    # The training is long enough for Snakemake to look at it: what works is seen, not who waits.
    assert float(table(warm, "unfolding_reweight/gaussian/multifold.tsv")["max_rss"]) > 100
