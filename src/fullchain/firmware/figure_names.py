"""Which figures the stage draws: known to the workflow before anything is drawn.

Nothing is imported that draws, so that the rules read it quickly.
"""

from fullchain.firmware.census_figure_names import census_figure_names
from fullchain.firmware.evaluation_figure_names import evaluation_figure_names
from fullchain.firmware.hls_figure_names import hls_figure_names
from fullchain.firmware.network_figure_names import network_figure_names
from fullchain.firmware.settings import FirmwareSettings
from fullchain.firmware.trees_figure_names import trees_figure_names
from fullchain.firmware.trigger_figure_names import trigger_figure_names


def names(firmware: FirmwareSettings) -> list[str]:
    """Give the names of all figures."""
    values = firmware.model_dump(mode="json")["models"]
    networks = {name: values[name] for name in firmware.networks()}
    points = [(model, point) for model, one in values.items() for point in one["points"]]
    of_networks = [(model, point) for model, point in points if model in networks]
    return [
        *census_figure_names(),
        *network_figure_names(networks),
        *hls_figure_names([f"{model}_{point}" for model, point in of_networks]),
        *trees_figure_names(firmware.forests()),
        *evaluation_figure_names(values),
        *trigger_figure_names(firmware.trigger.signals, points),
    ]
