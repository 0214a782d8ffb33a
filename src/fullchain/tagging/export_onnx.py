"""Write a tagger as ONNX; of several trainings, the mean of their probabilities."""

from pathlib import Path
from typing import Annotated

from fullchain.step import Given, Input, Output
from fullchain.tagging.model_file import read_models
from fullchain.tagging.onnx_file import save_onnx


def main(
    *,
    models: Annotated[list[Path], Input("model.pt of each training of the tagger")],
    onnx: Annotated[Path, Output("the tagger as ONNX, preprocessing inside the graph")],
    settings: Given,
) -> None:
    """Read the models, write their mean.

    For jets that none was trained on: it is what `tagging predict` gives jets of other samples.
    A step of its own: it takes longer than a short training, and no score waits for it.
    """
    trained = read_models(models)
    save_onnx(onnx, [one.tagger for one in trained], trained[0].settings)
