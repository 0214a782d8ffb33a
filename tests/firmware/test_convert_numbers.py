"""Ranges, metrics, tables and figures of the conversion."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullchain.firmware import hls_figures, hls_numbers, value_ranges
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.hls_figure_names import hls_figure_names
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables


def test_a_profile_leaves_zeros_out_of_magnitudes() -> None:
    found = value_ranges.profile(np.array([[0.0, -4.0], [0.0, 1.0], [2.0, 0.5]]))
    assert (found["values"], found["zeros"]) == (6, 2)
    assert (found["lowest"], found["highest"]) == (-4.0, 2.0)
    assert found["magnitudes"][0] == 0.5 and found["magnitudes"][-1] == 4.0
    assert found["magnitudes"][3] == 1.5  # the median of 0.5, 1, 2, 4
    assert value_ranges.profile(np.zeros(3))["magnitudes"] is None


def test_spans_leave_pruned_channels_out() -> None:
    numbers = Format(np.array([True, False, False]), np.array([1, 3, 0]), np.array([2, -1, 0]))
    assert value_ranges.spans([numbers]) == {
        "step": 0.25,
        "lowest": -2.0,
        "highest": 6.0,
        "bits": [2, 4],
        "channels": 3,
        "pruned": 1,
    }
    pruned = Format.uniform(2, signed=False, integer=0, fractional=0)
    assert value_ranges.spans([pruned]) is None


def content(mode: str = "exact") -> dict[str, Any]:
    span = {
        "step": 0.25,
        "lowest": 0.0,
        "highest": 3.75,
        "bits": [1, 4],
        "channels": 5,
        "pruned": 1,
    }
    magnitudes = [0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0]
    layer = {
        "name": "dense1", "kind": "dense", "hls4ml": "step1_dense1_format", "mismatches": 3,
        "largest_difference": 0.5, "largest_difference_from_float": 0.75,
        "overflows": {"format": {"jets": 7, "all": 9}}, "values": {"jets": 500, "all": 600},
        "activations": {"magnitudes": magnitudes}, "weights": {"magnitudes": None},
        "format": span, "types": {"weight": span, "result": span},
    }  # fmt: skip
    flat = layer | {"name": "flat", "kind": "flatten", "hls4ml": None, "format": None}
    flat = {key: value for key, value in flat.items() if key != "weights"}
    flat |= {"overflows": {}, "types": {}}
    return {
        "mode": mode,
        "settings": {
            "io_type": "io_stream", "strategy": "resource", "precision": {"default": "fixed<8,3>"}
        },
        "projects": {"Vitis": {"layers": [{"kind": "Input"}, {"kind": "Dense"}]},
                     "oneAPI": {"layers": []}},
        "emulations": {
            "Vitis": {
                "vectors": 120, "mismatches": 3, "first_layer_that_differs": "dense1",
                "float": {"largest_difference": 0.75, "jets_agreement": [99, 100]},
                "layers": [layer, flat],
            }
        },
    }  # fmt: skip


def test_metrics_are_counts_and_a_fraction_with_its_error(tmp_path: Path) -> None:
    found = hls_numbers.metrics({"jet.learned": content(), "jet.hand": content("by hand")})
    write_metrics(tmp_path / "metrics.json", "firmware", found)
    by_name = {one.name: one for one in found}
    wrong = by_name["hls4ml.jet.learned.vitis.mismatches"]
    assert (wrong.value, wrong.uncertainty, wrong.uncertainty_kind) == (3, 0.0, "count")
    same = by_name["hls4ml.jet.learned.vitis.float_agreement"]
    assert same.value == 0.99 and same.uncertainty == pytest.approx(0.0137, abs=2e-4)
    assert "by hand: fixed<8,3>" in str(by_name["hls4ml.jet.hand.vitis.vectors"].note)


def test_a_fraction_of_all_has_an_error() -> None:
    value, error = hls_numbers.fraction(10, 10)
    assert value == 1.0 and error == pytest.approx((11 * 1 / (12**2 * 13)) ** 0.5)


def test_tables_name_layers_and_what_is_not_emulated(tmp_path: Path) -> None:
    found = hls_numbers.tables({"jet.learned": content()})
    write_tables(tmp_path / "tables.json", "firmware", found)
    emulations, layers = found
    assert emulations.rows[0][4].value == 120 and emulations.rows[0][6] == "dense1"  # type: ignore[union-attr]
    assert emulations.rows[1][:2] == ["jet.learned", "oneAPI"]
    assert emulations.rows[1][4] == "not emulated"
    assert layers.name == "hls4ml_layers_jet_learned"
    assert layers.rows[0][:3] == ["dense1", "dense", "1 to 4"]
    assert layers.rows[1][4] is None and layers.rows[1][2] == "as before"
    assert hls_numbers.tables({}) == []


def test_figures_have_the_names_that_the_workflow_expects() -> None:
    contents = {"jet.learned": content(), "jet.hand": content("by hand")}
    found = hls_figures.figures(contents)
    assert list(found) == hls_figure_names(contents)
    fig, caption = found["hls4ml_ranges_jet_learned"]
    assert [text.get_text() for text in fig.axes[1].get_yticklabels()] == ["dense1", "flat"]
    assert fig.axes[1].get_xscale() == "log"
    assert "formats of the network" in caption
    assert "chosen by hand" in found["hls4ml_ranges_jet_hand"][1]
