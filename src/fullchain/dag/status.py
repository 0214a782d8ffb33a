"""Say what is done, running, waiting and failed, with logs and times.

It reads what is on disk: outputs, the marks that Snakemake sets when a job starts, the logs and the
lock that a driver holds. So it works in another terminal while a run goes on, and after a crash.
"""

import fcntl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullchain.dag.plan import in_order, parse, planned, title
from fullchain.settings import Settings

DONE, RUNNING, FAILED, CUT_OFF, WAITING = "done", "running", "failed", "cut off", "waiting"
STATES = (DONE, RUNNING, FAILED, CUT_OFF, WAITING)
"""In the order of a table. `cut off`: was running when its driver ended."""

FAILURES = (
    "error:",
    "Error:",
    "Traceback (most recent call last)",
    "Killed",
    "MemoryError",
    "interrupted",
)
"""What the end of the log of a failed job holds."""

LAST_LINES = 5


@dataclass(frozen=True)
class JobState:
    """A job and what became of it.

    `seconds` is how long it took (done), or has been running; None where that is not known.
    """

    stage: str
    name: str
    state: str
    log: Path | None
    seconds: float | None


def driver_runs(folder: Path) -> bool:
    """Tell whether a Snakemake works in this folder now, by the lock that it holds.

    Parameters
    ----------
    folder
        The folder ``.snakemake``.
    """
    path = folder / "fullchain.lock"
    if not path.is_file():
        return False
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def state_of(*, needed: bool, marked: bool, alive: bool, missing: bool, log: Path | None) -> str:
    """Tell the state of a job.

    Parameters
    ----------
    needed
        Whether it would run.
    marked
        Whether Snakemake has marked it as started and not as ended.
    alive
        Whether a driver works in the folder.
    missing
        Whether one of its outputs is not there.
    log
        Its log.
    """
    if marked:
        return RUNNING if alive else CUT_OFF
    if not needed:
        return DONE
    if missing and log is not None and any(word in _end(log) for word in FAILURES):
        return FAILED
    return WAITING


def _end(log: Path, characters: int = 4000) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-characters:]
    except OSError:
        return ""


def states(dag: Any, alive: bool) -> list[JobState]:
    """Give all jobs of a planned DAG with their states, in the order of the workflow."""
    needed = set(dag.needrun_jobs(exclude_finished=False))
    marks = dag.workflow.persistence
    found = []
    for job in in_order(dag):
        keys = [str(path) for path in job.output]
        started = [marks._get_recorded_starttime(key) for key in keys]
        log = Path(str(job.log[0])) if job.log else None
        state = state_of(
            needed=job in needed,
            marked=bool(marks._filter_incomplete_keys(keys)),
            alive=alive,
            missing=not all(Path(key).exists() for key in keys),
            log=log,
        )
        seconds = None
        if state == DONE and job.benchmark:
            seconds = _measured(Path(str(job.benchmark)))
        elif state == RUNNING and any(started):
            seconds = time.time() - min(one for one in started if one)
        name = title(job.rule.name, dict(job.wildcards_dict))
        found.append(JobState(job.rule.name.split("_")[0], name, state, log, seconds))
    return found


def _measured(benchmark: Path) -> float | None:
    """Give the seconds of a table of run time that Snakemake wrote."""
    try:
        return float(benchmark.read_text(encoding="utf-8").splitlines()[1].split("\t")[0])
    except (OSError, IndexError, ValueError):
        return None


def describe(found: Sequence[JobState], alive: bool) -> str:
    """Write the states as text: a table by stage, then what runs and what failed."""
    present = {job.stage for job in found}
    stages = [name for name in Settings.model_fields if name in present]
    stages += sorted(present.difference(stages))
    width = max([len(stage) for stage in (*stages, "all stages")])
    lines = [f"{'':{width}} " + "".join(f"{state:>9}" for state in STATES) + "     time"]
    for stage in (*stages, None):
        own = [job for job in found if stage in (None, job.stage)]
        counts = [sum(job.state == state for job in own) for state in STATES]
        taken = sum(job.seconds or 0.0 for job in own if job.state == DONE)
        label = "all stages" if stage is None else stage
        lines.append(
            f"{label:{width}} " + "".join(f"{n or '-':>9}" for n in counts) + f"{clock(taken):>9}"
        )
    lines.append("time: of the jobs that are done, one after the other")
    driver = "a run is going on" if alive else "no run is going on"
    lines.append(f"in this folder, {driver}")
    for state in (RUNNING, FAILED, CUT_OFF):
        for job in found:
            if job.state == state:
                lines += ["", *details(job)]
    return "\n".join(lines)


def details(job: JobState) -> list[str]:
    """Describe a job in lines: its name, its log and, where it does not run, the end of it."""
    since = f" for {clock(job.seconds)}" if job.seconds is not None else ""
    lines = [f"{job.state}{since}: {job.name}"]
    if job.log is not None:
        lines.append(f"    log: {job.log}")
        if job.state != RUNNING:
            end = [line for line in _end(job.log).splitlines() if line.strip()]
            lines += [f"    | {line}" for line in end[-LAST_LINES:]]
    return lines


def clock(seconds: float) -> str:
    """Write a duration as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def main(arguments: list[str]) -> None:
    """Run ``fullchain status``."""
    chosen = parse(
        arguments,
        prog="fullchain status",
        description="Say what is done, running, waiting and failed, with logs and times.",
    )
    # Asked before the workflow is read, which takes a share of the lock itself.
    alive = driver_runs(Path(".snakemake"))
    with planned(*chosen) as dag:
        print(describe(states(dag, alive), alive))
