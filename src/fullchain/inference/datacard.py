"""Write the statistical model as a datacard of Combine with shapes."""

from pathlib import Path
from typing import Annotated

import pyhf

from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.inference.combine_writer import write_card
from fullchain.inference.likelihood import load_model
from fullchain.inference.template_file import read_json
from fullchain.root_files import recreate
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace")],
    report: Annotated[Path, Input("what was written beside the workspace: edges and groups")],
    datacard: Annotated[Path, Output("datacard of Combine")],
    shapes: Annotated[Path, Output("ROOT file of its histograms, in the same folder")],
    patchset: Annotated[Path | None, Input("patchset, for a hypothesis")] = None,
    hypothesis: Annotated[str, Option("name of the patch to apply; empty: none")] = "",
    settings: Given,
) -> None:
    """Translate modifiers to lines of the datacard; what has no counterpart is an error."""
    specification, about = read_json(workspace), read_json(report)
    load_model(specification)
    if hypothesis:
        if patchset is None:
            raise InputError(f"--hypothesis {hypothesis} needs --patchset")
        patches = pyhf.PatchSet(read_json(patchset))
        if hypothesis not in [one.name for one in patches]:
            known = ", ".join(one.name for one in patches)
            raise InputError(f"{patchset}: there is no patch {hypothesis!r}; there are {known}")
        specification = patches.apply(pyhf.Workspace(specification), hypothesis)
    if datacard.parent.resolve() != shapes.parent.resolve():
        raise InputError(f"{shapes}: it must lie beside {datacard}, which names it")
    text, histograms = write_card(
        specification, about["edges"], shapes.name, about.get("groups", {})
    )
    with atomic(shapes) as temporary, recreate(temporary) as root:
        for path, histogram in histograms.items():
            root[path] = histogram
    write_text(datacard, text)
