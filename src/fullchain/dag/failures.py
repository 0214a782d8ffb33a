"""What a run says at its end when jobs failed: which, and the last lines of their logs.

Snakemake tells of a failure when it happens, and with `keep-going` that may be hours before the
end, with thousands of lines in between.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fullchain.dag.plan import title
from fullchain.dag.status import FAILED, JobState, details

MOST = 20
"""Failed jobs that are described; of many that fail alike, the others are only counted."""


def summary(failed: Iterable[Any], left: int) -> str:
    """Describe jobs that failed.

    Parameters
    ----------
    failed
        Jobs of Snakemake, or groups of them.
    left
        Jobs that have not been done, with those that failed.
    """
    jobs = sorted((_state(job) for one in failed for job in _members(one)), key=_name)
    if not jobs:
        return f"The run was ended; jobs left: {left}. The same command goes on with them."
    lines = [f"{len(jobs)} jobs failed:" if len(jobs) > 1 else "1 job failed:"]
    for job in jobs[:MOST]:
        lines += ["", *details(job)]
    if len(jobs) > MOST:
        lines += ["", f"and {len(jobs) - MOST} more; `fullchain status` shows all of them"]
    waiting = left - len(jobs)
    if waiting > 0:
        others = f"{waiting} other jobs are" if waiting > 1 else "1 other job is"
        lines += ["", f"{others} left, most because they need one of these."]
    lines += ["When the reasons are mended, the same command goes on."]
    return "\n".join(lines)


def _members(job: Any) -> Iterable[Any]:
    return job.jobs if job.is_group() else [job]


def _name(job: JobState) -> str:
    return job.name


def _state(job: Any) -> JobState:
    name = title(job.rule.name, dict(job.wildcards_dict))
    log = Path(str(job.log[0])) if job.log else None
    return JobState(job.rule.name.split("_")[0], name, FAILED, log, None)


def of_workflow(workflow: Any) -> str:
    """Describe what became of a run of Snakemake that did not end well."""
    left = sum(1 for _ in workflow.dag.needrun_jobs(exclude_finished=True))
    return summary(workflow.scheduler.failed, left)
