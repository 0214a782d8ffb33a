"""Treating chunks of events with the coffea executor of the settings.

A failure of one file is reported with its number, so that the caller can read that file again.
"""

import builtins
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

from coffea import processor
from coffea.processor.executor import WorkItem

from fullchain.jets.processor import Failure, JetProcessor
from fullchain.jets.settings import ReadingSettings
from fullchain.ntuples.inspection import open_options
from fullchain.ntuples.manifests import is_url


@dataclass(frozen=True)
class Execution:
    """How chunks are treated.

    Parameters
    ----------
    executor
        Of coffea.
    timeout
        Longest silence of a remote server [s].
    advance
        Gets the number of events of what is done.
    """

    executor: Any
    task: JetProcessor
    timeout: float
    advance: Callable[[int], None]

    def __call__(self, items: Sequence[WorkItem]) -> tuple[list[Any], list[Failure]]:
        """Treat chunks; give those that were read, and the failures."""
        chunks: list[Any] = []
        for batch in self._batches(items):
            read, failures = self._run(batch)
            chunks += read
            self.advance(sum(stop - start for _, start, stop, _ in read))
            if failures:
                return chunks, failures
        return chunks, []

    def _batches(self, items: Sequence[WorkItem]) -> Iterator[list[WorkItem]]:
        """Cut into what runs at once: remote files one by one, so that a failure has a name."""
        local = [item for item in items if not is_url(item.filename)]
        if local:
            yield local
        remote: dict[str, list[WorkItem]] = {}
        for item in items:
            if is_url(item.filename):
                remote.setdefault(item.filename, []).append(item)
        yield from remote.values()

    def _run(self, batch: list[WorkItem]) -> tuple[list[Any], list[Failure]]:
        path = batch[0].filename
        runner = processor.Runner(executor=self.executor, schema=self.task.layout.schema)
        # without coffea's own progress bar and its remarks on columns we do not read
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning, module="coffea")
            options = open_options(path, self.timeout)
            try:
                out = runner.run(batch, self.task, uproot_options=options)["out"]
            except Exception as problem:
                # of what comes after the opening the processor tells
                failure = _not_opened(problem, batch)
                if failure is None:
                    raise
                return [], [failure]
        return out["chunks"], out["failures"]


_NOT_OPENED = re.compile(
    r"Failed (?:to open file|creating nanoevents): .*?The error was: ((\w+).*)", re.DOTALL
)
"""What coffea says of a file that it cannot open, with the first error, also between processes."""


def _not_opened(problem: Exception, batch: Sequence[WorkItem]) -> Failure | None:
    """Give the failure of the file of a batch that coffea could not open, if it is that."""
    text = str(problem)
    found = _NOT_OPENED.match(text)
    if found is None or found[2] == "MemoryError":
        return None
    item = next((item for item in batch if repr(item) in text), batch[0])
    kind = getattr(builtins, found[2], Exception)
    # a file that is not there, or a disk that does not answer, is not damaged
    unread = is_url(item.filename) or (isinstance(kind, type) and issubclass(kind, OSError))
    hint = "" if unread else "; the file is damaged"
    message = f"{item.filename}: cannot be opened ({found[1].splitlines()[0].rstrip('.')}){hint}"
    return Failure(dict(item.usermeta or {})["number"], message, passing=True)


@contextmanager
def execution(
    settings: ReadingSettings, task: JetProcessor, timeout: float, advance: Callable[[int], None]
) -> Iterator[Execution]:
    """Start the executor of the settings; parameters as in `Execution`."""
    with _executor(settings, task.step) as executor:
        yield Execution(executor, task, timeout, advance)


@contextmanager
def _executor(settings: ReadingSettings, step: str) -> Iterator[Any]:
    # retries of coffea know neither replicas nor pauses: ours do
    quiet = {"status": False, "retries": 0}
    if settings.executor == "iterative":
        yield processor.IterativeExecutor(status=False, retries=0)
    elif settings.executor == "futures":
        yield processor.FuturesExecutor(workers=settings.workers, **quiet)
    else:
        # hundreds of modules that the other executors do without
        from fullchain.jets.chunk_executor import ChunkExecutor
        from fullchain.jets.dask_cluster import pool

        with pool(settings.dask, settings.workers) as workers:
            yield ChunkExecutor(status=False, pool=workers, step=step)
