"""Events of trigger jets: which jets make up one, what it weighs, and how it is normalised."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.trigger_jets import Labelled, TriggerJets

Array = NDArray[np.float64]

SQUARE_CENTIMETRES = 1e-36
"""1 pb in cm^2."""

STEPS = 64.0
"""Inverse of the step of the level-1 jet pT [1/GeV]."""


@dataclass(frozen=True)
class Events:
    """Events with at least one jet.

    Parameters
    ----------
    of_jet
        (jets) number of the event of each jet.
    sample, weight
        (events) number of its sample, and its weight.
    samples
        Names of the samples.
    """

    of_jet: NDArray[np.intp]
    sample: NDArray[np.intp]
    weight: Array
    samples: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sample)

    def largest(self, scores: Array) -> Array:
        """Give the largest score of the jets of each event, (events)."""
        found = np.full(len(self), -np.inf)
        np.maximum.at(found, self.of_jet, scores)
        return found

    def of(self, names: Sequence[str], what: str) -> NDArray[np.intp]:
        """Give the numbers of the events of samples.

        Raises
        ------
        InputError
            A sample has no events; names it, and the setting `what` that asks for it.
        """
        pieces = []
        for name in names:
            number = self.samples.index(name) if name in self.samples else -1
            found = np.flatnonzero(self.sample == number)
            if not len(found):
                raise InputError(
                    f"{what}: no jets of sample {name} in the test part; there are jets of "
                    f"{', '.join(self.samples)}. Give trigger jets of {name}, or leave it out"
                )
            pieces.append(found)
        return np.sort(np.concatenate(pieces))


def events(jets: Labelled) -> Events:
    """Put jets together into events, by sample, run, luminosity block and event."""
    number = jets.events
    size = int(number.max(initial=-1)) + 1
    first = np.zeros(size, dtype=np.intp)
    # Backwards, so that the first jet of an event is the last one written.
    first[number[::-1]] = np.arange(len(number))[::-1]
    return Events(number, jets.sample[first], jets.jets.scalars["weight"][first], jets.samples)


def level1_pt(jets: TriggerJets) -> Array:
    """Give the level-1 jet pT [GeV], (jets): scalar sum of pT of all coarse candidates.

    It is the pT of the leading candidate over its share. Without shares it is the pT of the vector
    sum of the leading candidates that were written, which lack a part of the jet.

    Raises
    ------
    InputError
        The candidates have no pT, or neither share nor angle.
    """
    names = jets.candidate_names
    if "pt" not in names or not {"pt_share", "dphi"} & set(names):
        raise InputError(
            f"the level-1 jet pT needs pt and pt_share (or dphi) of candidates, not "
            f"{', '.join(names)}; add them to firmware.inputs.quantities"
        )
    pt = jets.candidates[..., names.index("pt")].astype(np.float64)
    if "pt_share" in names:
        share = jets.candidates[:, 0, names.index("pt_share")].astype(np.float64)
        total = np.divide(pt[:, 0], share, out=np.zeros(len(jets)), where=share > 0)
        # Shares are rounded to single precision; what they are of are multiples of a coarse step.
        return np.round(total * STEPS) / STEPS
    phi = jets.candidates[..., names.index("dphi")].astype(np.float64)
    return np.hypot((pt * np.cos(phi)).sum(axis=1), (pt * np.sin(phi)).sum(axis=1))


@dataclass(frozen=True)
class Generated:
    """What was generated of a sample: cross section [pb] and sum of weights of all events."""

    cross_section: float
    weight: float


def read_generated(paths: Sequence[Path]) -> dict[str, Generated]:
    """Read manifests of samples, or of their parts; samples without cross section are left out.

    Raises
    ------
    InputError
        A file is not there or no manifest.
    """
    sums: dict[str, list[tuple[float, float | None]]] = {}
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            section = content["cross_section_pb"]
            entry = (float(content["sum_of_weights"]), None if section is None else float(section))
            sums.setdefault(str(content["sample"]), []).append(entry)
        except FileNotFoundError:
            raise InputError(f"{path}: no such manifest; run the stage that writes it") from None
        except (ValueError, KeyError, TypeError) as problem:
            raise InputError(
                f"{path}: not a manifest of a sample ({problem!r}); give manifests of the stages "
                "ntuples or jets"
            ) from None
    found = {}
    for sample, entries in sums.items():
        total = sum(weight for weight, _ in entries)
        known = [(weight, section) for weight, section in entries if section is not None]
        if len(known) == len(entries) and total > 0:
            mean = sum(weight * section for weight, section in known) / total
            found[sample] = Generated(mean, total)
    return found


@dataclass(frozen=True)
class Normalised:
    """Background events with weights that sum to their rate.

    `weight` (background events) [Hz], or the plain weights where `rate` [Hz], the rate of events
    with a jet, is not known (None).
    """

    weight: Array
    rate: float | None


def normalise(
    chosen: NDArray[np.intp],
    found: Events,
    everything: Mapping[str, float],
    generated: Mapping[str, Generated],
    luminosity: float,
) -> Normalised:
    """Give weights to the background events of the test part.

    rate = luminosity x sum over samples of cross section x part of the generated events that have
    a jet; only the phase space that was generated counts.

    Parameters
    ----------
    chosen
        Numbers of the background events in `found`.
    everything
        Sum of weights of all events with a jet, of all parts, for each sample.
    generated
        What was generated, for each sample.
    luminosity
        [cm^-2 s^-1].

    Raises
    ------
    InputError
        Several background samples without all cross sections, or a sample with more weight than
        was generated.
    """
    weight = found.weight[chosen]
    names = [found.samples[number] for number in np.unique(found.sample[chosen])]
    missing = [name for name in names if name not in generated]
    if missing:
        if len(names) > 1:
            raise InputError(
                f"the background has samples {', '.join(names)}, and no manifest gives the cross "
                f"section of {', '.join(missing)}: they cannot be added up. Give manifests with "
                "cross_section_pb, or one sample"
            )
        return Normalised(weight, None)
    weight, rate = weight.copy(), 0.0
    for name in names:
        made = generated[name]
        if everything[name] > made.weight * (1 + 1e-9):
            raise InputError(
                f"sample {name}: events with a jet have a sum of weights of {everything[name]:g}, "
                f"the manifests one of {made.weight:g} in all; give manifests of all its parts"
            )
        mine = found.sample[chosen] == found.samples.index(name)
        accepted = everything[name] / made.weight
        own = luminosity * SQUARE_CENTIMETRES * made.cross_section * accepted
        weight[mine] *= own / weight[mine].sum()
        rate += own
    return Normalised(weight, rate)
