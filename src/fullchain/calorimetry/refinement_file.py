"""Files of learned super-resolution."""

from pathlib import Path

from fullchain.calorimetry.cell_flow import CellFlow
from fullchain.calorimetry.refinement_settings import CellFlowSettings, FineLayerSettings
from fullchain.errors import InputError
from fullchain.learning import torch_file

FORMAT = 1


def write(path: Path, flow: CellFlow) -> None:
    """Write a flow with its layer."""
    torch_file.write(
        path,
        {
            "format": FORMAT,
            "layer": flow.layer.model_dump_json(),
            "settings": flow.settings.model_dump_json(),
            "weights": flow.state_dict(),
        },
    )


def read(path: Path) -> CellFlow:
    """Read a flow, ready to refine.

    Raises
    ------
    InputError
        There is no such file, or it is something else.
    """
    content = torch_file.read_format(
        path, FORMAT, "a flow of super-resolution", "run `calorimetry refine` first", "train again"
    )
    try:
        flow = CellFlow(
            FineLayerSettings.model_validate_json(content["layer"]),
            CellFlowSettings.model_validate_json(content["settings"]),
        )
        flow.load_state_dict(content["weights"])
    except (KeyError, ValueError, RuntimeError) as problem:
        text = str(problem).splitlines()[0]
        raise InputError(f"{path}: not a flow of super-resolution ({text})") from None
    return flow.eval()
