"""Make the test vectors of a network: jets of the test part, random and extreme inputs."""

from pathlib import Path
from typing import Annotated

from fullchain.firmware import fixed_network, stimuli
from fullchain.firmware.jet_vectors import jet_vectors
from fullchain.firmware.stimuli_settings import StimuliSettings
from fullchain.firmware.trigger_jets import labelled
from fullchain.learning.parts_settings import PartsSettings
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    network: Annotated[Path, Input("fixed-point network, JSON")],
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    model: Annotated[str, Option("name of the model in firmware.models")],
    vectors: Annotated[Path, Output("inputs and expected outputs, HDF5")],
    settings: Given,
) -> None:
    """Read network and jets, write vectors and what the network makes of them."""
    chosen = settings.model("firmware.stimuli", StimuliSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    fixed, _ = fixed_network.read(network)
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    generator = stream(settings.seed, "firmware", model, "stimuli")
    stimuli.write(
        vectors,
        jet_vectors(fixed.inputs, fixed.candidates, fixed.evaluate, everything, chosen, generator),
    )
