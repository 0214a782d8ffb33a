"""Jets inside a window of pT, eta and further columns."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fullchain.tagging.selection import described, in_window, of_measurement
from fullchain.tagging.selection_settings import SelectionSettings

MASS = {"msoftdrop": (50.0, 300.0)}


def columns(**changes: Any) -> dict[str, Any]:
    found = {
        "variation": np.array(["nominal"] * 5 + ["jes_up"]),
        "pt": np.full(6, 600.0),
        "eta": np.zeros(6),
        "msoftdrop": np.array([49.9, 50.0, 299.9, 300.0, np.nan, 100.0]),
    }
    return found | changes


def test_ranges_include_the_lower_edge_and_no_missing_number() -> None:
    chosen = SelectionSettings(ranges=MASS)
    assert in_window(columns(), chosen).tolist() == [False, True, True, False, False, False]
    assert in_window(columns(), SelectionSettings()).tolist() == [True] * 5 + [False]
    with pytest.raises(ValidationError, match=r"ranges\.msoftdrop: 300 must be below 50"):
        SelectionSettings(ranges={"msoftdrop": (300.0, 50.0)})
    assert described(chosen) == "pT 500-700 GeV and |eta| < 2, msoftdrop 50-300"


def test_the_window_of_a_measurement_keeps_the_ranges_of_training() -> None:
    own = SelectionSettings(ranges=MASS)
    common = SelectionSettings(pt_min=550.0, pt_max=650.0)
    assert of_measurement(None, own) == own
    found = of_measurement(common, own)
    assert (found.pt_min, found.pt_max, found.ranges) == (550.0, 650.0, MASS)
    narrow = SelectionSettings(ranges={"msoftdrop": (60.0, 100.0)})
    assert of_measurement(narrow, own) == narrow
