"""Kinds of models: what their anomaly scores are made of, and how trees are emulated."""

from collections.abc import Mapping
from typing import Literal

AnomalyScore = Literal["latent", "reconstruction"]

ANOMALY_SCORES: Mapping[str, AnomalyScore] = {"anomaly": "latent", "autoencoder": "reconstruction"}
"""By kind; other kinds tell classes apart."""

TREE_EMULATIONS: Mapping[str, str] = {
    "cpp": "C++ emulation",
    "hls": "HLS emulation",
    "vhdl": "VHDL in GHDL",
}
"""Emulations of trees in `conifer.json`, and how readers know them."""
