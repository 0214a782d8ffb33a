"""Write the page of a point: what it is made of, what it costs, and proof that it is the same."""

from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import fixed_network
from fullchain.firmware.point_files import STAGE
from fullchain.firmware.point_page import Archive, Page, render
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    model: Annotated[str, Option("name of the model in firmware.models")],
    point: Annotated[str, Option("name of the point")],
    evaluation: Annotated[Path, Input("evaluation of the model, JSON")],
    networks: Annotated[list[Path], Input("network.json; none for trees")] = [],  # noqa: B006
    numbers: Annotated[
        list[Path],
        Input(
            "hls4ml, rtl, verilator, synthesis, netlist, placement, build, conifer, each JSON of "
            "that name where there is one"
        ),
    ] = [],  # noqa: B006
    archives: Annotated[
        list[Path], Input("projects whose checksums are given, tar.gz, and netlist")
    ] = [],  # noqa: B006
    page: Annotated[Path, Output("page of the point, HTML")],
    settings: Given,
) -> None:
    """Read what is known of a point, write its page."""
    judged = read_numbers(evaluation, STAGE)
    if judged["model"] != model or point not in judged["points"]:
        raise InputError(
            f"{evaluation}: of {judged['model']} with points {', '.join(judged['points'])}, not of "
            f"{model}, {point}"
        )
    known: dict[str, Any] = {}
    for path in numbers:
        known[path.name.removesuffix(".json")] = read_numbers(path, STAGE)
    network = fixed_network.read(networks[0])[0] if networks else None
    found = [Archive.of(path) for path in archives]
    write_text(page, render(Page(model, point, judged, known, network, tuple(found))))
