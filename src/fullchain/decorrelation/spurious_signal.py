"""The signal that a mass fit finds where there is none, and whether its order can be believed.

Functions on what `signal_strength.measure` gives of a working point, without its libraries.
"""

import math
from collections.abc import Mapping
from typing import Any

Numbers = Mapping[str, Any]


def quoted(entry: Numbers) -> dict[str, Any]:
    """Give the fits of the quoted order, of a working point that has fits."""
    return dict(entry["orders"][entry["order"]])


EXPECTED = {"mu": "bias", "pull": "pull"}
"""What the fit to the expected background calls that of which toys give the mean."""


def found_by_toys(row: Numbers, quantity: str) -> dict[str, float] | None:
    """Give the mean `mu` or `pull` of background-only toys of one order; None without toys.

    `deviation` is in quadrature the error of that mean, `of_toys`, and the bootstrap over events,
    `of_events`: toys are drawn around one expected background, which is known as well as the
    simulated jets tell.
    """
    mean = row["toys"][quantity]
    if mean is None:
        return None
    of_toys, of_events = mean["deviation"], row[EXPECTED[quantity]]["deviation"]
    return {
        "value": mean["value"],
        "deviation": math.hypot(of_toys, of_events),
        "of_toys": of_toys,
        "of_events": of_events,
    }


def complaint(entry: Numbers) -> str | None:
    """Say by how much the quoted order misses the expected background; None where it does not.

    Such a transfer factor leaves a signal that the quoted uncertainty does not contain.
    """
    if entry["orders"] is None or quoted(entry)["describes"]:
        return None
    row = quoted(entry)
    misfit, bias = row["misfit"], row["bias"]
    return (
        f"a transfer factor of order {row['order']} does not describe the expected background "
        f"(twice the logarithm of the likelihood is {misfit['value']:.3g} ± "
        f"{misfit['deviation']:.2g} off, p = {row['misfit_probability']:.2g}) and fakes a "
        f"signal of {bias['value']:.3g} ± {bias['deviation']:.2g}"
    )
