"""The workflow on a real HTCondor, and what becomes of jobs that are removed, held or too big."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.htcondor,
    pytest.mark.skipif(
        find_spec("snakemake_executor_plugin_htcondor") is None,
        reason="no executor for HTCondor: `make htcondor-env` installs it",
    ),
]

LINKED = ("Snakefile", "rules", "config", "workflow", "profiles")

# The last line is that of the project's Snakefile.
RULES = """
from fullchain.dag import batch

def memory(megabytes):
    return lambda wildcards, attempt: megabytes * attempt

def minutes(number):
    return lambda wildcards, attempt: number * attempt

{rules}

batch.adapt(workflow)
"""

FAULTS = """
rule all:
    input: "out/time.txt", "out/memory.txt", "out/removed.txt", "out/held.txt"

rule time:
    output: "out/time.txt"
    resources: runtime=minutes(1), mem_mb=300
    # The first attempt needs more than its minute.
    shell: "if [ -e first.time ]; then echo 2 > {output}; else touch first.time; sleep 600; fi"

rule memory:
    output: "out/memory.txt"
    resources: mem_mb=memory(700), runtime=5
    shell: "python -c 'import time; x = bytes([1]) * 10**9; time.sleep(60)' && echo > {output}"

rule removed:
    output: "out/removed.txt"
    resources: mem_mb=300, runtime=10
    shell: "if [ -e first.remove ]; then echo 2 > {output}; else touch first.remove; sleep 600; fi"

rule held:
    output: "out/held.txt"
    resources: mem_mb=300, runtime=10
    shell: "if [ -e first.hold ]; then echo 2 > {output}; else touch first.hold; sleep 600; fi"
"""

FAILING = """
rule wrong:
    output: "out/wrong.txt"
    log: "logs/wrong.log"
    resources: mem_mb=300, runtime=5
    shell: "echo 'error: file x.root, branch Jet_pt: not there' > {log}; exit 3"
"""


def start(pool, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = ["snakemake", *arguments, "--profile", "workflow/profiles/htcondor"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        [*pool.prefix, *command, "--latency-wait", "5"],
        cwd=folder,
        env={**pool.environment, "PATH": path, "COLUMNS": "200", "FULLCHAIN_SHARED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def folder(project: Path, tmp_path: Path) -> Path:
    (tmp_path / "workflow").symlink_to(project / "workflow")
    return tmp_path


def wait_for(found: Callable[[], object], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.5)


def test_faults_of_jobs_are_recovered_from(pool, folder: Path) -> None:
    (folder / "Snakefile").write_text(RULES.replace("{rules}", FAULTS))
    process = start(pool, folder)
    try:
        wait_for((folder / "first.remove").exists, 120, "the job to remove does not start")
        wait_for((folder / "first.hold").exists, 120, "the job to hold does not start")
        pool.answer("condor_rm", pool.job_of("removed"))
        held = pool.job_of("held")
        pool.answer("condor_hold", "-reason", "by the test", held)
        output = process.communicate(timeout=420)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    for name in ("time", "removed", "held"):
        assert (folder / f"out/{name}.txt").read_text() == "2\n"
    assert (folder / "out/memory.txt").exists()
    for rule in ("time", "memory", "removed", "held"):
        assert f"Error in rule {rule}:" in output, output
    for reason in ("is held: by the test", "is held: the job takes more memory", "was removed"):
        assert reason in output, output
    # What was held stays in the queue; released, it does not run a second time.
    before = (folder / "out/held.txt").stat().st_mtime_ns
    assert [held] in pool.jobs("ClusterId", constraint="JobStatus == 5")
    pool.answer("condor_release", held)
    wait_for(lambda: [held] not in pool.jobs("ClusterId"), 120, "the released job does not end")
    pool.answer("condor_rm", "-all")
    assert (folder / "out/held.txt").stat().st_mtime_ns == before
    complaints = [path.read_text() for path in (folder / ".snakemake/htcondor/held").glob("*.err")]
    assert any("this job was held" in text for text in complaints)


def test_a_failing_job_ends_the_run_with_rule_job_log_and_reason(pool, folder: Path) -> None:
    (folder / "Snakefile").write_text(RULES.replace("{rules}", FAILING))
    process = start(pool, folder, "--retries", "0")
    output = process.communicate(timeout=200)[0]
    assert process.returncode != 0
    assert "Error in rule wrong:" in output and "logs/wrong.log" in output
    assert "HTCondor Cluster ID" in output
    assert "branch Jet_pt: not there" in output


def test_the_test_configuration_runs_up_to_two_parts_of_the_jets_in_one_batch_job(
    pool, project: Path, tmp_path: Path
) -> None:
    for entry in LINKED:
        (tmp_path / entry).symlink_to(project / entry)
    wanted = [f"results/test/jets/qcd/{part}.json" for part in ("0000", "0001")]
    process = start(pool, tmp_path, *wanted, "--configfile", "config/test.yaml")
    output = process.communicate(timeout=600)[0]
    assert process.returncode == 0, output
    assert all((tmp_path / path).exists() for path in wanted)
    attributes = ("JobBatchName", "RequestMemory", "MaxRuntime", "RequestCpus")
    history = pool.answer("condor_history", "-af", *attributes).splitlines()
    jobs = [line.split()[1:] for line in history if line.startswith("jets")]
    # Memory of one job, and the time of as many as a group may hold.
    assert jobs == [["3000", str(8 * 30 * 60), "1"]]
