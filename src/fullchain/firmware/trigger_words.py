"""Names of triggers in tables and figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.firmware.implementation_names import FLOAT, QUANTISED
from fullchain.firmware.model_kinds import ANOMALY_SCORES
from fullchain.firmware.trigger_settings import PT_TRIGGER

Content = Mapping[str, Any]

IMPLEMENTATIONS = {
    FLOAT: "floating point",
    QUANTISED: "fixed point",
    "hls4ml": "hls4ml emulation",
    "rtl": "RTL",
    "conifer": "conifer emulation",
}


def name_of(one: Content, trigger: str) -> str:
    """Name a trigger of a report: that on the jet pT, or of a model."""
    if trigger == PT_TRIGGER:
        return "level-1 jet pT"
    name = f"{one['model']} {one['point']}"
    return name if one["kind"] in ANOMALY_SCORES else f"{name}, {trigger}"


def rows_of(contents: Sequence[Content]) -> Iterator[tuple[Content, str]]:
    """Give (report, trigger) of all reports, the trigger on the jet pT once and first."""
    if contents:
        yield contents[0], PT_TRIGGER
    for one in contents:
        for trigger in one["triggers"]:
            if trigger != PT_TRIGGER:
                yield one, trigger


def judgement(entry: Content) -> Content:
    """Give the judgement of the quantised model, or that of the only implementation (jet pT)."""
    known: Mapping[str, Content] = entry["implementations"]
    return known[QUANTISED] if QUANTISED in known else next(iter(known.values()))


def target_words(one: Content, fraction: float) -> str:
    """Say which background rate a part of the events is."""
    rate = one["background"]["rate"]
    words = f"{100 * fraction:.3g} % of the background"
    return words if rate is None else f"{words} ({rate * fraction:.3g} Hz)"
