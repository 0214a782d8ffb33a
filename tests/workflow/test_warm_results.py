"""A workflow whose jobs start warm gives the same files as one whose jobs start cold."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

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


def files(folder: Path) -> dict[str, bytes]:
    """All results, but for what says when, where and how long."""
    results = folder / "results" / "test"
    found = (path for path in results.rglob("*") if path.is_file())
    return {
        name: path.read_bytes()
        for path in found
        if not (name := str(path.relative_to(results))).startswith(("logs/", "benchmarks/"))
        and not name.endswith(".provenance.json")
    }


def table(folder: Path, path: str) -> dict[str, str]:
    with (folder / "results" / "test" / "benchmarks" / path).open() as stream:
        return next(csv.DictReader(stream, delimiter="\t"))


def test_warm_jobs_give_the_same_files(new_flow: Callable[[str], Any], tmp_path: Path) -> None:
    program = tmp_path / "fullchain"
    program.write_text(f"#!{sys.executable}\nfrom fullchain.entry import main\nmain()\n")
    program.chmod(0o755)
    cold, warm = new_flow("cold").folder, new_flow("warm").folder
    before = {process.pid for process in psutil.process_iter()}
    run(cold, program, "")
    assert "warm start" not in run(warm, program, "1")
    # Nothing of the server outlives Snakemake.
    templates = [
        process.info
        for process in psutil.process_iter(["pid", "cwd"])
        if process.pid not in before and process.info["cwd"] == str(warm)
    ]
    assert templates == []
    expected, found = files(cold), files(warm)
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
    # The training is long enough for Snakemake to look at it: what works is seen, not who waits.
    assert float(table(warm, "unfolding_reweight/gaussian/multifold.tsv")["max_rss"]) > 100
