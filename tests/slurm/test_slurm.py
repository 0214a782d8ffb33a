"""The workflow on a real SLURM, and what becomes of it when jobs, nodes and limits fail."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows import WRONG, faults, link, wait_for

pytestmark = pytest.mark.slurm

# The last line is that of the project's Snakefile.
GROUPED = """
from fullchain.dag import batch

rule all:
    input: expand("out/{number}.txt", number=range(6))

rule piece:
    output: "out/{number}.txt"
    resources: runtime=2, mem_mb=200
    shell: "date +%s%N > {output}; sleep 1; date +%s%N >> {output}; echo $SLURM_JOB_ID >> {output}"

batch.adapt(workflow)
"""


def start(folder: Path, *arguments: str, shared: str = "1") -> subprocess.Popen[str]:
    command = ["snakemake", "--profile", "workflow/profiles/slurm", *arguments]
    command += ["--default-resources", "slurm_partition=main", "mem_mb=200", "runtime=5", "gpu=0"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        command,
        cwd=folder,
        # All nodes are this machine: whatever its folders lie on, the nodes see them.
        env={**os.environ, "PATH": path, "COLUMNS": "200", "FULLCHAIN_SHARED": shared},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def number_of(cluster, rule: str) -> str:
    return next((job for job, name in cluster.jobs().items() if rule in name), "")


def test_faults_of_jobs_and_nodes_are_recovered_from(cluster, folder: Path) -> None:
    (folder / "Snakefile").write_text(faults("cancelled", "node"))
    process = start(folder)
    try:
        wait_for((folder / "first.cancelled").exists, 120, "the job to cancel does not start")
        wait_for((folder / "first.node").exists, 120, "the job on the node does not start")
        subprocess.run(["scancel", number_of(cluster, "rule_cancelled")], check=True)
        job = number_of(cluster, "rule_node")
        node = cluster.answer("squeue", "-h", "-j", job, "-o", "%N").strip()
        cluster.kill_node(node)
        output = process.communicate(timeout=420)[0]
    finally:
        process.kill()
        for name in ("n1", "n2", "n3", "n4"):
            if name not in cluster.processes:
                cluster.start_node(name)
    assert process.returncode == 0, output
    for name in ("time", "cancelled", "node"):
        assert (folder / f"out/{name}.txt").read_text() == "2\n"
    assert (folder / "out/memory.txt").exists()
    assert len((folder / "tries.memory").read_text().splitlines()) == 2
    for rule in ("time", "memory", "cancelled", "node"):
        assert f"Error in rule {rule}:" in output, output


def test_a_failing_job_ends_the_run_with_rule_job_log_and_reason(cluster, folder: Path) -> None:
    (folder / "Snakefile").write_text(WRONG)
    process = start(folder, "--retries", "0")
    output = process.communicate(timeout=200)[0]
    assert process.returncode != 0
    assert "Error in rule wrong:" in output and "logs/wrong.log" in output
    # The number of SLURM, not Snakemake's own, which stands after `jobid:`.
    assert re.search(r"external_jobid: \d+|SLURM-job '\d+' failed", output), output
    assert "branch Jet_pt: not there" in output


def test_jobs_of_a_group_run_one_after_another_in_one_batch_job(cluster, folder: Path) -> None:
    (folder / "Snakefile").write_text(GROUPED)
    process = start(folder, "--groups", "piece=pieces", "--group-components", "pieces=3")
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    batch_jobs: dict[str, list[list[int]]] = {}
    for path in (folder / "out").glob("*.txt"):
        begin, end, number = path.read_text().split()
        batch_jobs.setdefault(number, []).append([int(begin), int(end)])
    assert sorted(len(times) for times in batch_jobs.values()) == [3, 3]
    for times in batch_jobs.values():
        times.sort()
        assert all(one[1] <= after[0] for one, after in itertools.pairwise(times))
    # One core for the group, and the time of all its jobs together.
    asked = [cluster.answer("scontrol", "-o", "show", "job", number) for number in batch_jobs]
    assert all("TimeLimit=00:06:00" in text and "NumCPUs=1 " in text for text in asked), asked


def test_a_folder_that_nodes_may_not_see_is_refused(cluster, project: Path, tmp_path: Path) -> None:
    link(tmp_path, project)
    process = start(
        tmp_path,
        "results/test/ntuples/qcd/0000.json",
        "--configfile",
        "config/test.yaml",
        shared="0",
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert f"the working folder {tmp_path}" in output and "FULLCHAIN_SHARED=1" in output
    assert not list(tmp_path.glob("results/**/*.root"))


def test_the_test_configuration_runs_to_the_report(cluster, project: Path, tmp_path: Path) -> None:
    link(tmp_path, project)
    process = start(tmp_path, "--configfile", "config/test.yaml")
    output = process.communicate(timeout=5400)[0]
    assert process.returncode == 0, output
    report = tmp_path / "results/test/paper/index.html"
    assert "tagging" in report.read_text()
    again = start(tmp_path, "--dry-run", "--configfile", "config/test.yaml")
    assert "Nothing to be done" in again.communicate(timeout=120)[0]
