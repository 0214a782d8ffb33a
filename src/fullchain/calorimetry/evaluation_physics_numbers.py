"""Physics of generated showers beside that of the full simulation: metrics and a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry.shower_physics_numbers import Quantity, fit_words, quantities
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]


def metrics(content: Content, key: str, words: str) -> Iterator[Metric]:
    """Give the metrics of what is judged.

    Parameters
    ----------
    content
        As `calorimetry evaluate` saves it.
    key
        Beginning of the names.
    words
        What is judged.
    """
    physics = content["physics"]
    simulated = {one.name: one for one in quantities(physics["test"])}
    for own in quantities(physics["generated"]):
        note = "not known of the full simulation"
        if own.name in simulated:
            other = simulated[own.name]
            note = f"full simulation {other.value:.4g} +- {other.error:.2g}"
        if own.name in ("stochastic", "constant"):
            note += f"; {fit_words(physics['generated'])}"
        yield Metric(
            f"{key}.physics.{own.name}", own.value, own.error, own.kind, f"{words}: {own.words}",
            own.unit, note=note,
        )  # fmt: skip


def table(name: str, contents: Sequence[Content], words: Sequence[str]) -> Table | None:
    """Give the table of a set, or None where no energy has enough showers.

    Parameters
    ----------
    name
        Of the set.
    words
        What is judged in each of `contents`.
    """
    simulated = list(quantities(contents[0]["physics"]["test"]))
    if not simulated:
        return None
    rows: list[list[Cell]] = [_row("full simulation", simulated, simulated)]
    for one, text in zip(contents, words, strict=True):
        rows.append(_row(text, list(quantities(one["physics"]["generated"])), simulated))
    return Table(
        f"evaluation_physics_{name}",
        f"Physics of generated and simulated showers, {name}",
        "Terms of a fit of the squared resolution by a^2/E + b^2, linearity, and where depths and "
        "the Moliere radius are known the depth of the maximum of the mean profile and the parts "
        "of the measured energy within radii, at the energy nearest to 100 GeV; "
        f"{contents[-1]['showers'][1]} test showers. Errors are statistical.",
        ["showers", *(_heading(one) for one in simulated)],
        rows,
        [place for place, one in enumerate(contents, 1) if one["role"] != "reference"],
    )


def _heading(one: Quantity) -> str:
    return f"{one.words} [{one.unit}]" if one.unit else one.words


def _row(text: str, found: Sequence[Quantity], columns: Sequence[Quantity]) -> list[Cell]:
    by_name = {one.name: Number(one.value, one.error) for one in found}
    return [text, *(by_name.get(one.name) for one in columns)]
