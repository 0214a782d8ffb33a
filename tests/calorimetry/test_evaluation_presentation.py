import json

import numpy as np
import pytest

from fullchain.calorimetry import (
    evaluate,
    evaluation_figures,
    evaluation_numbers,
    geometry,
    gflash,
    shower_file,
)
from fullchain.calorimetry.evaluation_figure_names import evaluation_figure_names
from fullchain.calorimetry.shower_file import Showers
from fullchain.metrics import write_metrics
from fullchain.plotting import FigureSet
from fullchain.stage_tables import write_tables
from fullchain.step import Given

SETTINGS = {
    "seed": 7,
    "calorimetry": {"evaluation": {"bootstraps": 10, "frechet": {"smallest": 300, "largest": 600}}},
}


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presentation")
    shape = geometry.load("set1_photons")
    geometry.write(shape, folder / "geometry.xml")
    depths = ((0, 1.5), (1.5, 6), (6, 20), (20, 23), (23, 40))
    detector = gflash.Detector(shape, gflash.Medium(74, 7.4, 30.0), depths, 1.0)
    random = np.random.default_rng(1)
    at = random.choice([1e3, 1e4, 1e5], 600)
    for name in ("test", "flow", "reference"):
        voxels = gflash.showers(at, detector, random, photons=True)
        shower_file.write(folder / f"{name}.h5", Showers(at, voxels))
    found = []
    for name in ("flow", "reference"):
        evaluate.main(
            name=name,
            showers_set="photons",
            generated=folder / f"{name}.h5",
            test=folder / "test.h5",
            geometry_xml=folder / "geometry.xml",
            threshold=1.0,
            left_out=[1e4] if name == "flow" else [],
            role="model" if name == "flow" else "reference",
            evaluation=folder / f"{name}.json",
            settings=Given(SETTINGS),
        )
        found.append(json.loads((folder / f"{name}.json").read_text()))
    return found


def test_names_are_those_of_the_figures(contents, tmp_path):
    drawn = evaluation_figures.figures(contents)
    assert list(drawn) == evaluation_figure_names(["photons"])
    figures = FigureSet(tmp_path / "figures.json", "calorimetry")
    for name, (fig, caption) in list(drawn.items())[1:2]:
        figures.save(fig, name, caption.split(":")[0], caption)
    assert (tmp_path / "evaluation_energies_photons.png").stat().st_size > 10_000


def test_reference_alone_can_be_drawn(contents):
    assert list(evaluation_figures.figures(contents[1:])) == evaluation_figure_names(["photons"])


def test_metrics_have_names_of_their_own_and_published_ones_a_source(contents, tmp_path):
    found = evaluation_numbers.metrics(contents)
    write_metrics(tmp_path / "metrics.json", "calorimetry", found)
    by_name = {one.name: one for one in found}
    floor = by_name["evaluation.photons.reference.separation.E_tot"]
    assert floor.published == pytest.approx(0.4e-3) and "CaloChallenge" in floor.source
    assert "another data set" in floor.note
    assert by_name["evaluation.flow.fpd"].published == pytest.approx(3.9e-3)
    assert by_name["evaluation.flow.separation.sparsity"].published is None
    assert "evaluation.flow.energy_10000.E_layer" in by_name


def test_tables_have_published_rows_and_say_that_data_differ(contents, tmp_path):
    found = {one.name: one for one in evaluation_numbers.tables(contents)}
    write_tables(tmp_path / "tables.json", "calorimetry", found.values())
    table = found["evaluation_separations_photons"]
    assert [row[0] for row in table.rows][:2] == ["photons, full simulation against itself", "flow"]
    assert "CaloINN (CaloChallenge)" in [row[0] for row in table.rows]
    assert "it differs from ours" in table.caption
    assert len(found["evaluation_energies_photons"].rows) == 1


def test_other_geometries_have_nothing_published(contents):
    other = geometry.parse(
        '<Bins><Bin pid="11" name="electron"><Layer id="0" r_edges="0,5" n_bin_alpha="1"/>'
        "</Bin></Bins>",
        "other",
    )
    changed = [{**one, "geometry": geometry.as_xml(other)} for one in contents]
    assert all(one.published is None for one in evaluation_numbers.metrics(changed))
    for table in evaluation_numbers.tables(changed):
        assert "CaloChallenge" not in table.caption
