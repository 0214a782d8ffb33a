"""The history of a result: which steps made it, from what, with which code.

Every step leaves a record beside its first output (`fullchain.provenance`). Following the inputs
of the report back through these records gives the DAG that really ran, with its durations, and
leaves out whatever other files lie in the results folder.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run of one step; paths are relative to the folder of the run where they lie in it.

    Durations are in seconds; `inputs` maps each input to its SHA-256.
    """

    step: str
    outputs: tuple[str, ...]
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    modules: Mapping[str, str]
    packages: Mapping[str, str]
    started: str
    duration: float
    cpu: float
    host: str
    platform: str

    @property
    def identity(self) -> str:
        """Short hash of code and packages: equal for jobs that ran the same program."""
        text = json.dumps([dict(self.modules), dict(self.packages)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass
class Step:
    """All jobs of one step, and the steps whose outputs they read."""

    name: str
    jobs: list[Job] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """First word of the name."""
        return self.name.partition(".")[0]

    @property
    def duration(self) -> float:
        """Wall time of all jobs, one after the other, in seconds."""
        return sum(job.duration for job in self.jobs)

    @property
    def cpu(self) -> float:
        """CPU time of all jobs in seconds."""
        return sum(job.cpu for job in self.jobs)

    @property
    def identities(self) -> list[str]:
        """The programs that ran; more than one means that some results are older than others."""
        return sorted({job.identity for job in self.jobs})


def job_from_record(record: Mapping[str, Any], first_output: str) -> Job:
    """Make a job from a provenance record.

    Parameters
    ----------
    record
        What the step wrote.
    first_output
        Where its first output lies now, relative to the folder of the run. The recorded path may
        begin differently, because results move; the difference is taken off all paths.

    Raises
    ------
    KeyError
        The record lacks something.
    """
    recorded = record["outputs"][0]
    prefix = recorded.removesuffix(first_output) if recorded.endswith(first_output) else ""
    return Job(
        step=record["step"],
        outputs=tuple(path.removeprefix(prefix) for path in record["outputs"]),
        inputs={path.removeprefix(prefix): digest for path, digest in record["inputs"].items()},
        settings=record["settings"],
        modules=record["code"]["modules"],
        packages=record["code"]["packages"],
        started=record["started"],
        duration=float(record["duration_seconds"]),
        cpu=float(record["cpu_seconds"]),
        host=record["host"],
        platform=record["platform"],
    )


def ancestors(jobs: Sequence[Job], files: Iterable[str]) -> tuple[list[Job], list[str]]:
    """Give the jobs from which `files` come, oldest first, and the files that no job wrote."""
    writer = {path: job for job in jobs for path in job.outputs}
    waiting, reached, unknown = list(files), set[int](), set[str]()
    while waiting:
        path = waiting.pop()
        job = writer.get(path)
        if job is None:
            unknown.add(path)
        elif id(job) not in reached:
            reached.add(id(job))
            waiting.extend(job.inputs)
    chosen = [job for job in jobs if id(job) in reached]
    return sorted(chosen, key=lambda job: (job.started, job.outputs)), sorted(unknown)


def steps_of(jobs: Sequence[Job]) -> list[Step]:
    """Group jobs by step, each step after those it reads from."""
    writer = {path: job.step for job in jobs for path in job.outputs}
    steps: dict[str, Step] = {}
    for job in jobs:
        step = steps.setdefault(job.step, Step(job.step))
        step.jobs.append(job)
        for path in job.inputs:
            source = writer.get(path)
            if source and source != job.step and source not in step.after:
                step.after.append(source)
    return _sorted(steps)


def _sorted(steps: Mapping[str, Step]) -> list[Step]:
    order: list[Step] = []
    waiting = dict(steps)
    while waiting:
        ready = [name for name, step in waiting.items() if not set(step.after) & waiting.keys()]
        # Old and new records beside each other could make a circle; it is cut, not followed.
        for name in ready or list(waiting)[:1]:
            order.append(waiting.pop(name))
    return order


def versions(jobs: Sequence[Job], kind: str) -> dict[str, list[str]]:
    """Give each package's versions (`kind` "packages") or module's hashes ("modules") in use.

    More than one entry means that results of different programs are mixed.
    """
    found: dict[str, set[str]] = {}
    for job in jobs:
        for name, version in getattr(job, kind).items():
            found.setdefault(name, set()).add(version)
    return {name: sorted(entries) for name, entries in sorted(found.items())}
