"""Performance that papers state for the architectures we implement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTE = (
    "published on the top-tagging reference data set (Delphes, pT 550-650 GeV, 1.2M training "
    "jets); ours on the simulation and number of jets of this configuration"
)
"""What the reader must know to compare our numbers with these."""


@dataclass(frozen=True)
class Published:
    """A value with its uncertainty, where one is stated, and its source."""

    value: float
    uncertainty: float | None
    source: str


_TABLE = "PFN of 1810.05165, as tabulated in 2405.14806 (table 1)"

VALUES: dict[str, dict[str, Published]] = {
    "pfn": {
        "accuracy": Published(0.932, None, _TABLE),
        "auc": Published(0.9819, None, _TABLE),
        "rejection_50": Published(247.0, 3.0, _TABLE),
        "rejection_30": Published(888.0, 17.0, _TABLE),
    },
}
"""Values by architecture and quantity, for top jets against light ones."""

SIGNAL = {"top"}
BACKGROUND = {"gluon", "light", "b"}
WINDOW = (550.0, 650.0)
"""Jet pT [GeV] of the reference data set."""


def reference(measured: Mapping[str, Any]) -> Mapping[str, Published]:
    """Give the values to set beside a performance.json: those of its architecture, or none.

    None where the tagger tells apart other jets than the papers do, or is measured in another
    window of pT, on which the rejection depends strongly.
    """
    labels, window = measured["labels"], measured["selection"]
    same_task = set(labels["signal"]) == SIGNAL and set(labels["background"]) <= BACKGROUND
    same_window = (window["pt_min"], window["pt_max"]) == WINDOW
    return VALUES.get(measured["architecture"], {}) if same_task and same_window else {}
