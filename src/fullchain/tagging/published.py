"""Performance that papers state for the architectures we implement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from fullchain.model import SettingsModel
from fullchain.tagging import lgatr_settings, particlenet_settings
from fullchain.tagging.architectures import Architecture
from fullchain.tagging.part_settings import ParticleTransformerSettings
from fullchain.tagging.particlenet_settings import ParticleNetSettings
from fullchain.tagging.pfn_settings import PfnSettings

NOTE = (
    "other data set: published on the top-tagging reference data set (Delphes, pT 550-650 GeV, "
    "1.2M training jets); ours on the simulation and number of jets of this configuration"
)
"""What the reader must know to compare our numbers with these."""


@dataclass(frozen=True)
class Published:
    """A value with its uncertainty, where one is stated, and its source."""

    value: float
    uncertainty: float | None
    source: str


_PARTICLENET = "1902.08570"
_PART = "2202.03772"
_LGATR = "L-GATr, 2411.00446"
_TABLE = "PFN of 1810.05165, as tabulated in 2405.14806 (table 1)"

VALUES: dict[str, dict[str, Published]] = {
    "pfn": {
        "accuracy": Published(0.932, None, _TABLE),
        "auc": Published(0.9819, None, _TABLE),
        "rejection_50": Published(247.0, 3.0, _TABLE),
        "rejection_30": Published(888.0, 17.0, _TABLE),
    },
    "particlenet": {
        "accuracy": Published(0.940, None, _PARTICLENET),
        "auc": Published(0.9858, None, _PARTICLENET),
        "rejection_50": Published(397.0, 7.0, _PARTICLENET),
        "rejection_30": Published(1615.0, 93.0, _PARTICLENET),
    },
    "particlenet_lite": {
        "accuracy": Published(0.937, None, _PARTICLENET),
        "auc": Published(0.9844, None, _PARTICLENET),
        "rejection_50": Published(325.0, 5.0, _PARTICLENET),
        "rejection_30": Published(1262.0, 49.0, _PARTICLENET),
    },
    "part": {
        "accuracy": Published(0.940, None, _PART),
        "auc": Published(0.9858, None, _PART),
        "rejection_50": Published(413.0, 16.0, _PART),
        "rejection_30": Published(1602.0, 81.0, _PART),
    },
    "lgatr": {
        "accuracy": Published(0.9423, None, _LGATR),
        "auc": Published(0.9870, None, _LGATR),
        "rejection_50": Published(540.0, 20.0, _LGATR),
        "rejection_30": Published(2240.0, 70.0, _LGATR),
    },
}
"""Values by architecture and quantity, for top jets against light ones."""

NETWORKS: dict[str, SettingsModel] = {
    "pfn": PfnSettings(),
    "particlenet": ParticleNetSettings(),
    "particlenet_lite": particlenet_settings.LITE,
    "part": ParticleTransformerSettings(),
    "lgatr": lgatr_settings.FULL,
}
"""Settings of the networks that these values are of."""

SIGNAL = {"top"}
BACKGROUND = {"gluon", "light", "b"}
WINDOW = (550.0, 650.0)
"""Jet pT [GeV] of the reference data set."""


def reference(measured: Mapping[str, Any]) -> Mapping[str, Published]:
    """Give the values to set beside a performance.json: those of its architecture, or none.

    None where the tagger tells apart other jets than the papers do, is of another size than the
    published one, or is measured in another window of pT, on which the rejection depends strongly.
    """
    labels, window = [one["labels"] for one in measured["classes"].values()], measured["selection"]
    same_task = len(labels) == 2 and set(labels[0]) == SIGNAL and set(labels[1]) <= BACKGROUND
    same_window = (window["pt_min"], window["pt_max"]) == WINDOW
    if not (same_task and same_window):
        return {}
    return VALUES.get(published_name(measured["architecture"]) or "", {})


def published_name(architecture: Mapping[str, Any]) -> str | None:
    """Name of the published network with these settings; None for one of another size."""
    found = TypeAdapter(Architecture).validate_python(architecture)
    return next((name for name, settings in NETWORKS.items() if found == settings), None)
