"""The table of jets: one row for one AK8 jet of one variation. Names, types, units, meanings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fullchain.jets.arrays import Array
from fullchain.jets.factor_names import FACTORS


@dataclass(frozen=True)
class Column:
    """One column, or one field of a nested one."""

    name: str
    type: pa.DataType
    unit: str
    description: str

    def field(self) -> pa.Field:
        """Give the Arrow field, with unit and description in its metadata."""
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, nullable=False, metadata=metadata)


_REAL = pa.float32()

EVENT = (
    Column("run", pa.uint32(), "", "run number"),
    Column("luminosityBlock", pa.uint32(), "", "luminosity block"),
    Column("event", pa.uint64(), "", "event number"),
    Column("variation", pa.string(), "", "nominal, or the name of the object shift"),
    Column("jet", pa.int32(), "", "place of the jet in its event by falling pT, from 0"),
    Column("weight", pa.float64(), "", "generator weight, not normalised to a luminosity"),
    *(
        Column(f"w_{name}", _REAL, "", f"factor on weight for {name}; 1 where the input has none")
        for name in FACTORS
    ),
    Column("npu", _REAL, "", "mean number of pile-up interactions, NaN where unknown"),
    Column("npv", pa.int32(), "", "reconstructed vertices, -1 where unknown"),
    Column("met_pt", _REAL, "GeV", "missing transverse momentum of the input, never shifted"),
    Column("met_phi", _REAL, "rad", "azimuth of it"),
    Column("n_ak4", pa.int32(), "", "small jets of the unshifted event, -1 where unknown"),
    Column("ht", _REAL, "GeV", "scalar sum of their pT, NaN where unknown"),
)

JET = (
    Column("pt", _REAL, "GeV", "transverse momentum of the jet"),
    Column("eta", _REAL, "", "pseudorapidity"),
    Column("phi", _REAL, "rad", "azimuth"),
    Column("mass", _REAL, "GeV", "mass of the sum of the constituents"),
    Column("msoftdrop", _REAL, "GeV", "mass after soft drop"),
    Column("tau1", _REAL, "", "N-subjettiness for 1 axis, beta = 1"),
    Column("tau2", _REAL, "", "N-subjettiness for 2 axes, beta = 1"),
    Column("tau3", _REAL, "", "N-subjettiness for 3 axes, beta = 1"),
    Column("tau4", _REAL, "", "N-subjettiness for 4 axes, beta = 1"),
    Column("tau21", _REAL, "", "tau2 / tau1, NaN where tau1 is 0"),
    Column("tau32", _REAL, "", "tau3 / tau2, NaN where tau2 is 0"),
    Column("d2", _REAL, "", "e3 / e2^3 of all constituents"),
    Column("n2", _REAL, "", "2e3 / (1e2)^2 of the constituents left by soft drop"),
    Column("n_constituents", pa.int32(), "", "number of constituents"),
    Column("chf", _REAL, "", "energy fraction of charged hadrons, NaN where unknown"),
    Column("nhf", _REAL, "", "energy fraction of neutral hadrons, NaN where unknown"),
    Column("phf", _REAL, "", "energy fraction of photons, NaN where unknown"),
    Column("elf", _REAL, "", "energy fraction of electrons, NaN where unknown"),
    Column("muf", _REAL, "", "energy fraction of muons, NaN where unknown"),
    Column(
        "label",
        pa.int8(),
        "",
        "truth: 0 gluon, 1 light quark, 2 b, 3 W, 4 Z, 5 top, 6 Higgs, -1 unmatched",
    ),
    Column("label_fully_contained", pa.bool_(), "", "all quarks of the decay within the jet"),
    Column("gen_pt", _REAL, "GeV", "pT of the matched particle-level jet, NaN without"),
    Column("gen_mass", _REAL, "GeV", "mass of it"),
    Column("gen_msoftdrop", _REAL, "GeV", "mass of it after soft drop, NaN where unknown"),
)

CONSTITUENT = (
    Column("pt", _REAL, "GeV", "transverse momentum, with pile-up weight and shift applied"),
    Column("eta", _REAL, "", "pseudorapidity"),
    Column("phi", _REAL, "rad", "azimuth"),
    Column("mass", _REAL, "GeV", "mass, with pile-up weight and shift applied"),
    Column("charge", pa.int8(), "e", "electric charge"),
    Column("pdgId", pa.int32(), "", "particle-flow class as a PDG code"),
    Column("d0", _REAL, "cm", "transverse impact parameter, 0 where not measured"),
    Column("d0_err", _REAL, "cm", "error of d0, 0 where not measured"),
    Column("dz", _REAL, "cm", "longitudinal impact parameter, 0 where not measured"),
    Column("dz_err", _REAL, "cm", "error of dz, 0 where not measured"),
    Column("puppi_weight", _REAL, "", "pile-up weight that pt and mass contain"),
    Column("from_pv", pa.int8(), "", "3 in the fit of the vertex, 2 tight, 1 loose, 0 another's"),
)

BRANCHING = (
    Column("kt", _REAL, "GeV", "transverse momentum of the softer branch about the harder"),
    Column("delta", _REAL, "", "distance of the branches"),
    Column("z", _REAL, "", "share of the softer branch in the scalar sum of pT"),
)


def _list_of(columns: tuple[Column, ...]) -> pa.DataType:
    # the name "item" is what Parquet readers expect of a list's content
    return pa.list_(pa.field("item", pa.struct([c.field() for c in columns]), nullable=False))


NESTED = (
    Column("constituents", _list_of(CONSTITUENT), "", "constituents by falling pT"),
    Column("lund", _list_of(BRANCHING), "", "primary Lund plane, from wide to narrow"),
)

SCALARS = (*EVENT, *JET)
SCHEMA = pa.schema([column.field() for column in (*SCALARS, *NESTED)])


@dataclass(frozen=True)
class Lists:
    """A nested column: flat arrays by field, and where the items of each row begin."""

    values: Mapping[str, Array]
    offsets: Array


def _array(values: Any, column: Column) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    values = np.asarray(values)
    wanted = column.type.to_pandas_dtype()
    return pa.array(values.astype(wanted, copy=False), type=column.type)


def _lists(lists: Lists, columns: tuple[Column, ...], kind: pa.DataType) -> pa.Array:
    children = [_array(lists.values[column.name], column) for column in columns]
    structs = pa.StructArray.from_arrays(children, fields=[column.field() for column in columns])
    return pa.ListArray.from_arrays(pa.array(lists.offsets.astype(np.int32)), structs, type=kind)


def table(scalars: Mapping[str, Any], variation: str, constituents: Lists, lund: Lists) -> pa.Table:
    """Build the rows of one variation.

    Parameters
    ----------
    scalars
        One array for each of `SCALARS` but ``variation``.
    constituents, lund
        Lists with the fields of `CONSTITUENT` and `BRANCHING`.
    """
    rows = len(scalars["pt"])
    content = {**scalars, "variation": pa.array([variation] * rows, pa.string())}
    arrays = [_array(content[column.name], column) for column in SCALARS]
    arrays.append(_lists(constituents, CONSTITUENT, NESTED[0].type))
    arrays.append(_lists(lund, BRANCHING, NESTED[1].type))
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
