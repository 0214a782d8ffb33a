"""The rule of ingestion in the real workflow: local files are watched, bad ones are named."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fullchain.ntuples.manifests import read_part

pytestmark = pytest.mark.workflow

CONFIGURATION = """
run: mine
ntuples:
  samples:
    mine: {kind: ingested, files: ["data/*.root"], files_per_job: 2}
"""


def run(project: Path, folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--cores", "1"]
    options = [
        "--directory",
        str(folder),
        "--configfile",
        "mine.yaml",
        "--workflow-profile",
        "none",
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, *command, *options, "--", target],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=False,
    )


def test_a_changed_file_is_read_again_and_a_cut_one_is_named(
    project: Path, tmp_path: Path, write_nano: Callable[..., Path]
) -> None:
    for number in range(3):
        write_nano(tmp_path / "data" / f"{number}.root")
    (tmp_path / "mine.yaml").write_text(CONFIGURATION)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("run: default\n")
    target = "results/mine/ntuples/mine/0001.json"

    first = run(project, tmp_path, target)
    assert first.returncode == 0, first.stderr
    assert [f.path for f in read_part(tmp_path / target).files] == ["data/2.root"]
    (tmp_path / "data" / "2.root").touch()
    again = run(project, tmp_path, target)
    assert "Nothing to be done" in again.stderr, again.stderr

    changed = write_nano(tmp_path / "data" / "2.root", events=7)
    third = run(project, tmp_path, target)
    assert third.returncode == 0, third.stderr
    assert read_part(tmp_path / target).events == 7

    changed.write_bytes(changed.read_bytes()[:-200])
    fourth = run(project, tmp_path, target)
    assert fourth.returncode != 0
    log = (tmp_path / "results/mine/logs/ntuples_ingest/mine_0001.log").read_text()
    assert "data/2.root: truncated" in log
    assert "Traceback" not in log
    assert not (tmp_path / target).exists()
