"""Jets straight from ROOT files with one jet per entry, without the stage jets.

Files are in the layout of JetClass, or made of tables of observables (`observable_jets`); whether
there are particles tells which. Of a file in the layout of JetClass, what comes is what the stage
`jets` would make of the same entries: the particles scaled so that their sum has the pT of the jet
in the file, the jet as that sum, the label from the branches of the classes, weight 1, the identity
from file and entry. Further columns are branches of one number a jet, by name. Nothing is clustered
or measured, and no jet is left out: row by row these are the entries of the file.

A file is read in batches of entries, only the branches in use. What is read may also be a part
manifest of the stage `ntuples`: then its files in order, of each the tree and as many entries as it
says.
"""

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import uproot

from fullchain.errors import InputError
from fullchain.ntuples.copies import reading_place
from fullchain.ntuples.inspection import check_beginning, failures_named, open_options
from fullchain.ntuples.jet_files.observable_layout import LAYOUT, NEEDED, is_scalar
from fullchain.ntuples.layouts.detect import JETCLASS, describe_trees, tree_names
from fullchain.ntuples.manifests import read_part, resolve
from fullchain.ntuples.sources import Source as Replicas
from fullchain.ntuples.sources import first_answer
from fullchain.tagging import jetclass_jets, observable_jets
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, Jets

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A ROOT file, the name of its tree (None: found) and how many entries to read (None: all).

    `files` are its replicas; `timeout` [s] and `retries` are those of remote ones.
    """

    files: Replicas
    tree: str | None = None
    entries: int | None = None
    timeout: float = 60.0
    retries: int = 0


def sources(path: Path) -> list[Source]:
    """Files behind a path: the ROOT file that it is, or those of the part manifest that it is.

    Raises
    ------
    InputError
        The manifest is not complete, or of another layout.
    """
    with path.open("rb") as stream:
        if stream.read(4) == b"root":
            return [Source(Replicas((str(path),)))]
    part = read_part(path)
    if part.layout not in (JETCLASS.name, LAYOUT):
        raise InputError(
            f"{path}: sample {part.sample} has the layout {part.layout}; only files with one jet "
            f"per entry ({JETCLASS.name}, {LAYOUT}) can be read directly: let the stage jets make "
            "its jets"
        )
    found = []
    for entry in part.good:
        places = tuple(resolve(part, path, place) for place in (entry.path, *entry.replicas))
        files = Replicas(places, entry.checksum)
        found.append(Source(files, entry.tree, entry.events, part.timeout, part.retries))
    return found


def count(path: Path) -> int:
    """Number of jets. Raises InputError where a file cannot be read."""
    total = 0
    for source in sources(path):
        with _Tree(source) as tree:
            total += tree.entries
    return total


def stream(
    path: Path,
    columns: Sequence[str],
    n_constituents: int,
    *,
    fields: Sequence[str] = FOUR_MOMENTUM,
    required: Sequence[str] = (),
    batch_rows: int = 8192,
) -> Iterator[Jets]:
    """Give the jets of a file or manifest in order, at most `batch_rows` at once.

    Parameters are those of `jets_reading.stream`.

    Raises
    ------
    InputError
        A file cannot be read or lacks a branch; a number is not finite, a jet has no particles, or
        a particle no transverse momentum: with file, branch and entry. A column is asked for that
        the file does not tell.
    """
    wanted = list(dict.fromkeys((*columns, *FOUR_MOMENTUM)))
    for source in sources(path):
        with _Tree(source) as tree:
            tree.check(wanted, required)
            for first, arrays in tree.batches(wanted, n_constituents, fields, batch_rows):
                kind = observable_jets if tree.is_table else jetclass_jets
                entries = kind.Entries(source.files.name, first, arrays)
                jets = entries.jets(wanted, n_constituents, fields)
                yield replace(jets, file=source.files.name)


class _Tree:
    """The open tree of a file, of the first replica that can be read; a context manager."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.files.name
        self._files = source.files
        self._file: Any = None
        self._entries_there: int | None = None
        self._try(self._open)

    def _try(self, attempt: Callable[[str], T]) -> T:
        """Do what reads the file with one replica after the other, until it is done."""
        path, answer = first_answer(
            self._files, attempt, retries=self._source.retries, report=_report
        )
        # what failed once is not asked again for each batch that follows
        left = self._files.replicas[self._files.replicas.index(path) :]
        self._files = Replicas(left, self._files.checksum)
        return answer

    def _open(self, path: str) -> None:
        source = self._source
        with failures_named(path):
            place = reading_place(path, timeout=source.timeout, checksum=source.files.checksum)
            check_beginning(path, source.timeout, place)
            if self._file is not None:
                self._file.close()
            self.path = path
            # Nothing is read twice: a cache would only hold memory.
            options = open_options(place, source.timeout)
            self._file = uproot.open({place: None}, array_cache=None, **options)
            self._tree = self._file[self._name(source.tree)]
            self.there = frozenset(self._tree.keys())
            self.entries = int(self._tree.num_entries)
        self._check_same_entries()
        self.is_table = "part_px" not in self.there and self.there.issuperset(NEEDED)
        if source.entries is not None:
            if source.entries > self.entries:
                raise InputError(
                    f"{self.path}: has {self.entries} entries, {source.entries} are in the "
                    "manifest; make the manifest again"
                )
            self.entries = source.entries

    def _check_same_entries(self) -> None:
        """Raise InputError for a replica that is not the file that was read so far."""
        if self._entries_there not in (None, self.entries):
            raise InputError(
                f"{self.path}: has {self.entries} entries, the replica read before it "
                f"{self._entries_there}; they are not the same file"
            )
        self._entries_there = self.entries

    def __enter__(self) -> "_Tree":
        return self

    def __exit__(self, *problem: object) -> None:
        self._file.close()

    def _iterate(self, branches: frozenset[str], first: int, rows: int) -> Iterator[Any]:
        batches: Iterator[Any] = self._tree.iterate(
            filter_name=lambda name: name in branches,
            step_size=rows,
            entry_start=first,
            entry_stop=self.entries,
        )
        return batches

    def _name(self, given: str | None) -> str:
        names = tree_names(self._file)
        wanted = given or (JETCLASS.tree if JETCLASS.tree in names or len(names) != 1 else names[0])
        if wanted not in names:
            raise InputError(
                f"{self.path}: no tree '{wanted}'; trees in the file: {describe_trees(self._file)}"
            )
        return wanted

    def check(self, columns: Sequence[str], required: Sequence[str]) -> None:
        """Raise InputError, with file and names, for columns that the file does not tell."""
        kind = observable_jets if self.is_table else jetclass_jets
        own = {*columns, *required} | {*jetclass_jets.MEASURED.values(), *jetclass_jets.MEASURED}
        asked = frozenset(n for n in own & self.there if is_scalar(self._tree[n]))
        missing = kind.untold(columns, required, asked)
        if not missing:
            return
        scalars = sorted(name for name in self.there if is_scalar(self._tree[name]))
        close = difflib.get_close_matches(missing[0], scalars, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(scalars)}."
        raise InputError(
            f"{self.path}: a ROOT file of jets does not tell {', '.join(missing)}: it has no such "
            f"branch of one number a jet; {hint} Name another one, or let the stage jets measure "
            "it (tagging.taggers.*.jets_from: jets)"
        )

    def batches(
        self, columns: Sequence[str], n_constituents: int, fields: Sequence[str], rows: int
    ) -> Iterator[tuple[int, Any]]:
        """Give first entry and arrays of each batch."""
        if self.is_table:
            branches = observable_jets.branches(columns, self.there)
        else:
            branches = jetclass_jets.branches(columns, fields if n_constituents else (), self.there)
        missing = sorted(branches - self.there)
        if missing:
            raise InputError(
                f"{self.path}: tree '{self._tree.name}' lacks the branch"
                f"{'es' if len(missing) > 1 else ''} {', '.join(missing)}, of which jets are made "
                f"(layout {JETCLASS.name}: {JETCLASS.title})"
            )
        first = 0
        # None where reading broke off: then the file is opened again, perhaps another replica
        running: Iterator[Any] | None = self._iterate(branches, first, rows)

        def read(path: str) -> Any:
            nonlocal running
            before, running = running, None
            if before is None or path != self.path:
                self._open(path)
                before = self._iterate(branches, first, rows)
            with failures_named(path):
                arrays = next(before, None)
            running = before
            return arrays

        while (arrays := self._try(read)) is not None:
            yield first, arrays
            first += len(arrays)
        if first != self.entries:
            raise InputError(f"{self.path}: only {first} of {self.entries} entries could be read")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
