"""The part of the configuration that a rule passes to its step."""

import json
from collections.abc import Mapping
from typing import Any

from fullchain.errors import InputError


def part(values: Mapping[str, Any], *paths: str) -> dict[str, Any]:
    """Give a nested mapping that holds the values at `paths` only.

    Parameters
    ----------
    values
        The whole configuration, validated and with all defaults filled in.
    paths
        Dotted paths, for example ``"seed"``, ``"tagging.training"``.

    Raises
    ------
    InputError
        There is no such setting.

    Examples
    --------
    >>> part({"seed": 1, "jets": {"radius": 0.8, "cuts": {"pt": 500}}}, "jets.cuts")
    {'jets': {'cuts': {'pt': 500}}}
    """
    chosen: dict[str, Any] = {}
    for path in paths:
        value: Any = values
        *parents, last = path.split(".")
        target = chosen
        for word in [*parents, last]:
            if not isinstance(value, Mapping) or word not in value:
                raise InputError(f"a rule asks for the setting {path!r}, which does not exist")
            value = value[word]
        for word in parents:
            target = target.setdefault(word, {})
        target[last] = value
    return chosen


def text(values: Mapping[str, Any], *paths: str) -> str:
    """Give `part` as JSON text with sorted keys: equal settings give equal text.

    Braces inside of strings, as of formulas in labels, are written as escapes: Snakemake would take
    what they enclose for a wildcard.
    """
    written = json.dumps(_marked(part(values, *paths)), sort_keys=True)
    return written.replace(r"\ue000", r"\u007b").replace(r"\ue001", r"\u007d")


_MARKS = str.maketrans({"{": "\ue000", "}": "\ue001"})
"""Characters of no use of their own (Unicode, private use area) in the place of braces."""


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return value.translate(_MARKS)
    if isinstance(value, Mapping):
        return {key: _marked(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(entry) for entry in value]
    return value
