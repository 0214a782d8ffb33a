"""The workflow on a real HTCondor, and what becomes of jobs that are removed, held or too big."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flows import WRONG, faults, link, wait_for

pytestmark = [
    pytest.mark.htcondor,
    pytest.mark.skipif(
        find_spec("snakemake_executor_plugin_htcondor") is None,
        reason="no executor for HTCondor: `make htcondor-env` installs it",
    ),
]

# The last line is that of the project's Snakefile.
ADAPTED = """
from fullchain.dag import batch

batch.adapt(workflow)
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


def test_faults_of_jobs_are_recovered_from(pool, folder: Path) -> None:
    (folder / "Snakefile").write_text(faults("removed", "held") + ADAPTED)
    process = start(pool, folder)
    try:
        wait_for((folder / "first.removed").exists, 120, "the job to remove does not start")
        wait_for((folder / "first.held").exists, 120, "the job to hold does not start")
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
    assert len((folder / "tries.memory").read_text().splitlines()) == 2
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
    (folder / "Snakefile").write_text(WRONG + ADAPTED)
    process = start(pool, folder, "--retries", "0")
    output = process.communicate(timeout=200)[0]
    assert process.returncode != 0
    assert "Error in rule wrong:" in output and "logs/wrong.log" in output
    assert "HTCondor Cluster ID" in output
    assert "branch Jet_pt: not there" in output


def test_the_test_configuration_runs_up_to_two_parts_of_the_jets_in_one_batch_job(
    pool, project: Path, tmp_path: Path
) -> None:
    link(tmp_path, project)
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
