"""Drivers that are killed or meet another one, and clocks that go backwards."""

import os
import signal
import time

import pytest

from flows import processes, steps_running, wait_for

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

GENERATED = "results/test/ntuples/wjet/0000.root"
TOYS = "results/test/unfolding/events/gaussian/0000.parquet"


@pytest.fixture
def flow(new_flow):
    made = new_flow("driver")
    yield made
    for number in processes(made.folder):
        os.kill(number, signal.SIGKILL)


def test_steps_end_with_their_driver_and_the_same_command_goes_on(flow) -> None:
    """SIGKILL to Snakemake alone: no step works on unseen, and no lock is in the way."""
    driver = flow.start("--", GENERATED)
    marks = flow.folder / ".snakemake" / "incomplete"
    # Snakemake sets them a moment after it has started the job.
    wait_for(
        lambda: steps_running(flow.folder, "ntuples") and list(marks.glob("*")),
        300,
        "no generation runs",
        driver,
    )
    os.kill(driver.pid, signal.SIGKILL)
    driver.communicate()
    wait_for(lambda: not processes(flow.folder), 300, "the steps go on without their driver")
    assert not flow.result("ntuples/wjet/0000.root").exists()
    assert list((flow.folder / ".snakemake" / "locks").iterdir())
    told = flow.command("status", "--configfile", "config/test.yaml", "--", GENERATED)
    assert "no run is going on" in told
    assert "cut off: ntuples_" in told
    flow.run("--", GENERATED)
    assert flow.result("ntuples/wjet/0000.root").exists()


def test_of_two_drivers_the_second_leaves_what_the_first_makes(flow) -> None:
    first = flow.start("--", GENERATED)
    wait_for(lambda: steps_running(flow.folder, "ntuples"), 300, "no generation runs", first)
    held = steps_running(flow.folder, "ntuples")
    for number in held:
        os.kill(number, signal.SIGSTOP)
    said = flow.run("--", GENERATED, succeeds=False)
    assert "Directory cannot be locked" in said
    # Another one, for files that the first has nothing to do with, works beside it.
    flow.run("--", TOYS)
    for number in held:
        os.kill(number, signal.SIGCONT)
    output = first.communicate()[0]
    assert first.returncode == 0, output
    assert flow.result("ntuples/wjet/0000.root").exists()
    assert not list(flow.folder.glob("results/**/.unfinished.*"))
    assert "nothing is changed or gone" in flow.command("verify", "results/test")


def test_two_failures_are_summarised_at_the_end(flow) -> None:
    other = GENERATED.replace("wjet", "zjet")
    process = flow.start("--", GENERATED, other, largest_file=300_000)
    said = process.communicate()[0]
    assert process.returncode
    end = said[said.index("2 jobs failed:") :]
    for name in ("wjet", "zjet"):
        assert f"failed: ntuples_generate (sample={name}, part=0000)" in end
        assert f"error: results/test/ntuples/{name}/0000.root: files of this size" in end


def test_times_of_files_mean_nothing_where_their_content_is_the_same(flow) -> None:
    """Results from a clock that was a day ahead, or a year behind."""
    flow.run("--", TOYS)
    spectra = "results/test/unfolding/gaussian/ibu_converged/spectra.json"
    flow.run("--", spectra)
    for name, shift in ((TOYS, 86400), (spectra, -365 * 86400)):
        moment = time.time() + shift
        os.utime(flow.folder / name, (moment, moment))
    assert "Nothing to be done" in flow.run("--dry-run", "--", spectra)
    # An output that seems older than its input is refused: its input is given a time of today.
    (flow.folder / spectra).unlink()
    said = flow.run("--", spectra, succeeds=False)
    assert f"{spectra} has older modification time" in " ".join(said.split())
    os.utime(flow.folder / TOYS)
    flow.run("--", spectra)
    assert "Nothing to be done" in flow.run("--dry-run", "--", spectra)
