"""Reading what the steps of all stages say about the events and jets that they read."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.accounting import Account, read_account
from fullchain.errors import InputError
from fullchain.paper.ledger import EVENTS, EVENTS_WITH_JETS, JETS, NOMINAL_JETS, Entry
from fullchain.pileup.weight_file import covers_whole_event

NOMINAL = "nominal"


def of_manifest(path: Path) -> Iterator[Entry]:
    """Events of each part of a sample: of its files all, or as many as the settings ask for.

    Files that were left out are counted by their reason; nobody knows how many events they have.
    """
    content = _json(path, "manifest of a sample")
    with _named(path, "manifest of a sample"):
        sample, parts = content["sample"], content["parts"]
        total = sum(part["events"] for part in parts)
        if total != content["events"]:
            raise InputError(
                f"{path}: says {content['events']} events of sample {sample}, its {len(parts)} "
                f"parts have {total}; run ntuples manifest again"
            )
        for part in parts:
            good = [file for file in part["files"] if file["status"] == "ok"]
            events = sum(file["events"] for file in good)
            if events != part["events"]:
                raise InputError(
                    f"{path}: says {part['events']} events of sample {sample}, part "
                    f"{part['part']}, its files have {events}; make its manifest again"
                )
            entries = sum(
                file["events"] if file["entries"] is None else file["entries"] for file in good
            )
            sums = [file["sum_of_event_weights"] for file in good]
            weight = None if None in sums else sum(sums)
            rejected = {"more than max_events": entries - events} if entries != events else {}
            account = Account(entries, events, rejected, sum_written=weight)
            supplies = {EVENTS: events}
            yield Entry("ntuples", sample, part["part"], EVENTS, account, path, supplies)


def skipped_files(path: Path) -> dict[str, int]:
    """Number of files of a sample that were left out, by reason."""
    found: dict[str, int] = {}
    for part in _json(path, "manifest of a sample")["parts"]:
        for file in part["files"]:
            if file["status"] == "skipped":
                found[file["reason"]] = found.get(file["reason"], 0) + 1
    return found


def of_weights(path: Path, before: Entry) -> Entry:
    """Events of a part with pile-up weights: ``pileup/weights/<method>/<sample>/<part>.parquet``.

    Parameters
    ----------
    before
        What the manifest of the sample says about this part.
    """
    rows = _rows(path)
    account = Account(rows, rows)
    if rows == 0 and not covers_whole_event(path):
        events = before.account.written
        account = Account(events, 0, {"has the candidates of its jets only": events})
    step = f"pileup weights, {path.parts[-3]}"
    return Entry(step, before.sample, before.part, EVENTS, account, path)


def of_jets(path: Path) -> Entry:
    """Events of a part and its jets, from the summary that `jets cluster` writes."""
    content = _json(path, "summary of a part")
    with _named(path, "summary of a part"):
        flow = content["cutflow"][NOMINAL]
        read = sum(file["events_read"] for file in content["files"])
        for name, cuts in content["cutflow"].items():
            if cuts["all"]["events"] != read:
                raise InputError(
                    f"{path}: jets cluster, sample {content['sample']}, part {content['part']}: "
                    f"{read} events were read, but {cuts['all']['events']} treated in the "
                    f"variation {name}; run it again"
                )
        supplies = {
            JETS: sum(content["jets"].values()),
            NOMINAL_JETS: content["jets"][NOMINAL],
            EVENTS_WITH_JETS: list(flow.values())[-1]["events"],
        }
        account = _of_cuts(read, flow)
        where = content["sample"], content["part"]
        return Entry("jets cluster", *where, EVENTS, account, path, supplies)


def _of_cuts(read: int, flow: dict[str, dict[str, float]]) -> Account:
    """Events that the last cut leaves; the others by the first cut that they fail."""
    steps = list(flow.items())
    rejected = {
        f"no {name}": int(before["events"] - after["events"])
        for (_, before), (name, after) in itertools.pairwise(steps)
    }
    first, last = steps[0][1], steps[-1][1]
    sums = float(first["sum_of_weights"]), float(last["sum_of_weights"])
    return Account(read, int(last["events"]), rejected, *sums)


def of_accounts(path: Path, step: str, what: str) -> Iterator[Entry]:
    """Accounts of all samples that a step wrote: ``{"accounts": {sample: {...}}}``."""
    content = _json(path, f"file of {step}")
    accounts = content.get("accounts")
    if not isinstance(accounts, dict):
        raise InputError(f"{path}: {step} wrote no accounts; run it again")
    for sample, one in accounts.items():
        account = read_account(one, f"{path}: {step}, sample {sample}")
        yield Entry(step, sample, "", what, account, path)


def of_scores(path: Path, what: str) -> Entry:
    """Jets of a sample with a score: ``<stage>/<tagger>/scores/<sample>.parquet``."""
    stage, tagger = path.parts[-4], path.parts[-3]
    rows = _rows(path)
    return Entry(f"{stage} scores, {tagger}", path.stem, "", what, Account(rows, rows), path)


def of_unfolding(path: Path) -> Entry:
    """Events of a part for unfolding, from the summary that `unfolding select` writes."""
    content = _json(path, "summary of a part")
    with _named(path, "summary of a part"):
        read, rows = sum(file["events_read"] for file in content["files"]), content["rows"]
        account = Account(read, rows, {"passes no level": read - rows})
        where = content["sample"], content["part"]
        return Entry("unfolding select", *where, EVENTS, account, path)


def of_pairs(path: Path) -> Entry:
    """Nominal jets of a sample as events for unfolding: ``unfolding/events/<name>/0000.parquet``.

    The table keeps beside its rows of which sample they are, and the account.
    """
    try:
        about = json.loads((pq.read_schema(path).metadata or {})[b"about"])
        sample, content = about["pairs"]["sample"], about["account"]
    except (OSError, pa.ArrowException, KeyError, ValueError) as problem:
        raise InputError(f"{path}: no table of pairs of jets ({problem!r})") from None
    step = f"unfolding pair, {path.parent.name}"
    account = read_account(content, f"{path}: {step}")
    rows = _rows(path)
    if rows != account.written:
        raise InputError(f"{path}: {step} wrote {account.written} rows, {rows} are there")
    return Entry(step, sample, "", NOMINAL_JETS, account, path)


def of_trigger(path: Path) -> Entry:
    """Nominal jets of a part as a trigger sees them: ``firmware/inputs/<sample>/<part>.h5``."""
    try:
        with h5py.File(path, "r") as file:
            rows = len(file["features"])
    except (OSError, KeyError) as problem:
        raise InputError(f"{path}: not a file of trigger jets ({problem})") from None
    where = path.parent.name, path.stem
    return Entry("firmware observe", *where, NOMINAL_JETS, Account(rows, rows), path)


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Name the file whose content lacks something."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: not a {what} ({problem!r}); run its step again") from None


def _rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as problem:
        raise InputError(f"{path}: not a Parquet file ({problem}); run its step again") from None


def _json(path: Path, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}; run the step that writes it") from None
    except ValueError as problem:
        raise InputError(f"{path}: not a {what} ({problem}); run its step again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a {what}: it holds no mapping")
    return content
