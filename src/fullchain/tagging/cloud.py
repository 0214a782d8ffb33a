"""What a network that sees particles gets."""

from typing import NamedTuple

from torch import Tensor


class ParticleCloud(NamedTuple):
    """The particles of some jets, in falling pT, with padding.

    Networks give results that do not depend on the content of padded entries, nor on how many
    there are.
    """

    features: Tensor
    """Standardised inputs, shape (jets, particles, features)."""
    mask: Tensor
    """True for particles and false for padding, shape (jets, particles)."""
    angles: Tensor
    """eta and phi relative to the jet axis, shape (jets, particles, 2)."""
    momenta: Tensor
    """E, px, py, pz [GeV] with pT and mass as measured, shape (jets, particles, 4).

    Of a tagger they are in double precision, whatever the precision of the network.
    """
