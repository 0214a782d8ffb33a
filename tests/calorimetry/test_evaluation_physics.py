"""Maximum, containment and resolution of generated showers, where they are known."""

import json

import numpy as np
import pytest
from scipy.special import gammainc

from fullchain.calorimetry import (
    evaluate,
    evaluation_numbers,
    evaluation_physics_figures,
    geometry,
    shower_file,
)
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.shower_file import Showers
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given

DEPTHS = np.stack([np.arange(0, 24, 2), np.arange(2, 26, 2)], axis=1).astype(float)

# Edges at 1 and 3.5 Moliere radii.
SHAPE = Geometry(22, "photon", tuple(Layer(i, (0.0, 10.0, 35.0, 80.0), 1) for i in range(12)))

MOLIERE_RADIUS = 10.0

RINGS = {"test": (0.88, 0.10, 0.02), "flow": (0.80, 0.14, 0.06)}
MAXIMUM = {"test": 6.0, "flow": 7.5}
"""[radiation lengths]"""
TERMS = {"test": (0.10, 0.01), "flow": (0.20, 0.03)}
"""Of the resolution [sqrt(GeV), 1]."""

SETTINGS = {
    "seed": 7,
    "calorimetry": {
        "evaluation": {
            "bootstraps": 10,
            "least": 50,
            "frechet": {"smallest": 200, "largest": 400},
            "coverage_size": 100,
        },
    },
}


def showers(kind, energies, seed):
    """Showers of one mean profile, whose energy and layers fluctuate."""
    random = np.random.default_rng(seed)
    alpha = 4.0
    beta = (alpha - 1.0) / MAXIMUM[kind]
    layers = np.diff(gammainc(alpha, beta * DEPTHS), axis=1)[:, 0]
    layers = random.gamma(500.0 * layers, size=(len(energies), 12))
    layers /= layers.sum(axis=1, keepdims=True)
    stochastic, constant = TERMS[kind]
    width = np.sqrt(stochastic**2 / (energies / 1000.0) + constant**2)
    total = energies * (1.0 + width * random.standard_normal(len(energies)))
    rings = random.dirichlet(2000.0 * np.array(RINGS[kind]), len(energies))
    voxels = total[:, None, None] * layers[:, :, None] * rings[:, None, :]
    return Showers(energies, np.clip(voxels.reshape(len(energies), -1), 0, None).astype("f4"))


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("physics")
    geometry.write(SHAPE, folder / "geometry.xml")
    at = np.random.default_rng(1).choice([4e3, 16e3, 64e3, 256e3], 3000)
    for seed, kind in enumerate(("test", "flow")):
        shower_file.write(folder / f"{kind}.h5", showers(kind, at, seed))
    physics = {"depths": DEPTHS.tolist(), "moliere_radius": MOLIERE_RADIUS}
    found = {}
    for name, known in (("known", physics), ("unknown", {})):
        (folder / "showers.json").write_text(json.dumps({"set": name, "physics": known}))
        evaluate.main(
            name="flow",
            generated=folder / "flow.h5",
            test=folder / "test.h5",
            geometry_xml=folder / "geometry.xml",
            showers=[folder / "showers.json"],
            left_out=[16e3],
            evaluation=folder / "flow.json",
            settings=Given(SETTINGS),
        )
        found[name] = json.loads((folder / "flow.json").read_text())
    return found


@pytest.mark.parametrize(("kind", "where"), [("test", "test"), ("flow", "generated")])
def test_known_showers_are_measured(contents, kind, where):
    physics = contents["known"]["physics"][where]
    for group in physics["groups"]:
        peak, error = group["maximum"]
        assert 0.001 < error < 0.1
        assert peak == pytest.approx(MAXIMUM[kind], abs=4 * error)
        inner, both = RINGS[kind][0], sum(RINGS[kind][:2])
        for radius, expected in (("1", inner), ("3.5", both)):
            value, error = group["contained"][radius]
            assert 0.0 < error < 0.002
            assert value == pytest.approx(expected, abs=4 * error)
    for name, expected in zip(("stochastic", "constant"), TERMS[kind], strict=True):
        value, error = physics["resolution"][name]
        assert 0.0 < error < 0.01
        assert value == pytest.approx(expected, abs=4 * error)


def simulated(metric):
    """Value that the note of a metric gives for the full simulation."""
    return float(metric.note.removeprefix("full simulation ").split()[0])


def test_metrics_and_table_say_what_the_simulation_has(contents, tmp_path):
    metrics = evaluation_numbers.metrics([contents["known"]])
    write_metrics(tmp_path / "metrics.json", "calorimetry", metrics)
    found = {one.name.removeprefix("evaluation.flow.physics."): one for one in metrics}
    peak = found["maximum"]
    assert peak.value == pytest.approx(7.5, abs=4 * peak.uncertainty) and peak.unit == "X_0"
    assert "64 GeV" in peak.label and simulated(peak) == pytest.approx(6.0, abs=0.1)
    assert found["contained.1"].value == pytest.approx(0.8, abs=0.01)
    assert simulated(found["contained.1"]) == pytest.approx(0.88, abs=0.01)
    assert found["stochastic"].value == pytest.approx(20, abs=1.5)
    assert simulated(found["stochastic"]) == pytest.approx(10, abs=1)
    assert "degrees of freedom" in found["constant"].note
    tables = {one.name: one for one in evaluation_numbers.tables([contents["known"]])}
    write_tables(tmp_path / "tables.json", "calorimetry", tables.values())
    table = tables["evaluation_physics_known"]
    assert [row[0] for row in table.rows] == ["full simulation", "flow"]
    place = next(i for i, title in enumerate(table.columns) if "maximum" in title)
    assert table.rows[1][place].value == peak.value
    assert table.rows[0][place].value == pytest.approx(6.0, abs=0.1)


def test_sets_without_lengths_have_resolution_alone(contents):
    names = {one.name for one in evaluation_numbers.metrics([contents["unknown"]])}
    assert "evaluation.flow.physics.constant" in names
    assert not any("maximum" in name or "contained" in name for name in names)


@pytest.mark.parametrize(("name", "panels"), [("known", 6), ("unknown", 3)])
def test_generated_showers_are_drawn_beside_the_simulation(contents, name, panels, tmp_path):
    figure, caption = evaluation_physics_figures.development([contents[name]])
    figure.savefig(tmp_path / "figure.png")
    axes = [ax for ax in figure.axes if ax.axison]
    assert len(axes) == panels and "maximum" in caption
    labels = [ax.get_ylabel() for ax in axes]
    assert any("maximum" in label for label in labels) == (name == "known")
    for ax in axes:
        assert {"flow", "full simulation"} <= set(ax.get_legend_handles_labels()[1])
    if name == "known":
        # Points of trained energies, and open ones of that left out.
        drawn = [line.get_ydata() for line in axes[0].lines if line.get_linestyle() == "None"]
        values = np.concatenate([np.atleast_1d(line) for line in drawn])
        assert len(values) >= 4 and np.abs(values - 7.5).max() < 0.3


def test_too_few_showers_of_any_energy_are_said(contents):
    nothing = {"groups": [], "resolution": None, "radii": [], "moliere_radius": None}
    content = {**contents["known"], "physics": {"generated": nothing, "test": nothing}}
    figure, _ = evaluation_physics_figures.development([content])
    assert "too few" in figure.axes[0].texts[0].get_text()
    assert not any(".physics." in one.name for one in evaluation_numbers.metrics([content]))
    assert all("physics" not in one.name for one in evaluation_numbers.tables([content]))
