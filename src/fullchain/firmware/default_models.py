"""Models of the firmware by default: one network."""

from typing import Any

from fullchain.firmware.network_settings import NetworkSettings


def default_models() -> dict[str, Any]:
    """Give a network on the features of a jet, with learned bit widths."""
    return {"jet_tagger": NetworkSettings()}
