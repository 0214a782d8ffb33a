"""Names of triggers in tables and figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.firmware.model_kinds import ANOMALY_SCORES

Content = Mapping[str, Any]

PT, FLOAT, QUANTISED = "pt", "float", "quantised"

IMPLEMENTATIONS = {
    "float": "floating point",
    "quantised": "fixed point",
    "hls4ml": "hls4ml emulation",
    "rtl": "RTL",
    "conifer": "conifer emulation",
}


def name_of(one: Content, trigger: str) -> str:
    """Name a trigger of a report: that on the jet pT, or of a model."""
    if trigger == PT:
        return "level-1 jet pT"
    name = f"{one['model']} {one['point']}"
    return name if one["kind"] in ANOMALY_SCORES else f"{name}, {trigger}"


def rows_of(contents: Sequence[Content]) -> Iterator[tuple[Content, str]]:
    """Give (report, trigger) of all reports, the trigger on the jet pT once and first."""
    if contents:
        yield contents[0], PT
    for one in contents:
        for trigger in one["triggers"]:
            if trigger != PT:
                yield one, trigger


def target_words(one: Content, fraction: float) -> str:
    """Say which background rate a part of the events is."""
    rate = one["background"]["rate"]
    words = f"{100 * fraction:.3g} % of the background"
    return words if rate is None else f"{words} ({rate * fraction:.3g} Hz)"
