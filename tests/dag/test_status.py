"""What `fullchain status` says of jobs."""

import subprocess
import sys
from pathlib import Path

import pytest

from fullchain.dag.locks import take
from fullchain.dag.status import JobState, clock, describe, driver_runs, state_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text("epoch 1\nerror: loss is nan\n")
    return path


def state(**given: object) -> str:
    values = {"needed": True, "marked": False, "alive": False, "missing": True, "log": None}
    return state_of(**{**values, **given})  # type: ignore[arg-type]


def test_states(log: Path) -> None:
    assert state(needed=False, missing=False) == "done"
    assert state() == "waiting"
    assert state(marked=True, alive=True) == "running"
    assert state(marked=True) == "cut off"
    assert state(log=log) == "failed"
    # Outputs are there: it waits to be made again, whatever the log of an earlier run says.
    assert state(log=log, missing=False) == "waiting"
    for said in ("error: ended by SIGTERM", "interrupted"):
        log.write_text(f"epoch 1\n{said}\n")
        assert state(log=log) == "failed"
    log.write_text("epoch 1\nepoch 2\n")
    assert state(log=log) == "waiting"


def test_the_text_counts_by_stage_and_ends_with_the_logs_of_failures(log: Path) -> None:
    jobs = [
        JobState("tagging", "tagging_train (tagger=pfn)", "failed", log, None),
        JobState("ntuples", "ntuples_pool", "done", None, 61.0),
        JobState("ntuples", "ntuples_generate (sample=qcd)", "running", Path("qcd.log"), 3700.0),
        JobState("tagging", "tagging_plot", "waiting", None, None),
    ]
    text = describe(jobs, alive=True)
    lines = text.splitlines()
    assert lines[0].split() == ["done", "running", "failed", "cut", "off", "waiting", "time"]
    assert lines[1].split() == ["ntuples", "1", "1", "-", "-", "-", "0:01:01"]
    assert lines[2].split() == ["tagging", "-", "-", "1", "-", "1", "0:00:00"]
    assert lines[3].split() == ["all", "stages", "1", "1", "1", "-", "1", "0:01:01"]
    assert "a run is going on" in text
    assert "running for 1:01:40: ntuples_generate (sample=qcd)" in text
    assert "failed: tagging_train (tagger=pfn)" in text
    assert lines[-1] == "    | error: loss is nan"


def test_a_clock_has_hours() -> None:
    assert [clock(0.4), clock(59.6), clock(3600 * 30 + 62)] == ["0:00:00", "0:01:00", "30:01:02"]


def test_a_driver_is_known_by_its_lock(tmp_path: Path) -> None:
    assert not driver_runs(tmp_path)
    hold = (
        "import sys; from pathlib import Path; from fullchain.dag.locks import take; "
        "lock = take(Path(sys.argv[1])); print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "held\n"
        assert driver_runs(tmp_path)
        other.stdin.write("\n")
        other.stdin.flush()
        other.wait()
    assert not driver_runs(tmp_path)
    # Asking does not keep a driver from starting.
    assert take(tmp_path) is not None
