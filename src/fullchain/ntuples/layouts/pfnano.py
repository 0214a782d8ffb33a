"""PFNano: NanoAOD with all particle-flow candidates. Our own generated ntuples have this layout.

Unlike in NanoAOD v15, the momenta of the candidates do not contain the PUPPI weight, which is a
column of its own: with it, the constituents of an AK8 jet add up to the uncorrected jet within
0.3 %.
"""

from __future__ import annotations

from fullchain.ntuples.layouts import detect
from fullchain.ntuples.layouts.nanoaod import NanoAOD


class PFNano(NanoAOD):
    """Reader of NanoAOD with the candidates of the whole event."""

    signature = detect.PFNANO
    covers_whole_event = True
