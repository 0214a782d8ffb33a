"""Put the part manifests of a sample together."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.ntuples.manifests import merge_parts
from fullchain.step import Given, Input, Output


def main(
    *,
    parts: Annotated[list[Path], Input("part manifests of one sample, JSON")],
    generator: Annotated[list[Path], Input("cross section of a generated sample, JSON")] = [],  # noqa: B006
    manifest: Annotated[Path, Output("manifest of the sample, JSON")],
    settings: Given,
) -> None:
    """Add up events and weights of all parts, and add the generator's cross section."""
    content = merge_parts(parts)
    for path in generator:
        content["generator"] = read_generator(path)
    write_text(manifest, json.dumps(content, indent=1) + "\n")


def read_generator(path: Path) -> dict[str, object]:
    """Read what `ntuples initialise` wrote.

    Raises
    ------
    InputError
        The file is not its JSON.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: not a cross section ({problem}); remove it and rerun") from None
