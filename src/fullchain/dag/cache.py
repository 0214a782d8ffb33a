"""Show what the shared cache holds, and remove what nobody uses."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from fullchain.caching.run import FOLDER
from fullchain.caching.store import Entry, Store, warn
from fullchain.errors import InputError

_DAY = 24 * 3600


def describe(entries: Sequence[Entry]) -> str:
    """Write a table of entries by step."""
    by_step: dict[str, list[Entry]] = {}
    for entry in entries:
        by_step.setdefault(entry.step, []).append(entry)
    lines = [f"{'step':<32}{'entries':>9}{'MB':>11}{'restored':>10}{'last used':>14}"]
    lines += [_line(step, some) for step, some in sorted(by_step.items())]
    return "\n".join([*lines, _line("all", entries)] if entries else ["no entries"])


def _line(name: str, entries: Sequence[Entry]) -> str:
    size = sum(entry.size for entry in entries) / 1e6
    uses = sum(entry.uses for entry in entries)
    last = time.strftime("%Y-%m-%d", time.localtime(max(entry.used for entry in entries)))
    return f"{name:<32}{len(entries):>9}{size:>11.1f}{uses:>10}{last:>14}"


def superfluous(
    entries: Sequence[Entry], now: float, unused_days: float | None, largest_gb: float | None
) -> Iterator[Entry]:
    """Choose the entries to remove.

    Parameters
    ----------
    entries
        All entries.
    now
        Time [s since the epoch].
    unused_days
        Those that were not used for so many days go; None: age does not matter.
    largest_gb
        Then the least recently used go until the others have at most so many GB; None: size does
        not matter.
    """
    left = sum(entry.size for entry in entries)
    for entry in sorted(entries, key=lambda entry: entry.used):
        is_old = unused_days is not None and now - entry.used > unused_days * _DAY
        is_too_much = largest_gb is not None and left > largest_gb * 1e9
        if is_old or is_too_much:
            left -= entry.size
            yield entry


def main(arguments: list[str]) -> None:
    """Run ``fullchain cache``."""
    parser = argparse.ArgumentParser(
        prog="fullchain cache",
        description="Show the results that runs and users share, or remove those nobody uses.",
    )
    parser.add_argument(
        "--folder", type=Path, help=f"of the cache; default: environment variable {FOLDER}"
    )
    parser.add_argument(
        "--remove-unused", type=float, metavar="DAYS", help="remove what was not used for so long"
    )
    parser.add_argument(
        "--shrink-to", type=float, metavar="GB", help="remove the least recently used beyond it"
    )
    chosen = parser.parse_args(arguments)
    store = Store(_folder(chosen.folder))
    entries = list(store.entries())
    if chosen.remove_unused is not None or chosen.shrink_to is not None:
        gone = list(superfluous(entries, time.time(), chosen.remove_unused, chosen.shrink_to))
        removed = {entry for entry in gone if _is_removed(store, entry)}
        freed = sum(entry.size for entry in removed) / 1e6
        print(f"removed {len(removed)} of {len(entries)} entries, {freed:.1f} MB")
        entries = [entry for entry in entries if entry not in removed]
    print(describe(entries))


def _folder(given: Path | None) -> Path:
    named = given or Path(os.environ.get(FOLDER) or "")
    if named == Path():
        raise InputError(f"no cache is named: give --folder, or set {FOLDER}")
    if not named.is_dir():
        raise InputError(f"{named}: no such folder; make it to have a cache there")
    return named


def _is_removed(store: Store, entry: Entry) -> bool:
    try:
        store.remove(entry.folder.name)
    except OSError as problem:
        warn(f"{entry.folder} cannot be removed: {problem}")
        return False
    return True
