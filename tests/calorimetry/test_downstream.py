"""Events with each response of the calorimeter: the step, its numbers, its figures, bad input."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fullchain.calorimetry import (
    compare,
    detector,
    downstream_figures,
    downstream_numbers,
    downstream_statistics,
    geometry,
    gflash,
    learned_source,
    shower_sources,
)
from fullchain.calorimetry.detector_settings import default_detectors
from fullchain.calorimetry.downstream_events import Observed, nearest
from fullchain.calorimetry.downstream_figure_names import downstream_figure_names
from fullchain.calorimetry.downstream_settings import DownstreamSettings
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.voxel_places import voxel_places
from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors
from fullchain.ntuples import initialise
from fullchain.ntuples.clustering import Jets
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.ntuples.shower_points import points
from fullchain.step import Given

DETECTORS = default_detectors()
CRYSTAL = DETECTORS["crystal"]


class Drawn(ShowerModel):
    """A model as good as the parameterisation: it draws from it."""

    def __init__(self, name: str = "crystal", low: float = 800.0, high: float = 4e6) -> None:
        built = detector.build(DETECTORS[name])
        super().__init__(Preprocessing(built.geometry, PreprocessingSettings()))
        self.built = built
        self.preprocessing.energy_range.copy_(torch.tensor([low, high]))

    def sample(self, incident: Tensor, generator: torch.Generator) -> Tensor:
        random = np.random.default_rng(generator.initial_seed())
        energies = incident.view(-1).double().numpy()
        return torch.from_numpy(gflash.showers(energies, self.built, random, photons=True))


def given(**changes: Any) -> Given:
    window = {"pthat_min": 525.0, "pthat_max": 675.0}
    sample = {"kind": "generated", "process": "qcd", "events": 100, **window}
    ntuples = NtuplesSettings(samples={"qcd": sample}, cross_section_events=1000)
    how = DownstreamSettings(**{"events": 100, "replicas": 20, **changes})
    return Given(
        {
            "seed": 3,
            "ntuples": ntuples.model_dump(mode="json"),
            "calorimetry": {
                "detectors": {k: one.model_dump(mode="json") for k, one in DETECTORS.items()},
                "downstream": how.model_dump(mode="json"),
            },
        }
    )


@pytest.fixture(scope="module")
def initialisation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pythia")
    path = folder / "pythia.mpi"
    initialise.main(
        sample="qcd", initialisation=path, generator=folder / "generator.json", settings=given()
    )
    return path


@pytest.fixture(scope="module")
def content(initialisation: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two runs of the step, with a model as good as the parameterisation."""
    folder = tmp_path_factory.mktemp("compare")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned_source.model_file, "read", lambda path: (Drawn(), None, {}))
        for name in ("first.json", "second.json"):
            compare.main(
                initialisation=initialisation,
                models=[folder / "model.pt"],
                sample="qcd",
                numbers=folder / name,
                settings=given(models=["drawn"]),
            )
            found.append(json.loads((folder / name).read_text()))
    for one in found:
        for response in one["responses"].values():
            assert response.pop("time")["ms_per_event"][0] > 0
    assert found[0] == found[1]
    for response in found[0]["responses"].values():
        response["time"] = {"ms_per_event": [7.0, None]}
    return found[0]


def test_a_perfect_model_closes(content: dict[str, Any]) -> None:
    responses = content["responses"]
    assert list(responses) == ["resolution", "parameterised", "drawn"]
    assert responses["parameterised"]["difference"] == {}
    for what, (value, error) in responses["drawn"]["difference"].items():
        # Of twenty replicas, and of quantiles of a hundred events.
        assert abs(value) < 6 * error + 0.02 * abs(responses["drawn"]["numbers"][what][0]), what
    numbers = responses["parameterised"]["numbers"]
    assert numbers["ak8_response"][0] == pytest.approx(0.97, abs=0.03)
    assert 0.02 < numbers["ak8_resolution"][0] < 0.12
    assert numbers["ak8_matched"][0] > 0.97
    # Showers of two photons that are close are one cluster.
    photons, error = responses["resolution"]["difference"]["ak8_photons"]
    assert photons > 3 * error > 0
    assert "crystal_energy" not in responses["resolution"]["histograms"]


def test_what_became_showers_is_counted(content: dict[str, Any]) -> None:
    one, other = (content["responses"][name]["showers"] for name in ("parameterised", "drawn"))
    assert one["particles"] == other["particles"]
    assert one["particles"]["showered"] > 3000
    energy = one["energy_gev"]
    assert energy["showered"] / sum(energy.values()) > 0.9
    for species in ("electrons", "photons"):
        assert np.all(np.array(one["calibration"][species]["mean"]) > 0.9)
    assert content["responses"]["resolution"]["showers"] is None


def test_figures_metrics_and_tables(content: dict[str, Any]) -> None:
    drawn = downstream_figures.figures([content])
    assert sorted(drawn) == sorted(downstream_figure_names(DownstreamSettings()))
    for fig, caption in drawn.values():
        fig.canvas.draw()
        assert caption.endswith(".") and ("100 events" in caption)
        plt.close(fig)
    metrics = downstream_numbers.metrics([content])
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names)
    assert "downstream.qcd.drawn.ak8_response.difference" in names
    assert "downstream.qcd.parameterised.ak8_response.difference" not in names
    assert not any("time" in name for name in names)
    (table,) = downstream_numbers.tables([content])
    assert [len(row) for row in table.rows] == [len(table.columns)] * 3
    assert downstream_figure_names(None) == []
    assert downstream_figures.figures([]) == {}


def test_models_and_settings_must_agree(initialisation: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"names 1 models .a., and --models gives 0"):
        compare.main(
            initialisation=initialisation,
            models=[],
            sample="qcd",
            numbers=tmp_path / "x.json",
            settings=given(models=["a"]),
        )


def test_a_model_of_another_geometry_is_refused() -> None:
    with pytest.raises(InputError, match=r"m.pt: .*368 voxels; that of .*crystal has 5 layers"):
        learned_source.learned(Drawn("set1_photons"), "m.pt", "crystal", CRYSTAL)
    model = Drawn()
    layers = model.preprocessing.geometry.layers
    wider = tuple(
        geometry.Layer(one.identifier, (*one.edges[:-1], 2 * one.edges[-1]), one.angles)
        for one in layers
    )
    model.preprocessing.geometry = geometry.Geometry(22, "wide", wider)
    with pytest.raises(InputError, match="with other edges"):
        learned_source.learned(model, "m.pt", "crystal", CRYSTAL)


def test_a_model_gives_its_range_and_draws_from_the_stream() -> None:
    source = learned_source.learned(Drawn(), "m.pt", "crystal", CRYSTAL)
    assert (source.lowest, source.highest) == pytest.approx((0.8, 4000.0))
    first, again, other = (
        source.showers(np.array([1.0, 20.0]), True, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.sum(axis=1) == pytest.approx([1.0, 20.0], rel=0.2)


@pytest.mark.parametrize("name", ["crystal", "set1_photons"])
def test_places_of_voxels_are_those_of_the_geometry(name: str) -> None:
    own = geometry.load(DETECTORS[name].geometry)
    places = voxel_places(own)
    assert places.radii.mean(axis=1) == pytest.approx(own.radius_of_voxel)
    assert places.angles.mean(axis=1) == pytest.approx(own.angle_of_voxel, abs=1e-12)
    assert len(points(places).column) == own.voxels


def test_parameterised_showers_have_the_energy_of_the_particle() -> None:
    source = shower_sources.parameterised("crystal", CRYSTAL)
    found = source.showers(np.full(200, 50.0), True, np.random.default_rng(1))
    assert found.sum(axis=1).mean() == pytest.approx(0.98 * 50.0, rel=0.02)
    assert source.tells_electrons


def test_numbers_and_errors_are_those_of_known_events() -> None:
    random, events = np.random.default_rng(1), 2000
    factors = np.stack(list(event_factors(np.arange(events), 200, 1)))
    every = np.arange(events)
    values = random.normal(1.0, 0.1, events)
    observed = {of: Observed(every, values) for of, _ in downstream_statistics.QUANTITIES.values()}
    found = downstream_statistics.numbers(observed, factors)
    mean = downstream_statistics.pair(found["met"])
    assert mean == pytest.approx([values.mean(), 0.1 / np.sqrt(events)], rel=0.15)
    width = downstream_statistics.pair(found["ak8_resolution"])
    assert width[0] == pytest.approx(0.1, rel=0.06)
    # The error of the difference of equal events is none.
    assert downstream_statistics.pair(found["met"] - found["photons"]) == [0.0, 0.0]
    edges = np.linspace(0.7, 1.3, 7)
    bins = downstream_statistics.histogram(Observed(every, values), edges, factors)
    assert bins[0].sum() == pytest.approx(1.0)
    part = bins[0, 2]
    error = bins[1:, 2].std(ddof=1)
    assert error == pytest.approx(np.sqrt(part / events), rel=0.15)
    ratio = downstream_statistics.described(bins, bins)
    assert ratio["ratio"] == [1.0] * 6
    assert ratio["ratio_error"] == [0.0] * 6


def test_empty_bins_have_no_ratio() -> None:
    reference = np.ones((21, 3))
    reference[:, 1] = 0.0
    found = downstream_statistics.described(np.ones((21, 3)), reference)
    assert found["ratio"] == [1.0, None, 1.0]
    assert found["ratio_error"] == [0.0, None, 0.0]


def test_too_few_jets_are_named() -> None:
    few = {
        of: Observed(np.arange(2), np.ones(2))
        for of, _ in downstream_statistics.QUANTITIES.values()
    }
    with pytest.raises(InputError, match="ak8_response: 2 values"):
        downstream_statistics.numbers(few, np.ones((20, 2)))


def jets(event: list[int], eta: list[float]) -> Jets:
    ones = np.ones(len(event))
    none = np.zeros(0, dtype=np.int64)
    return Jets(np.array(event, dtype=int), ones, np.array(eta), 0.0 * ones, ones, none, none)


def test_the_nearest_jet_of_the_same_event_is_the_match() -> None:
    true = jets([0, 0, 2], [0.0, 1.0, 0.0])
    seen = jets([0, 0, 1, 2], [0.3, 0.1, 0.0, 0.5])
    assert nearest(true, seen, 0.4).tolist() == [1, -1, -1]
    assert nearest(true, jets([], []), 0.4).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    "wrong",
    [{"events": 150}, {"events": 0}, {"samples": []}, {"models": ["a", "a"]}, {"replicas": 1}],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DownstreamSettings(**wrong)
