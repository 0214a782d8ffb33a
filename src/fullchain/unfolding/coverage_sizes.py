"""Sizes of the pseudo-experiments behind a coverage, in words."""

from collections.abc import Mapping, Sequence
from typing import Any


def in_words(covered: Sequence[Mapping[str, Any]]) -> str:
    """Sizes of each method, or once where they are those of all.

    Parameters
    ----------
    covered
        Content of coverage.json of each method.
    """
    methods: dict[str, list[str]] = {}
    for one in covered:
        methods.setdefault(_sizes(one["settings"]), []).append(one["method"])
    if len(methods) == 1:
        return next(iter(methods))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in methods.items())


def _sizes(how: Mapping[str, Any]) -> str:
    few = how["bootstrapped"]
    of = "each" if few is None or few >= how["experiments"] else f"the first {few}, for all"
    return (
        f"{how['experiments']} with {how['simulation']['events']} simulated and "
        f"{how['data']['events']} expected signal events, {how['replicas']} replicas each of data "
        f"and simulation of {of}"
    )
