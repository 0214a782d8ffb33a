"""A coffea executor on Dask that names the chunk that fails, and waits for workers so long only.

coffea's own joins results in a tree on the workers, so that what fails there has lost its name, and
waits for ever where there is no worker.
"""

import hashlib
import importlib.metadata
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from coffea.processor import accumulate
from coffea.processor.executor import ExecutorBase, WorkItem
from distributed import KilledWorker, wait

from fullchain.errors import InputError
from fullchain.jets.dask_cluster import Pool

_LOOK = 2.0
"""So often the workers are looked at while none of the chunks gets ready [s]."""

_TRANSFER = 300.0
"""Longest transfer of the result of one chunk [s]."""

_LIBRARIES = ("awkward", "coffea", "fastjet", "numba", "numpy", "pyarrow", "uproot")


@dataclass
class ChunkExecutor(ExecutorBase):
    """Executor of coffea that treats each item on a worker of a pool.

    A chunk whose worker dies is treated again by another one, as often as the settings say.
    """

    pool: Pool | None = None

    def __call__(
        self, items: Sequence[WorkItem], function: Callable[[WorkItem], Any], accumulator: Any
    ) -> tuple[Any, int]:
        """Treat the items; give their sum, and 0 for no failure.

        Raises
        ------
        InputError
            There is no worker for too long, they have another environment, or one chunk kills them.
        """
        assert self.pool is not None
        return accumulate(results(self.pool, items, function), accumulator), 0


def results(
    pool: Pool, items: Sequence[WorkItem], function: Callable[[WorkItem], Any]
) -> Iterator[Any]:
    """Give the results as they come; parameters and errors as in `ChunkExecutor`."""
    task = _Task(function, environment())
    # a result is no pure function of the item: files change
    futures = pool.client.map(task, items, pure=False, retries=0)
    pending = dict(zip(futures, items, strict=True))
    del futures
    served = time.monotonic()
    while pending:
        try:
            done = wait(list(pending), timeout=_LOOK, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            done = set()
        if done or pool.is_served:
            served = time.monotonic()
        elif time.monotonic() - served > 60 * pool.settings.wait:
            raise InputError(
                f"jets.reading.dask: for {pool.settings.wait:g} minutes there was no worker "
                f"(jets.reading.dask.wait). {pool.describe()}"
            )
        if not done:
            pool.refill()
        for future in done:
            if future.status in ("pending", "lost"):
                continue  # its worker died with the result, which is made again
            item = pending.pop(future)
            try:
                yield _result(future, item, pool)
            except TimeoutError:
                # likewise, on the way
                pending[future] = item


def _result(future: Any, item: WorkItem, pool: Pool) -> Any:
    where = (
        f"{item.filename}: entries {item.entrystart} to {item.entrystop} of tree '{item.treename}'"
    )
    if future.status == "cancelled":
        raise InputError(f"{where}: the Dask scheduler went away; run the step again")
    if future.status == "finished":
        return future.result(timeout=_TRANSFER)
    problem = future.exception()
    if isinstance(problem, KilledWorker):
        last = getattr(problem.last_worker, "address", "")
        logs = f"; logs in {pool.settings.logs}" if pool.settings.in_batch else ""
        remedy = f"raise jets.reading.dask.memory ({pool.settings.memory} MB)"
        if pool.settings.cluster == "address":
            remedy = f"give the workers of the scheduler at {pool.settings.address} more"
        raise InputError(
            f"{where}: every Dask worker that treated them died, the last at {last}. Most often "
            f"memory is short: {remedy} or lower jets.reading.events_per_chunk{logs}"
        )
    if isinstance(problem, OtherEnvironment):
        raise InputError(f"{where}: {problem}")
    raise problem


class OtherEnvironment(Exception):
    """A worker has other code or libraries than the step."""


@dataclass(frozen=True)
class _Task:
    """A function that refuses to run where code or libraries are others."""

    function: Callable[[WorkItem], Any]
    environment: dict[str, str]

    def __call__(self, item: WorkItem) -> Any:
        own = environment()
        if own != self.environment:
            differences = ", ".join(
                f"{name} {own.get(name)} instead of {wanted}"
                for name, wanted in self.environment.items()
                if own.get(name) != wanted
            )
            raise OtherEnvironment(
                f"the Dask worker on {socket.gethostname()} ({sys.executable}) has {differences}; "
                "start the workers with the environment of the step"
            )
        return self.function(item)


@cache
def environment() -> dict[str, str]:
    """Give what decides about results: versions of Python and libraries, a hash of our code."""
    folder = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
        "fullchain (hash of the code)": digest.hexdigest()[:12],
    }
