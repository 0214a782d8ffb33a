"""Names of the figures of the stage ntuples, known before any of them is drawn."""

from collections.abc import Mapping
from typing import Any


def names(samples: Mapping[str, Any]) -> list[str]:
    """Names of the figures for these samples (settings of `NtuplesSettings.samples`)."""
    generated = [sample for sample in samples.values() if sample.kind == "generated"]
    found = ["samples"]
    if generated:
        found.append("candidates")
    if any(sample.shower_weights for sample in generated):
        found.append("shower_weights")
    if any(sample.has_pileup for sample in generated):
        found += ["pileup_density", "pileup_spectra"]
    return found
