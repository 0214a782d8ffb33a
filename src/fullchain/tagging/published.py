"""Performance that papers state for the architectures we implement."""

from dataclasses import dataclass

NOTE = (
    "published on the top-tagging reference data set (Delphes, pT 550-650 GeV, 1.2M training "
    "jets); ours on the simulation, window and number of jets of this configuration"
)
"""What the reader must know to compare our numbers with these."""


@dataclass(frozen=True)
class Published:
    """A value with its uncertainty, where one is stated, and its source."""

    value: float
    uncertainty: float | None
    source: str


_REFERENCE = "PFN on the top-tagging reference data set (1810.05165, 1902.09914)"

VALUES: dict[str, dict[str, Published]] = {
    "pfn": {
        "accuracy": Published(0.932, None, _REFERENCE),
        "auc": Published(0.9819, None, _REFERENCE),
        "rejection_50": Published(247.0, 3.0, _REFERENCE),
        "rejection_30": Published(888.0, 17.0, _REFERENCE),
    },
}
"""Values by architecture and quantity."""
