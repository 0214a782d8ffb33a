"""From published jets in HDF5 and npz to tables of jets in the real workflow."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fullchain.ntuples.manifests import read_part

pytestmark = pytest.mark.workflow

CONFIGURATION = """
run: mine
ntuples:
  keep_default_samples: false
  samples:
    toptag: {kind: ingested, files: [data/val.h5], jobs_per_file: 2}
    quarks: {kind: ingested, files: ["data/*.npz"], layout: quark_gluon}
    plain: {kind: ingested, files: [data/plain.root]}
jets:
  selection: {pt_min: 400.0, pt_max: 900.0, abs_eta_max: 2.5}
  shifts: {jes_up: null, jes_down: null, jer_up: null, jer_down: null, track_efficiency_down: null}
tagging: null
inference: null
"""


def run(project: Path, folder: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    options = ["--snakefile", str(project / "Snakefile"), "--cores", "1", "--directory"]
    more = [str(folder), "--configfile", "mine.yaml", "--workflow-profile", "none", "--"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *options, *more, *targets],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
        check=False,
    )


def test_published_jets_go_the_way_of_all_jets(
    project: Path,
    tmp_path: Path,
    write_top_tagging: Callable[..., Path],
    write_quark_gluon: Callable[..., Path],
    write_jetclass: Callable[..., Path],
) -> None:
    write_top_tagging(tmp_path / "data" / "val.h5", 9)
    write_quark_gluon(tmp_path / "data" / "a.npz", 6)
    write_jetclass(tmp_path / "data" / "plain.root")
    (tmp_path / "mine.yaml").write_text(CONFIGURATION)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("run: default\n")
    jets = [f"results/mine/jets/{name}.parquet" for name in ("toptag/0001", "quarks/0000")]
    manifests = [
        "results/mine/ntuples/toptag/manifest.json",
        "results/mine/ntuples/plain/0000.json",
    ]

    first = run(project, tmp_path, *jets, *manifests)
    assert first.returncode == 0, first.stderr
    labels = [pq.read_table(tmp_path / path)["label"].to_pylist() for path in jets]
    assert labels == [[5 * (row % 2) for row in range(4, 9)], [0, 1, 0, 1, 0, 1]]
    # a ROOT file is not converted
    assert read_part(tmp_path / manifests[1]).files[0].path == "data/plain.root"
    again = run(project, tmp_path, *jets, *manifests)
    assert "Nothing to be done" in again.stderr, again.stderr

    write_top_tagging(tmp_path / "data" / "val.h5", 11)
    changed = run(project, tmp_path, *jets)
    assert changed.returncode == 0, changed.stderr
    assert read_part(tmp_path / "results/mine/ntuples/toptag/0001.json").events == 6
    assert "converting the jets of toptag" in changed.stderr
    assert "converting the jets of quarks" not in changed.stderr
