"""Kinds of models, and what the anomaly score of those that have one is made of."""

from collections.abc import Mapping
from typing import Literal

AnomalyScore = Literal["latent", "reconstruction"]

ANOMALY_SCORES: Mapping[str, AnomalyScore] = {"anomaly": "latent", "autoencoder": "reconstruction"}
"""By kind; other kinds tell classes apart."""
