"""Hold what each step read against what the step before it wrote: nothing is lost in silence."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.paper import account_files as files
from fullchain.paper.ledger import EVENTS, EVENTS_WITH_JETS, JETS, NOMINAL_JETS, Entry, Ledger
from fullchain.step import Given, Input, Output


def main(
    *,
    manifests: Annotated[list[Path], Input("manifests of all samples")],
    weights: Annotated[list[Path], Input("pile-up weights, of all parts")] = [],  # noqa: B006
    jets: Annotated[list[Path], Input("summaries of `jets cluster`, of all parts")] = [],  # noqa: B006
    histograms: Annotated[list[Path], Input("accounts of `jets histograms`: one file")] = [],  # noqa: B006
    trainings: Annotated[list[Path], Input("history.json of trainings on jets")] = [],  # noqa: B006
    scores: Annotated[list[Path], Input("<tagger>/scores/<sample>.parquet")] = [],  # noqa: B006
    scores_of_ntuples: Annotated[
        list[Path], Input("likewise, of entries of ntuples with one jet each")
    ] = [],  # noqa: B006
    templates: Annotated[list[Path], Input("<analysis>/templates.json")] = [],  # noqa: B006
    unfolding: Annotated[list[Path], Input("summaries of `unfolding select`, of parts")] = [],  # noqa: B006
    pairs: Annotated[list[Path], Input("tables of `unfolding pair`")] = [],  # noqa: B006
    trigger: Annotated[list[Path], Input("trigger jets of parts, HDF5")] = [],  # noqa: B006
    accounts: Annotated[Path, Output("what every step read, wrote and rejected, JSON")],
    settings: Given,
) -> None:
    """Read what all steps say, check it, and write it together.

    Raises
    ------
    InputError
        A step lost events or jets, or did not read what the step before it wrote; or a generated
        sample has not as many events as its settings ask for.
    """
    ledger = Ledger()
    of_parts = _take_manifests(ledger, manifests)
    _check_generated(ledger, settings["ntuples.samples"])
    for path in weights:
        ledger.add(files.of_weights(path, _part_before(path, of_parts)))
    for path in jets:
        ledger.add(files.of_jets(path))
    ledger.check_parts()  # what follows is of all parts together
    for path in histograms:
        _take(ledger, files.of_accounts(path, "jets histograms", JETS))
    for path in trainings:
        step = f"{path.parts[-4]} train, {path.parts[-3]} {path.parts[-2]}"
        _take(ledger, files.of_accounts(path, step, NOMINAL_JETS))
    for path in scores:
        ledger.add(files.of_scores(path, JETS))
    for path in scores_of_ntuples:
        ledger.add(files.of_scores(path, EVENTS))
    for path in templates:
        step = f"inference templates, {path.parent.name}"
        _take(ledger, files.of_accounts(path, step, EVENTS_WITH_JETS))
    for path in unfolding:
        ledger.add(files.of_unfolding(path))
    for path in pairs:
        ledger.add(files.of_pairs(path))
    for path in trigger:
        ledger.add(files.of_trigger(path))
    ledger.check_parts()
    skipped = {path.parent.name: files.skipped_files(path) for path in manifests}
    content = {
        "files_skipped": {name: found for name, found in skipped.items() if found},
        "samples": [_line(entry) for entry in ledger.by_sample()],
        "parts": [_line(entry) for entry in ledger.entries if entry.part],
    }
    write_text(accounts, json.dumps(content, indent=1, allow_nan=False) + "\n")
    print(f"{len(ledger.entries)} accounts of {len(manifests)} samples agree")


def _take(ledger: Ledger, entries: Iterable[Entry]) -> None:
    for entry in entries:
        ledger.add(entry)


def _take_manifests(ledger: Ledger, manifests: list[Path]) -> dict[tuple[str, str], Entry]:
    found: dict[tuple[str, str], Entry] = {}
    for path in manifests:
        for entry in files.of_manifest(path):
            ledger.add(entry)
            found[entry.sample, entry.part] = entry
    return found


def _part_before(path: Path, of_parts: Mapping[tuple[str, str], Entry]) -> Entry:
    where = path.parent.name, path.stem
    if where not in of_parts:
        raise InputError(f"{path}: no manifest tells of sample {where[0]}, part {where[1]}")
    return of_parts[where]


def _check_generated(ledger: Ledger, samples: Mapping[str, Any]) -> None:
    """Raise InputError where a generated sample has more or fewer events than were asked for."""
    for entry in ledger.by_sample():
        asked = samples.get(entry.sample, {})
        if asked.get("kind") == "generated" and asked["events"] != entry.account.written:
            raise InputError(
                f"{entry.file}: ntuples, sample {entry.sample}: {asked['events']} events were "
                f"asked for, {entry.account.written} are there; run ntuples manifest again"
            )


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "step": entry.step,
        "sample": entry.sample,
        "part": entry.part,
        "what": entry.what,
        **entry.account.as_dict(),
    }
