"""Jets of top quarks and of QCD: the true ones, and their substructure with weighted candidates.

The jets are chosen at particle level, so that all methods are measured on the same ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.jets.arrays import offsets_of
from fullchain.jets.clustering import cluster
from fullchain.jets.declustering import decluster
from fullchain.jets.genlevel import GenLevel
from fullchain.jets.labels import TOP, W
from fullchain.jets.matching import nearest, take
from fullchain.jets.settings import JetsSettings, SubstructureSettings
from fullchain.jets.subjettiness import subjettiness
from fullchain.jets.truth import label
from fullchain.ntuples.layouts.base import Layout
from fullchain.pileup.discrimination_settings import DiscriminationSettings
from fullchain.pileup.events import Events, Objects

Array = NDArray[Any]

RADIUS = 0.8
KINDS = ("top", "w", "qcd")
"""Jets with all three quarks of a top quark, with the two of its W only, of QCD."""

OBSERVABLES = ("msoftdrop", "tau32", "tau21")
OTHER = -1


@dataclass(frozen=True)
class TrueJets:
    """Particle-level AK8 jets of some events, (n) each.

    Parameters
    ----------
    event
        Number of the event of each, from 0.
    eta, phi
        Direction.
    msoftdrop
        Soft-drop mass of the particles [GeV].
    kind
        Place in `KINDS`, -1 for none of these.
    """

    event: Array
    eta: Array
    phi: Array
    msoftdrop: Array
    kind: Array


@dataclass(frozen=True)
class Observed:
    """The same jets with the weights of a method, (n, observables); NaN where no jet is near."""

    values: Array
    found: Array


def true_jets(
    layout: Layout,
    events: Any,
    every: Objects,
    is_signal: bool,
    settings: DiscriminationSettings,
    jets: JetsSettings,
) -> TrueJets:
    """Choose the jets: of the two leading ones in each event, those in the window.

    Parameters
    ----------
    events
        NanoEvents with GenJetAK8, GenPart, and the stable particles of GenCands.
    every
        All particle-level AK8 jets, in the order of GenJetAK8.
    is_signal
        Whether jets get a kind by the quarks in them, as `fullchain.jets.truth` says; else all are
        those of QCD.

    Raises
    ------
    InputError
        The events have no history of the generator, or not its stable particles.
    """
    particles = layout.gen_particles(events)
    if particles is None:
        raise InputError(
            "has no branches GenPart_*, which tell the jets of top quarks; take generated samples "
            "(pileup.discrimination.pairs)"
        )
    chosen = np.flatnonzero(
        (every.ranks < 2)
        & (every.pt >= settings.jet_pt_min)
        & (every.pt < settings.jet_pt_max)
        & (np.abs(every.eta) < settings.jet_abs_eta_max)
    )
    msoftdrop = GenLevel(layout, events, jets).soft_drop(chosen)
    if len(chosen) and not np.isfinite(msoftdrop).any():
        raise InputError(
            "has no branches GenCands_*, so that particle-level jets have no soft-drop mass; take "
            "generated samples (pileup.discrimination.pairs)"
        )
    event, eta, phi = every.events[chosen], every.eta[chosen], every.phi[chosen]
    kind = np.full(len(chosen), KINDS.index("qcd"))
    if is_signal:
        labels, contained = label(eta, phi, event, particles, jets.truth.label_radius)
        kind[:] = OTHER
        kind[contained & (labels == TOP)] = KINDS.index("top")
        kind[contained & (labels == W)] = KINDS.index("w")
    return TrueJets(event, eta, phi, msoftdrop, kind)


def observe(
    events: Events, weights: Array, to: TrueJets, pt_min: float, settings: SubstructureSettings
) -> Observed:
    """Cluster the weighted candidates, and measure the jet that is nearest to each true one.

    Parameters
    ----------
    weights
        (candidates) in [0, 1].
    pt_min
        Least pT of a jet that may match [GeV]; the distance is at most half of the radius.
    settings
        Of soft drop and of N-subjettiness, those of the stage `jets`.
    """
    momenta, offsets = events.weighted(weights)
    jets = cluster(momenta, offsets, RADIUS, pt_min)
    direction = jets.kinematics
    index = nearest(
        to.eta, to.phi, to.event, direction.eta, direction.phi, jets.event_offsets, 0.5 * RADIUS
    )
    wanted, place = np.unique(index[index >= 0], return_inverse=True)
    counts = np.diff(jets.member_offsets)[wanted]
    member_offsets = offsets_of(counts)
    within = np.arange(member_offsets[-1]) - np.repeat(member_offsets[:-1], counts)
    members = jets.members[np.repeat(jets.member_offsets[wanted], counts) + within]
    values = substructure(momenta[members], member_offsets, settings)
    at = index.copy()
    at[index >= 0] = place
    columns = [take(column, at) for column in values.T]
    return Observed(np.stack(columns, axis=1), index >= 0)


def substructure(momenta: Array, offsets: Array, settings: SubstructureSettings) -> Array:
    """Give soft-drop mass [GeV], tau32 and tau21 of jets, (jets, 3).

    Parameters
    ----------
    momenta
        (constituents, 4) px, py, pz, E [GeV].
    offsets
        (jets + 1) where the constituents of each jet begin.

    Notes
    -----
    A ratio is NaN where its denominator is 0: a jet of as many particles as axes.
    """
    if len(offsets) == 1:
        return np.zeros((0, len(OBSERVABLES)))
    mass, *_ = decluster(
        momenta, offsets, settings.soft_drop_z_cut, settings.soft_drop_beta, RADIUS
    )
    tau = subjettiness(momenta, offsets, 3, RADIUS, settings.subjettiness_axes == "one_pass_kt")
    ratios = [
        np.divide(tau[:, n], tau[:, n - 1], out=np.full(len(tau), np.nan), where=tau[:, n - 1] > 0)
        for n in (2, 1)
    ]
    return np.stack([mass, *ratios], axis=1)
