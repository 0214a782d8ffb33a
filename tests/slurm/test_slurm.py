"""The workflow on a real SLURM, and what becomes of it when jobs, nodes and limits fail."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm

LINKED = ("Snakefile", "rules", "config", "workflow", "profiles")

FAULTS = """
from pathlib import Path

def memory(megabytes):
    return lambda wildcards, attempt: megabytes * attempt

def minutes(number):
    return lambda wildcards, attempt: number * attempt

rule all:
    input: "out/time.txt", "out/memory.txt", "out/cancelled.txt", "out/node.txt"

rule time:
    output: "out/time.txt"
    resources: runtime=minutes(1)
    # The first attempt needs more than its minute.
    shell: "if [ -e first.time ]; then echo 2 > {output}; else touch first.time; sleep 600; fi"

rule memory:
    output: "out/memory.txt"
    resources: mem_mb=memory(300), runtime=5
    shell: "python -c 'import time; x = bytearray(400_000_000); time.sleep(15)' && echo > {output}"

rule cancelled:
    output: "out/cancelled.txt"
    shell: "if [ -e first.cancel ]; then echo 2 > {output}; else touch first.cancel; sleep 600; fi"

rule node:
    output: "out/node.txt"
    shell: "if [ -e first.node ]; then echo 2 > {output}; else touch first.node; sleep 600; fi"
"""

FAILING = """
rule all:
    input: "out/wrong.txt"

rule wrong:
    output: "out/wrong.txt"
    log: "logs/wrong.log"
    shell: "echo 'error: file x.root, branch Jet_pt: not there' > {log}; exit 3"
"""

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


@pytest.fixture
def folder(project: Path, tmp_path: Path) -> Path:
    (tmp_path / "workflow").symlink_to(project / "workflow")
    return tmp_path


def wait_for(found: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def number_of(cluster, rule: str) -> str:
    return next((job for job, name in cluster.jobs().items() if rule in name), "")


def test_faults_of_jobs_and_nodes_are_recovered_from(cluster, folder: Path) -> None:
    (folder / "Snakefile").write_text(FAULTS)
    process = start(folder)
    try:
        wait_for((folder / "first.cancel").exists, 120, "the job to cancel does not start")
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
    for rule in ("time", "memory", "cancelled", "node"):
        assert re.search(rf"rule {rule}\b", output), output


def test_a_failing_job_ends_the_run_with_rule_job_log_and_reason(cluster, folder: Path) -> None:
    (folder / "Snakefile").write_text(FAILING)
    process = start(folder, "--retries", "0")
    output = process.communicate(timeout=200)[0]
    assert process.returncode != 0
    assert "wrong" in output and "logs/wrong.log" in output
    assert re.search(r"SLURM job\w* '?\d+|external_jobid: \d+|jobid.*\d+", output), output
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
    for entry in LINKED:
        (tmp_path / entry).symlink_to(project / entry)
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


def test_the_test_configuration_runs_up_to_the_jets(cluster, project: Path, tmp_path: Path) -> None:
    for entry in LINKED:
        (tmp_path / entry).symlink_to(project / entry)
    shutil.rmtree(tmp_path / "results", ignore_errors=True)
    wanted = "results/test/jets/metrics.json"
    process = start(tmp_path, wanted, "--configfile", "config/test.yaml")
    output = process.communicate(timeout=1500)[0]
    assert process.returncode == 0, output
    assert (tmp_path / wanted).exists()
