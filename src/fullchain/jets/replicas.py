"""One file of a part: which of its replicas is read, and what happens after a failure."""

import sys
from collections.abc import Iterator
from pathlib import Path

from coffea.processor.executor import WorkItem

from fullchain.errors import InputError
from fullchain.jets.processor import Failure
from fullchain.ntuples.copies import opened_file
from fullchain.ntuples.inspection import failures_named
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.manifests import PartManifest, SourceFile, is_url, resolve
from fullchain.ntuples.sources import FIRST_WAIT, Attempts, Source, first_answer, none_answered


class ReplicatedFile:
    """A file to read from the first of its replicas that is there and whole.

    Parameters
    ----------
    part, manifest
        The part and where its manifest lies.
    number
        Place of the file among those to read.
    copies
        Read the local copy of a remote file, where copies are kept; not for readers on other
        machines, which do not have them.
    """

    def __init__(
        self, part: PartManifest, manifest: Path, number: int, layout: Layout, copies: bool = True
    ) -> None:
        self.part, self.number, self.layout, self.copies = part, number, layout, copies
        self.entry: SourceFile = part.good[number]
        places = (self.entry.path, *self.entry.replicas)
        self.places = [resolve(part, manifest, place) for place in places]
        self.path = self._place = self.places[0]
        self._identity = b""
        self._attempts = self._attempts_at_replica()
        self._temporary = False
        self._reasons: list[str] = []

    def open(self) -> None:
        """Look at the replicas in their order until one is as the manifest says.

        Raises
        ------
        InputError
            None is; gives the reason of each.
        """
        self.path, (self._place, self._identity) = first_answer(
            Source(tuple(self.places)), self._inspect, retries=self.part.retries, report=_report
        )
        self.places = self.places[self.places.index(self.path) :]

    def items(self, events_per_chunk: int, done: set[tuple[int, int]]) -> Iterator[WorkItem]:
        """Give the chunks that are not among those done, (number of the file, first entry)."""
        for start in range(0, self.entry.events, events_per_chunk):
            stop = min(start + events_per_chunk, self.entry.events)
            if (self.number, start) not in done:
                yield WorkItem(
                    self.part.sample, self._place, self.entry.tree, start, stop,
                    self._identity, {"number": self.number},
                )  # fmt: skip

    def failed(self, failure: Failure) -> None:
        """After a failure that may pass wait, else go on to the next replica.

        Raises
        ------
        InputError
            No replica is left.
        """
        reason = failure.message
        if failure.passing and is_url(self.path):
            if self._attempts.again(reason):
                return
            reason, self._temporary = self._attempts.reason, True
        if failure.trace:
            _report(failure.trace)
        self._reasons.append(reason)
        self._attempts = self._attempts_at_replica()
        self.places = self.places[1:]
        if not self.places:
            raise none_answered(Source((self.entry.path,)), self._reasons, self._temporary)
        _report(f"{reason}; trying the next replica")

    def _attempts_at_replica(self) -> Attempts:
        return Attempts(self.part.retries, FIRST_WAIT, _report)

    def _inspect(self, path: str) -> tuple[str, bytes]:
        """Give place and identity of a file that is as when the manifest was made."""
        with (
            failures_named(path),
            opened_file(path, self.part.timeout, self.entry.checksum, self.copies) as (place, file),
        ):
            if f"{self.entry.tree};1" not in file.keys(cycle=True) and self.entry.tree not in file:
                raise InputError(f"{path}: has no tree '{self.entry.tree}'")
            tree = file[self.entry.tree]
            self.layout.check(path, tree, is_data=self.part.is_data)
            self._check_entries(path, tree.num_entries)
            return place, bytes(file.file.uuid.bytes)

    def _check_entries(self, path: str, found: int) -> None:
        expected = self.entry.entries
        # older manifests do not say how many entries the tree has
        if found == expected or (expected is None and found >= self.entry.events):
            return
        raise InputError(
            f"{path}: tree '{self.entry.tree}' has {found} entries, the manifest says "
            f"{self.entry.events if expected is None else expected}; the file changed, make the "
            "manifest again"
        )


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
