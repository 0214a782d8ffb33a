"""Make events for unfolding of the jets of a sample: their masses at both levels."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa

from fullchain.accounting import Account
from fullchain.errors import InputError
from fullchain.parquet_check import read_columns, schema_of
from fullchain.step import Given, Input, Option, Output
from fullchain.unfolding import event_table
from fullchain.unfolding.pair_settings import PairSettings
from fullchain.unfolding.sample import Flags, Level, Simulation

OBSERVABLES = {"jet_mass": "mass", "jet_msoftdrop": "msoftdrop", "large_jet_pt": "pt"}
"""Observables of the events, and the columns of the jets that they are made of."""

UNITS = dict.fromkeys(OBSERVABLES, "GeV")

NOMINAL = "nominal"

_OTHERS = ("variation", "weight", "label", "label_fully_contained")


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of the jets of all parts of a sample")],
    name: Annotated[str, Option("name in unfolding.pairs")],
    events: Annotated[Path, Output("events with both levels, Parquet")],
    settings: Given,
) -> None:
    """Take the nominal jets that are asked for, each with the particle-level jet it belongs to.

    A jet is an event here, and one without a particle-level jet fails that level. Particle-level
    jets without a jet are not in the tables of jets: there is no inefficiency, and what is unfolded
    is the spectrum of jets that were seen.

    Raises
    ------
    InputError
        A file is missing or no table of jets, or no jet is left.
    """
    chosen = settings.model(f"unfolding.pairs.{name}", PairSettings)
    tables, nominal, others = [], 0, 0
    for path in jets:
        # one file at a time: most rows are of shifts, and are not needed
        table = read_jets(path)
        is_nominal, wanted = np.asarray(table["variation"]) == NOMINAL, _wanted(table, chosen)
        nominal += int(np.count_nonzero(is_nominal))
        others += int(np.count_nonzero(is_nominal & ~wanted))
        tables.append(table.filter(pa.array(wanted)))
    made = pairs(pa.concat_tables(tables), chosen)
    matched = int(made.gen.passed.sum())
    if not matched:
        raise InputError(
            f"{jets[0]}: none of the jets of sample {chosen.sample} has the label of "
            f"unfolding.pairs.{name} and a particle-level jet; choose another label or sample"
        )
    account = Account(nominal, len(made), {"of another label": others})
    about = {
        "sample": name,
        "pairs": chosen.model_dump(),
        "account": account.check(f"pairs of {name}").as_dict(),
    }
    event_table.write(events, made, UNITS, about)
    print(f"{name}: {len(made)} jets, {matched} with a particle-level jet", file=sys.stderr)


def pairs(table: pa.Table, settings: PairSettings) -> Simulation:
    """Give both levels of the nominal jets with the right label."""
    rows = table.filter(pa.array(_wanted(table, settings)))

    def level(prefix: str) -> Level:
        columns = [rows[prefix + name].to_numpy() for name in OBSERVABLES.values()]
        values = np.stack(columns, axis=1).astype(np.float64)
        passed: Flags = np.asarray(np.isfinite(values).all(axis=1))
        values[~passed] = np.nan
        return Level(values, passed)

    ids = [rows[name].to_numpy().astype(np.int64) for name in event_table.IDS]
    return Simulation(
        tuple(OBSERVABLES),
        level("gen_"),
        level(""),
        rows["weight"].to_numpy(),
        np.stack(ids, axis=1),
    )


def _wanted(table: pa.Table, settings: PairSettings) -> Flags:
    keep: Flags = np.asarray(table["variation"]) == NOMINAL
    if settings.label is not None:
        keep &= np.asarray(table["label"]) == settings.label
    if settings.fully_contained:
        keep &= np.asarray(table["label_fully_contained"])
    return keep


def read_jets(path: Path) -> pa.Table:
    """Read what is needed of the jets of a part. Raises InputError where the file has no such."""
    wanted = [*event_table.IDS, *_OTHERS]
    wanted += [prefix + name for name in OBSERVABLES.values() for prefix in ("", "gen_")]
    there = schema_of(path, "table of jets").names
    if missing := [name for name in wanted if name not in there]:
        raise InputError(f"{path}: no table of jets (no column {', '.join(missing)})")
    return read_columns(path, wanted, "table of jets")
