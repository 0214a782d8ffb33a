"""The readers by name."""

from __future__ import annotations

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.observable_layout import LAYOUT
from fullchain.ntuples.layouts.base import Layout
from fullchain.ntuples.layouts.detect import detect_layout, get_signature
from fullchain.ntuples.layouts.jetclass import JetClass
from fullchain.ntuples.layouts.nanoaod import NanoAOD
from fullchain.ntuples.layouts.pfnano import PFNano

__all__ = ["LAYOUTS", "detect_layout", "get_layout"]

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (NanoAOD(), PFNano(), JetClass())}


def get_layout(name: str) -> Layout:
    """Reader of the layout ``name``; InputError names the known ones."""
    if name == LAYOUT:
        raise InputError(
            f"Jets of a table (layout {LAYOUT}) have no particles: they cannot be clustered, and "
            "no pile-up taken off them; taggers mlp and trees read them with jets_from: ntuples."
        )
    get_signature(name)
    return LAYOUTS[name]
