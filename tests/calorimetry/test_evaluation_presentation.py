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
    tabulate,
)
from fullchain.calorimetry.evaluation_figure_names import evaluation_figure_names
from fullchain.calorimetry.published_models import KIND, beside, published
from fullchain.calorimetry.shower_file import Showers
from fullchain.metrics import read_metrics, write_metrics
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
        found.append(json.loads((folder / f"{name}.json").read_text()) | {KIND: "parameterised"})
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
    assert "(set 1, photons); ours are of a parameterisation, another data set" in floor.note
    assert by_name["evaluation.flow.fpd"].published == pytest.approx(3.9e-3)
    assert by_name["evaluation.flow.separation.sparsity"].published is None
    assert "evaluation.flow.energy_10000.E_layer" in by_name


def test_tables_have_published_rows_and_say_that_data_differ(contents, tmp_path):
    found = {one.name: one for one in evaluation_numbers.tables(contents)}
    write_tables(tmp_path / "tables.json", "calorimetry", found.values())
    table = found["evaluation_separations_photons"]
    assert [row[0] for row in table.rows][:2] == ["photons, full simulation against itself", "flow"]
    assert "CaloINN (CaloChallenge)" in [row[0] for row in table.rows]
    assert "ours are of a parameterisation, another data set" in table.caption
    assert len(found["evaluation_energies_photons"].rows) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("files", "the same data set only if these are those of the challenge"),
        ("geant4", "ours are of Geant4 in a calorimeter of our own, another data set"),
        (None, "whether ours are the same is not known"),
    ],
)
def test_words_beside_published_numbers_follow_the_kind_of_the_set(contents, kind, words):
    changed = [{**one, KIND: kind} for one in contents]
    texts = [one.note for one in evaluation_numbers.metrics(changed) if one.published is not None]
    tables = evaluation_numbers.tables(changed)
    texts += [one.caption for one in tables if "CaloChallenge" in one.caption]
    texts.append(evaluation_figures.separations(changed)[1])
    assert len(texts) == 11
    for text in texts:
        assert words in text and "parameterisation" not in text, text
        assert ("another data set" in text) == (kind == "geant4")


def test_the_step_takes_kinds_from_the_sets(contents, tmp_path):
    showers = {
        "set": "photons", "kind": "files", "detector": None,
        "physics": {"groups": [], "resolution": None},
    }  # fmt: skip
    (tmp_path / "showers.json").write_text(json.dumps(showers))
    (tmp_path / "flow.json").write_text(
        json.dumps({key: value for key, value in contents[0].items() if key != KIND})
    )
    tabulate.main(
        showers=[tmp_path / "showers.json"],
        evaluation=[tmp_path / "flow.json"],
        metrics=tmp_path / "metrics.json",
        listed=tmp_path / "tables.json",
        settings=Given({"seed": 1}),
    )
    _, found = read_metrics(tmp_path / "metrics.json")
    (fpd,) = (one for one in found if one.name == "evaluation.flow.fpd")
    assert "read from files" in fpd.note


def test_electrons_stand_beside_the_entries_of_their_own_set(contents):
    shape = geometry.load("set2_electrons")
    changed = [{**one, "geometry": geometry.as_xml(shape)} for one in contents]
    found = {one.name: one for one in evaluation_numbers.metrics(changed)}
    assert found["evaluation.flow.fpd"].published == pytest.approx(0.733)
    assert "set 2, electrons" in found["evaluation.flow.fpd"].note
    assert "ATLAS" not in found["evaluation.flow.fpd"].note
    name, (model,) = published(45 * 50 * 18)
    assert (name, model.name, beside("model", 40500)) == (
        "set 3, electrons", "CaloDREAM", "CaloDREAM",
    )  # fmt: skip
    assert (model.low, model.high, model.fpd) == (0.630, 0.524, pytest.approx(20.7e-3))


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
