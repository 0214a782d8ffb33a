"""Super-resolution: images, the flow, conservation, two photons, the step."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError

from fullchain.calorimetry import cell_flow, refine, refinement_file
from fullchain.calorimetry.cell_flow import CellFlow, divided, joined, order, parts_of, ratios_of
from fullchain.calorimetry.photon_images import PION_MASS, coarse_of, drawn, photon_images
from fullchain.calorimetry.photon_separation import judged, resolved, second_maximum
from fullchain.calorimetry.refinement_closure import closure, width
from fullchain.calorimetry.refinement_figure_names import refinement_figure_names
from fullchain.calorimetry.refinement_figures import figures
from fullchain.calorimetry.refinement_numbers import metrics, tables
from fullchain.calorimetry.refinement_settings import (
    CellFlowSettings,
    FineLayerSettings,
    PhotonsSettings,
    RefinementSettings,
)
from fullchain.errors import InputError
from fullchain.learning import training
from fullchain.learning.device import repeatable
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

LAYER = FineLayerSettings()

SMALL = {
    "photons": {"training": 150, "classified": 200, "test": 300},
    "flow": {"blocks": 2, "layers": [16], "training": {"epochs": 2, "learning_rate": 5e-3}},
    "classifier": {"channels": 8, "dense": 16, "training": {"epochs": 2}},
    "bins": 3,
    "replicas": 10,
}


def run(folder, seed=3):
    folder.mkdir(exist_ok=True)
    chosen = RefinementSettings.model_validate(SMALL).model_dump(mode="json")
    refine.main(
        refinement="pi0",
        model=folder / "pi0.pt",
        numbers=folder / "pi0.json",
        settings=Given({"seed": seed, "calorimetry": {"refinement": {"pi0": chosen}}}),
    )
    return json.loads((folder / "pi0.json").read_text())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refinement")
    return folder, run(folder)


def test_step_gives_the_same_numbers_again(small, tmp_path):
    folder, content = small
    assert run(tmp_path) == content
    assert (tmp_path / "pi0.json").read_bytes() == (folder / "pi0.json").read_bytes()


def test_energy_of_coarse_cells_is_conserved_and_no_cell_is_below_the_threshold(small):
    folder, content = small
    assert content["conservation"] < 1e-5
    flow = refinement_file.read(folder / "pi0.pt")
    images = drawn(50, LAYER, PhotonsSettings(), np.random.default_rng(8))
    coarse = coarse_of(images.fine, LAYER.factor)
    with repeatable(1):
        fine = flow.refine(torch.from_numpy(coarse), torch.Generator().manual_seed(1)).numpy()
    assert coarse_of(fine, LAYER.factor) == pytest.approx(coarse, rel=1e-5)
    assert (coarse_of(fine, LAYER.factor)[coarse == 0] == 0).all()
    assert not ((fine > 0) & (fine < LAYER.threshold * (1 - 1e-4))).any()


def test_figures_metrics_and_tables_are_made_of_the_numbers(small, tmp_path):
    _, content = small
    drawn_figures = figures([content])
    assert sorted(drawn_figures) == sorted(refinement_figure_names({"pi0": None}))
    for figure, caption in drawn_figures.values():
        assert caption.endswith(".") and ":" in caption
        plt.close(figure)
    separation, _ = drawn_figures["refinement_separation_pi0"]
    assert [len(ax.containers) for ax in separation.axes] == [4, 3]
    found = metrics([content])
    write_metrics(tmp_path / "metrics.json", "calorimetry", found)
    by_name = {metric.name: metric for metric in found}
    fine, coarse = (by_name[f"refinement.pi0.maxima.{view}.auc"] for view in ("fine", "coarse"))
    gain = by_name["refinement.pi0.maxima.fine.gain"]
    assert gain.value == pytest.approx(fine.value - coarse.value)
    assert gain.uncertainty > 0
    write_tables(tmp_path / "tables.json", "calorimetry", tables([content]))


def test_fine_images_resolve_what_coarse_ones_do_not():
    """Photons 1.1 coarse cells apart, against single photons of the same energies."""
    angle = 1e3 * math.atan(1.1 * LAYER.cell * LAYER.factor / LAYER.distance)
    photons = PhotonsSettings(angles=(angle * 0.999, angle * 1.001), asymmetry=0.3)
    images = drawn(1000, LAYER, photons, np.random.default_rng(3))
    twice, bins = images.photons == 2, np.zeros(len(images), dtype=int)
    part = {
        name: float(resolved(score, twice, bins, 1, 0.9, np.ones(len(images)))[0])
        for name, score in (
            ("fine", second_maximum(images.fine, 3)),
            ("coarse", second_maximum(coarse_of(images.fine, LAYER.factor))),
        )
    }
    assert part["fine"] > 0.9
    assert part["coarse"] < 0.5


def test_flow_of_cells_without_structure_gives_none():
    """Each coarse cell shared evenly but for small noise: no direction, no second maximum."""
    random = np.random.default_rng(5)
    layer = FineLayerSettings(coarse=4, factor=2)
    settings = CellFlowSettings.model_validate(
        {"reach": 0, "blocks": 2, "layers": [16], "training": {"epochs": 6, "learning_rate": 5e-3}}
    )
    coarse = random.uniform(500.0, 1500.0, (600, 4, 4))
    fine = np.repeat(np.repeat(coarse / 4, 2, axis=1), 2, axis=2)
    fine = torch.from_numpy(fine * random.normal(1.0, 0.05, fine.shape)).float()
    rows = cell_flow.rows(fine, layer, settings, torch.Generator().manual_seed(1))
    flow = training.initialised(1, lambda: CellFlow(layer, settings))
    flow.measure(rows)
    parts = (
        {name: one[some] for name, one in rows.items()} for some in (slice(900, None), slice(900))
    )
    training.train(flow, cell_flow.objective, *parts, settings.training, seed=2)
    with repeatable(1):
        found = flow.refine(
            torch.from_numpy(coarse_of(fine.numpy(), 2)), torch.Generator().manual_seed(3)
        )
    shares = divided(found, 2)
    shares = shares / shares.sum(dim=2, keepdim=True)
    assert shares.mean(dim=(0, 1)).numpy() == pytest.approx(np.full(4, 0.25), abs=0.003)
    assert float(shares.std()) == pytest.approx(0.25 * 0.05 * math.sqrt(0.75), rel=0.15)


@given(st.sampled_from([2, 4, 8]), st.integers(0, 1000))
def test_dividing_and_joining_cells_are_inverse(factor, seed):
    fine = torch.rand(2, 3 * factor, 3 * factor, generator=torch.Generator().manual_seed(seed))
    cells = divided(fine, factor)
    assert (joined(cells, 3, factor) == fine).all()
    sums = torch.from_numpy(coarse_of(fine.numpy(), factor)).flatten(1)
    assert torch.allclose(cells.sum(dim=2), sums, rtol=1e-5)
    assert sorted(order(factor).tolist()) == list(range(factor**2))


@given(arrays.arrays(np.float64, (3, 16), elements=st.floats(1e-3, 1e4)))
def test_ratios_and_parts_are_inverse(cells):
    energies = torch.from_numpy(cells)
    parts = parts_of(ratios_of(energies))
    assert torch.allclose(parts, energies / energies.sum(dim=1, keepdim=True), rtol=1e-6)
    assert torch.allclose(parts.sum(dim=1), torch.ones(3, dtype=torch.float64))


@given(arrays.arrays(np.float32, (2, 15), elements=st.floats(-50, 50, width=32)))
def test_any_ratios_are_parts_of_one(ratios):
    parts = parts_of(torch.from_numpy(ratios))
    assert (parts >= 0).all()
    assert torch.allclose(parts.sum(dim=1), torch.ones(2), rtol=1e-5)


def test_conditions_hold_neighbours_and_nothing_beyond_the_edge():
    coarse = torch.arange(16.0).view(1, 4, 4)
    found = cell_flow.conditions_of(coarse, 1).expm1()
    assert found.shape == (1, 16, 10)
    assert found[0, 5, :9].tolist() == pytest.approx([0, 1, 2, 4, 5, 6, 8, 9, 10], abs=1e-4)
    assert found[0, 0, :9].tolist() == pytest.approx([0, 0, 0, 0, 0, 1, 0, 4, 5], abs=1e-4)
    assert found[0, :, 9].numpy() == pytest.approx(np.full(16, 120.0), rel=1e-4)


def test_decays_have_the_mass_of_the_pi0_and_single_photons_its_energies():
    photons = PhotonsSettings(angles=(10.0, 30.0), asymmetry=0.5)
    images = drawn(2000, LAYER, photons, np.random.default_rng(1))
    least = PION_MASS / np.sin(5e-4 * images.angle)
    assert (images.energy >= least * (1 - 1e-9)).all()
    assert (images.energy <= least / math.sqrt(1 - 0.5**2) * (1 + 1e-9)).all()
    single, pair = (images.energy[images.photons == number] for number in (1, 2))
    assert np.median(single) == pytest.approx(np.median(pair), rel=0.06)


def test_a_photon_falls_where_it_points_and_is_narrow():
    side = LAYER.coarse * LAYER.factor
    places = np.tile([[2.5 * LAYER.cell, -1.5 * LAYER.cell]], (300, 1))
    mean = photon_images(np.full(300, 2e4), places, LAYER, np.random.default_rng(2)).mean(axis=0)
    line, column = np.unravel_index(mean.argmax(), mean.shape)
    assert (column, line) == (side // 2 + 2, side // 2 - 2)
    # 90 % of the energy lies within one Moliere radius, of depths near the maximum more.
    distance = LAYER.cell * (np.arange(side) - side / 2 + 0.5)
    square = (distance[None] - places[0, 0]) ** 2 + (distance[:, None] - places[0, 1]) ** 2
    inside = mean[square < LAYER.moliere_radius**2].sum() / mean.sum()
    assert 0.85 < inside < 0.97


def test_second_maximum_counts_separate_peaks_only():
    images = np.zeros((3, 6, 6))
    images[0, 1, 1], images[0, 1, 4] = 10.0, 6.0
    images[1, 1, 1], images[1, 1, 2] = 10.0, 6.0
    assert second_maximum(images).tolist() == pytest.approx([0.6, 0.0, 0.0])


def test_resolved_part_of_scores_without_information_is_that_of_chance():
    random = np.random.default_rng(1)
    number = 40_000
    twice, angle = random.random(number) < 0.5, random.uniform(0, 3, number)
    blind, exact = random.normal(size=number), twice + 0.1 * random.random(number)
    edges = np.linspace(0, 3, 4)
    found = judged({"coarse": blind, "fine": exact}, twice, angle, edges, 0.9, 20, 1, "coarse")
    for value, error in found["coarse"]["resolved"]:
        assert abs(value - 0.1) < 5 * error
        assert error == pytest.approx(math.sqrt(2 * 0.09 / (number / 6)), rel=0.6)
    assert [value for value, _ in found["fine"]["resolved"]] == [1.0, 1.0, 1.0]
    assert found["coarse"]["area"][0] == pytest.approx(0.5, abs=0.02)
    assert found["fine"]["difference"][0] == pytest.approx(0.5, abs=0.02)


def test_a_bin_without_pi0s_has_no_value():
    twice = np.arange(40) % 4 == 0
    angle = np.where(twice, 0.5, np.where(np.arange(40) % 2 == 0, 0.6, 1.5))
    found = judged(
        {"coarse": np.arange(40.0)}, twice, angle, np.array([0.0, 1.0, 2.0]), 0.5, 10, 1, "coarse"
    )["coarse"]["resolved"]
    assert 0 < found[0][0] < 1
    assert found[1] == [None, None]


def test_closure_of_equal_and_of_different_images():
    random = np.random.default_rng(4)
    one, two = (random.exponential(20.0, (400, 8, 8)).astype(np.float32) for _ in range(2))
    wide = random.exponential(40.0, (400, 8, 8)).astype(np.float32)
    found = closure({"fine": one, "floor": two, "refined": wide}, 5.0, 1.0, 20, 1)
    floor, other = (found["cell"]["of"][name]["separation"] for name in ("floor", "refined"))
    assert floor[0] < 0.005
    assert other[0] > floor[0] + 5 * other[1]


def test_width_of_two_points():
    images = np.zeros((1, 8, 8))
    images[0, 2, 2] = images[0, 2, 6] = 3.0
    assert width(images, 5.0) == pytest.approx(10.0 / math.sqrt(2))


@pytest.mark.parametrize(
    ("coarse", "message"),
    [
        (torch.ones(2, 4, 4), r"shape \(2, 4, 4\), the flow refines layers of 8 x 8"),
        (-torch.ones(2, 8, 8), "negative or not finite"),
        (torch.full((2, 8, 8), torch.nan), "negative or not finite"),
    ],
)
def test_coarse_images_that_cannot_be_refined(coarse, message):
    flow = CellFlow(LAYER, CellFlowSettings(blocks=1, layers=(4,)))
    with pytest.raises(InputError, match=message):
        flow.refine(coarse, torch.Generator())


def test_bad_images_and_files(tmp_path):
    with pytest.raises(InputError, match="cannot be divided in blocks of 4 x 4"):
        coarse_of(np.ones((1, 10, 10)), 4)
    with pytest.raises(InputError, match="negative or not finite"):
        coarse_of(-np.ones((1, 8, 8)), 4)
    with pytest.raises(InputError, match="energies must be positive"):
        photon_images(np.array([math.nan]), np.zeros((1, 2)), LAYER, np.random.default_rng(1))
    with pytest.raises(InputError, match=r"lower photons\.angles"):
        drawn(40, LAYER, PhotonsSettings(angles=(150.0, 200.0)), np.random.default_rng(1))
    with pytest.raises(InputError, match="no coarse cell has energy"):
        cell_flow.rows(torch.zeros(1, 32, 32), LAYER, CellFlowSettings(), torch.Generator())
    with pytest.raises(InputError, match="run `calorimetry refine` first"):
        refinement_file.read(tmp_path / "none.pt")
    (tmp_path / "other.pt").write_text("x")
    with pytest.raises(InputError, match="not a flow of super-resolution"):
        refinement_file.read(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"layer": {"factor": 3}}, "not a power of two"),
        ({"layer": {"begin": 9.0, "end": 5.0}}, "is not behind begin"),
        ({"photons": {"angles": [30, 10]}}, "do not rise"),
    ],
)
def test_impossible_settings(chosen, message):
    with pytest.raises(ValidationError, match=message):
        RefinementSettings.model_validate(chosen)
