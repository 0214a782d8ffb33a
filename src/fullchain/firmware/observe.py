"""Give what a trigger sees of the jets of a file: features and leading coarse candidates."""

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware import trigger_jets
from fullchain.firmware.coarse_candidates import FIELDS, Particles, coarsen, quantities
from fullchain.firmware.inputs_settings import InputsSettings
from fullchain.firmware.substructure_observables import observables
from fullchain.firmware.trigger_jets import TriggerJets
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.jets_reading import Jets, stream

NOMINAL = "nominal"

MOST = 512
"""Particles of a jet that are read; more are an error, not cut."""

COLUMNS = ("variation", "phi", *(name for name in trigger_jets.SCALARS if name != "row"))
"""Read of a jet."""

FEW = 32
"""Below so many jets, all may have one value of a feature by chance, such as the multiplicity."""


def main(
    *,
    jets: Annotated[Path, Input("jets of one file, Parquet")],
    sample: Annotated[str, Option("name of the sample that the jets are of")],
    output: Annotated[Path, Output("trigger jets of the nominal variation, HDF5")],
    settings: Given,
) -> None:
    """Read, observe, check, write."""
    chosen = settings.model("firmware.inputs", InputsSettings)
    rows = _nominal_rows(jets)
    pieces = [observed(_none(), rows[:0], chosen)]
    done = 0
    for batch in stream(jets, COLUMNS, MOST, fields=FIELDS, variation=NOMINAL, batch_rows=2048):
        nominal = batch.where(batch.scalars["variation"] == NOMINAL)
        places = rows[done : done + len(nominal)]
        _check_particles(jets, nominal, places)
        pieces.append(observed(nominal, places, chosen))
        done += len(nominal)
    everything = trigger_jets.concatenate(pieces)
    check_features(everything.features, everything.feature_names, str(jets))
    trigger_jets.write(output, everything, sample)


def observed(jets: Jets, rows: NDArray[np.int64], settings: InputsSettings) -> TriggerJets:
    """Give what a trigger sees of some jets.

    Parameters
    ----------
    jets
        With constituents that have the fields `coarse_candidates.FIELDS`.
    rows
        (jets) their places in the file of jets.
    settings
        Resolution, and what is made of the candidates.
    """
    full = Particles.of(jets.constituents)
    axis = np.stack([jets.scalars["eta"], jets.scalars["phi"]], axis=1)
    coarse = coarsen(full, axis, settings)
    seen = (coarse if settings.resolution == "coarse" else full).leading(
        settings.features_candidates
    )
    features = observables(
        seen.momenta(),
        seen.offsets,
        settings.features,
        z_cut=settings.z_cut,
        groomed=settings.groomed,
    )
    scalars = {name: jets.scalars[name] for name in trigger_jets.SCALARS if name != "row"}
    return TriggerJets(
        features.astype(np.float32),
        quantities(coarse, settings.quantities, settings.candidates),
        {**scalars, "row": rows},
        settings.features,
        settings.quantities,
    )


def check_features(values: NDArray[np.floating], names: tuple[str, ...], source: str) -> None:
    """Check features (jets, names) of a file `source`.

    Raises
    ------
    InputError
        A feature is not finite, or it is the same for all of more than a few jets: a network could
        learn nothing from it, and its range would be zero. Names features and file.
    """
    constant = []
    for name, column in zip(names, values.T, strict=True):
        wrong = np.flatnonzero(~np.isfinite(column))
        if len(wrong):
            raise InputError(
                f"{source}: the feature {name} is {column[wrong[0]]} for nominal jet {wrong[0]} "
                f"({len(wrong)} such jets); make the jets again, or leave it out of "
                "firmware.inputs.features"
            )
        if len(column) >= FEW and (column == column[0]).all():
            constant.append(f"{name} (always {column[0]:g})")
    if constant:
        raise InputError(
            f"{source}: the same for all {len(values)} jets: {', '.join(constant)}; leave it out "
            "of firmware.inputs.features, raise features_candidates, or choose finer steps"
        )


def _nominal_rows(path: Path) -> NDArray[np.int64]:
    """Places of the nominal jets in the file, in order; none where the file has no jets at all."""
    variations = [batch.scalars["variation"] for batch in stream(path, ("variation",), 0)]
    if not variations:
        return np.zeros(0, dtype=np.int64)
    rows = np.flatnonzero(np.concatenate(variations) == NOMINAL)
    if not len(rows):
        raise InputError(f"{path}: jets, but no nominal ones; make the jets again")
    return rows.astype(np.int64)


def _none() -> Jets:
    """No jets, with all columns."""
    scalars = {name: np.zeros(0, dtype=trigger_jets.SCALARS.get(name)) for name in COLUMNS}
    return Jets(scalars, np.zeros((0, 1, len(FIELDS)), dtype=np.float32))


def _check_particles(path: Path, jets: Jets, rows: NDArray[np.int64]) -> None:
    """Raise InputError where a jet has as many particles as are read, or more."""
    full = np.flatnonzero(jets.constituents[:, -1, 0] > 0)
    if len(full):
        raise InputError(
            f"{path}: the jet in row {rows[full[0]]} has {MOST} particles or more; remove pile-up, "
            "or raise the thresholds of the stage jets"
        )
