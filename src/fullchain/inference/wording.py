"""How figures, tables and records name things, and which of them they show first."""

from typing import Any

from fullchain.inference.collected import ASIMOV, Collected, Numbers

OBSERVABLES = {
    "msoftdrop": "soft-drop mass",
    "mass": "jet mass",
    "pt": "jet $p_T$",
    "score": "score",
    "dijet_mass": "dijet mass",
    "mjj": "dijet mass",
}
"""How axis titles call an observable."""


def spoken(name: str) -> str:
    """Name of a parameter or group, as it stands in a figure."""
    return name.replace("_", " ")


def observable(one: Collected, region: str) -> tuple[str, str]:
    """Name and unit of what is histogrammed in a region; the unit is empty for a pure number."""
    known = one.fit["observable"]
    found = known.get(region, known)
    name, unit = str(found.get("name", "bin")), str(found.get("unit") or "")
    return OBSERVABLES.get(name, spoken(name)), "" if unit == "1" else unit


def data_label(one: Collected, dataset: str = "") -> str:
    """What a data set is called."""
    if (dataset or one.dataset) == ASIMOV:
        return "Asimov data"
    kinds = {"asimov": "Asimov data", "pseudo": "pseudo-data"}
    return kinds.get(str(one.fit.get("data_kind")), "data")


def energy(one: Collected, phrase: str) -> str:
    """The energy of the collisions in a phrase; nothing for a workspace from elsewhere."""
    return "" if one.fit.get("data_kind") == "workspace" else phrase.format("13.6 TeV")


def sentence(one: Collected) -> str:
    """What every caption ends with: analysis, luminosity, kind of data."""
    parts = [f"Analysis {spoken(one.name)}"]
    if one.fit.get("luminosity") is not None:
        parts.append(f"{one.fit['luminosity']:g}/fb{energy(one, ' at {}')}")
    if one.blind:
        parts.append("blind, the expectation (Asimov data) takes the place of the data")
    else:
        words = {
            "asimov": "the data are the expectation itself (Asimov data)",
            "pseudo": "the data are drawn from the model (pseudo-data)",
        }
        parts.append(words.get(str(one.fit.get("data_kind")), "recorded data"))
    return ", ".join(parts) + "."


def both(found: Any) -> tuple[float | None, float | None]:
    """Up and down of an impact: of a mapping, or of a number that is the size of both."""
    if found is None:
        return None, None
    if isinstance(found, int | float):
        return float(found), -float(found)
    return found.get("up"), found.get("down")


def size(found: Any) -> float | None:
    """Mean size of an impact up and down; None where neither is known."""
    known = [abs(side) for side in both(found) if side is not None]
    return sum(known) / len(known) if known else None


def impact_size(row: Numbers) -> float:
    """By which parameters are ranked: the larger side by refit, or else by covariance."""
    for kind in ("refit", "covariance"):
        known = [abs(side) for side in both(row.get(kind)) if side is not None]
        if known:
            return max(known)
    return 0.0


def ranked(impacts: Numbers, most: int) -> list[Numbers]:
    """Rows of the parameters with the largest impacts, the largest first."""
    rows = sorted(impacts["parameters"], key=lambda row: -impact_size(row))
    return rows[:most]


def by_mass(limits: Numbers) -> list[Numbers]:
    """Hypotheses in the order of their masses; as they stand where one has no mass."""
    rows = list(limits["hypotheses"])
    if any(row.get("mass") is None for row in rows):
        return rows
    return sorted(rows, key=lambda row: row["mass"])


def hypothesis(row: Numbers) -> str:
    """What a hypothesis is called: its mass where it has one."""
    if row.get("mass") is None:
        return spoken(str(row["name"]))
    return f"mass {row['mass']:g} GeV"
