"""Draw a sample of the Gaussian case, as a table of events."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter

from fullchain.seeds import stream
from fullchain.step import Given, Option, Output
from fullchain.unfolding import event_table, gaussian
from fullchain.unfolding.sample import Simulation
from fullchain.unfolding.toy_settings import (
    OBSERVABLE,
    BackgroundToySettings,
    DataToySettings,
    DetectorToySettings,
    SimulationToySettings,
    ToySettings,
)


def main(
    *,
    name: Annotated[str, Option("name of the toy in unfolding.toys")],
    events: Annotated[Path, Output("table of events, Parquet")],
    settings: Given,
) -> None:
    """Draw the events, write the table."""
    chosen: SimulationToySettings | DataToySettings | BackgroundToySettings = TypeAdapter(
        ToySettings
    ).validate_python(settings[f"unfolding.toys.{name}"])
    about = {"sample": name, "toy": name, "kind": chosen.kind, "known": known(chosen)}
    event_table.write(events, drawn(chosen, settings.seed, name), {OBSERVABLE: ""}, about)


def drawn(
    chosen: SimulationToySettings | DataToySettings | BackgroundToySettings, seed: int, name: str
) -> Simulation:
    """Draw a toy; its random numbers belong to its name."""
    chance = stream(seed, "unfolding", "toy", name)
    shape = gaussian.Normal(chosen.mean, chosen.width)
    if isinstance(chosen, BackgroundToySettings):
        return gaussian.background(chance, chosen.events, shape)
    detector = _detector(chosen.detector)
    if isinstance(chosen, SimulationToySettings):
        return gaussian.signal(chance, chosen.events, shape, detector)
    below = None
    if chosen.background is not None:
        under = chosen.background
        below = gaussian.Background(gaussian.Normal(under.mean, under.width), under.fraction)
    return gaussian.data(chance, chosen.events, shape, detector, below)


def known(
    chosen: SimulationToySettings | DataToySettings | BackgroundToySettings,
) -> dict[str, Any]:
    """Mean, width and expected number of events at particle level; of a background nothing."""
    if isinstance(chosen, BackgroundToySettings):
        return {}
    fiducial = chosen.events * (1.0 - chosen.detector.fakes)
    return {OBSERVABLE: {"mean": chosen.mean, "width": chosen.width, "events": fiducial}}


def _detector(chosen: DetectorToySettings) -> gaussian.Detector:
    return gaussian.Detector(chosen.smearing, chosen.inefficiency, chosen.fakes)
