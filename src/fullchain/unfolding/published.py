"""Triangular discriminators that the OmniFold paper states, to set beside ours."""

from collections.abc import Mapping
from types import MappingProxyType

SOURCE = "OmniFold, PRL 124 (2020) 182001, 1911.09107; unverified"

NOTE = (
    "published value unverified, not checked against the paper; "
    "other samples: there two generators with a parametric detector, of many more events, here "
    "those of this configuration, so that prior, response and statistical floor differ"
)
"""What the reader must know to compare our numbers with these."""

OBSERVABLES = ("mass", "multiplicity", "width", "ln_rho", "tau21", "z_g")
"""Our names of the paper's observables m, M, w, ln rho, tau21, z_g."""


def _row(*values: float) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(OBSERVABLES, values, strict=True)))


VALUES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "OmniFold": _row(2.77, 0.33, 0.10, 0.35, 0.53, 0.68),
        "MultiFold": _row(3.80, 0.89, 0.09, 0.37, 0.26, 0.15),
        "IBU": _row(9.31, 1.51, 0.11, 0.71, 1.10, 0.37),
    }
)
"""Discriminators (x 1000) of the leading jet beside a Z boson with pT > 200 GeV."""


def name_of(method_kind: str, inputs: str | None) -> str | None:
    """Name of the published method that one of ours is; None where there is none."""
    if method_kind == "ibu":
        return "IBU"
    if method_kind == "omnifold":
        return {"multifold": "MultiFold", "particles": "OmniFold"}.get(inputs or "")
    return None


def beside(method_kind: str, inputs: str | None, observable: str) -> float | None:
    """The published discriminator of the same method and observable; None where there is none."""
    return VALUES.get(name_of(method_kind, inputs) or "", {}).get(observable)
