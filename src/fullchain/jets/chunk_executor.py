"""A coffea executor on Dask that names the chunk that fails, and waits for workers so long only.

coffea's own joins results in a tree on the workers, so that what fails there has lost its name, and
waits for ever where there is no worker.
"""

import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coffea.processor import accumulate
from coffea.processor.executor import ExecutorBase, WorkItem
from distributed import KilledWorker, wait

from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.jets.dask_cluster import Pool

_LOOK = 2.0
"""So often the workers are looked at while none of the chunks gets ready [s]."""

_TRANSFER = 300.0
"""Longest transfer of the result of one chunk [s]."""

_NAMED = 5
"""So many modules and packages are named of those that differ."""


@dataclass
class ChunkExecutor(ExecutorBase):
    """Executor of coffea that treats each item on a worker of a pool, with the code of a step.

    A chunk whose worker dies is treated again by another one, as often as the settings say.
    """

    pool: Pool | None = None
    step: str = ""

    def __call__(
        self, items: Sequence[WorkItem], function: Callable[[WorkItem], Any], accumulator: Any
    ) -> tuple[Any, int]:
        """Treat the items; give their sum, and 0 for no failure.

        Raises
        ------
        InputError
            There is no worker for too long, they have other code, or one chunk kills them.
        """
        assert self.pool is not None
        return accumulate(results(self.pool, items, function, self.step), accumulator), 0


def results(
    pool: Pool, items: Sequence[WorkItem], function: Callable[[WorkItem], Any], step: str
) -> Iterator[Any]:
    """Give the results as they come; parameters and errors as in `ChunkExecutor`."""
    task = _Task(function, step, code(step))
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
    """A worker has other code or packages than the step."""


@dataclass(frozen=True)
class _Task:
    """A function that refuses to run where the code of a step is other code than here."""

    function: Callable[[WorkItem], Any]
    step: str
    code: str

    def __call__(self, item: WorkItem) -> Any:
        own = code(self.step)
        if own != self.code:
            raise OtherEnvironment(
                f"the Dask worker on {socket.gethostname()} ({sys.executable}) has "
                f"{_differences(json.loads(own), json.loads(self.code))}; start the workers with "
                "the environment of the step, and do not change its code while it runs"
            )
        return self.function(item)


def _differences(own: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Name the packages and modules of a worker that are not those of the step."""
    packages = [
        f"{name} {own['packages'].get(name)} instead of {version}"
        for name, version in wanted["packages"].items()
        if own["packages"].get(name) != version
    ]
    modules = [
        f"another {name}"
        for name in sorted({*own["modules"], *wanted["modules"]})
        if own["modules"].get(name) != wanted["modules"].get(name)
    ]
    found = packages + modules
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
