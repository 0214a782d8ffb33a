"""The ledger of a run: what each step read, wrote and rejected, held against the step before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fullchain.accounting import Account, added
from fullchain.errors import InputError

EVENTS = "events"
JETS = "jets"
NOMINAL_JETS = "nominal jets"
EVENTS_WITH_JETS = "events with jets"

_CAUSE = (
    ". Where that does not help, events of one part have equal numbers (run, luminosity block, "
    "event) and were put together: set files_per_job of the sample to 1, or number them differently"
)


@dataclass(frozen=True)
class Entry:
    """What one job says about a sample, or a part of it.

    Parameters
    ----------
    step
        Stage and step, and where there are several, of what: ``tagging predict, pfn``.
    part
        Name of the part; empty for all parts of the sample.
    what
        What is counted, a word of this module: it is held against what was supplied before.
    file
        Where the numbers stand.
    supplies
        What there is of each kind for the steps that follow.
    """

    step: str
    sample: str
    part: str
    what: str
    account: Account
    file: Path
    supplies: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Sample and part in words."""
        return f"sample {self.sample}" + (f", part {self.part}" if self.part else "")


class Ledger:
    """Entries in the order of the data flow, each held against those before."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._supplied: dict[tuple[str, str], dict[str, tuple[int, Entry]]] = {}

    def add(self, entry: Entry) -> None:
        """Check an entry and take it down.

        Raises
        ------
        InputError
            Its own numbers do not agree, or it did not read what a step before it wrote. Names
            step, sample, part, both files and both numbers.
        """
        entry.account.check(f"{entry.file}: {entry.step}, {entry.place}, {entry.what}")
        self._check_source(entry)
        for what, number in entry.supplies.items():
            parts = self._supplied.setdefault((what, entry.sample), {})
            if entry.part in parts:
                raise InputError(f"{entry.file}: {entry.step}, {entry.place} is given twice")
            parts[entry.part] = number, entry
        self.entries.append(entry)

    def _check_source(self, entry: Entry) -> None:
        if entry.what in entry.supplies:  # the first step: nothing in this run comes before it
            return
        parts = self._supplied.get((entry.what, entry.sample))
        if parts is None:
            raise InputError(
                f"{entry.file}: {entry.step} read {entry.what} of {entry.place}, of which no "
                "step before it says how many there are; give its files, too"
            )
        if entry.part and entry.part not in parts:
            raise InputError(
                f"{entry.file}: {entry.step} read {entry.place}, which no step before it wrote"
            )
        sources = [parts[entry.part]] if entry.part else list(parts.values())
        number = sum(count for count, _ in sources)
        if number != entry.account.read:
            before = sources[0][1]
            fewer = entry.what == EVENTS_WITH_JETS and entry.account.read < number
            files = f"{before.file}" + (f" and {len(sources) - 1} more" if sources[1:] else "")
            raise InputError(
                f"{entry.file}: {entry.step} read {entry.account.read} {entry.what} of "
                f"{entry.place}, but {before.step} wrote {number} ({files}); run {entry.step} again"
                f"{_CAUSE if fewer else ''}"
            )

    def check_parts(self) -> None:
        """Raise InputError where a step that goes by parts lacks one that the step before has."""
        seen: dict[tuple[str, str, str], set[str]] = {}
        for entry in self.entries:
            if entry.part:
                seen.setdefault((entry.step, entry.sample, entry.what), set()).add(entry.part)
        for (step, sample, what), parts in seen.items():
            supplied = self._supplied.get((what, sample), {})
            if missing := sorted(set(supplied) - parts):
                number, before = supplied[missing[0]]
                raise InputError(
                    f"{before.file}: the {number} {what} of sample {sample}, part {missing[0]} "
                    f"were not read by {step}, which read {len(parts)} of {len(supplied)} parts"
                )

    def by_sample(self) -> list[Entry]:
        """Entries of all parts added up, in the order in which steps and samples came."""
        groups: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault((entry.sample, entry.step, entry.what), []).append(entry)
        return [
            Entry(step, sample, "", what, added(one.account for one in group), group[0].file)
            for (sample, step, what), group in groups.items()
        ]
