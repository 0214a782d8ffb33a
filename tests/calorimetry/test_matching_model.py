"""Flow matching of showers as a whole, on small showers."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from fullchain.calorimetry import (
    bespoke,
    geometry,
    matching,
    matching_figures,
    matching_numbers,
    shower_file,
    solve,
)
from fullchain.calorimetry.bespoke_settings import BespokeSettings, BespokeSolverSettings
from fullchain.calorimetry.geometry import Geometry, Layer
from fullchain.calorimetry.matching import MatchingModel
from fullchain.calorimetry.matching_figure_names import matching_figure_names
from fullchain.calorimetry.matching_settings import MatchingSettings, SolverSettings
from fullchain.calorimetry.parts import divide
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.solver_scan import scan
from fullchain.calorimetry.solver_scan_settings import SolverScanSettings
from fullchain.errors import InputError
from fullchain.learning.training import Resumption
from fullchain.step import Given

EDGES = (0.0, 5.0, 10.0)
SMALL = Geometry(22, "small", tuple(Layer(i, EDGES, 4) for i in range(3)))

SETTINGS: dict[str, Any] = {
    "energies": {
        "width": 16,
        "heads": 2,
        "blocks": 1,
        "hidden": [24],
        "training": {"epochs": 6, "batch_size": 100, "learning_rate": 5e-3, "schedule": "cosine"},
    },
    "shower": {"network": "resnet", "width": 24, "blocks": 1, "embedding": 8},
    "training": {"epochs": 6, "batch_size": 100, "learning_rate": 5e-3, "schedule": "cosine"},
    "average": 0.9,
}


def small_showers(number: int, seed: int) -> Showers:
    """A layer takes a Beta part of what is left; voxels are Dirichlet, fewer at low energy."""
    random = np.random.default_rng(seed)
    energies = 1000.0 * 2.0 ** random.integers(0, 3, number)
    left = energies * random.normal(0.9, 0.02, number)
    layers = []
    for _ in range(2):
        layers.append(left * random.beta(4.0, 4.0, number))
        left = left - layers[-1]
    layers.append(left)
    shape = np.tile([2.0, 0.4], 4)
    voxels = [one[:, None] * random.dirichlet(shape, number) for one in layers]
    flat = np.concatenate(voxels, axis=1)
    return Showers(energies, np.where(flat > 1.0, flat, 0.0).astype(np.float32))


def settings(**changes: Any) -> MatchingSettings:
    return MatchingSettings.model_validate({**SETTINGS, **changes})


def fitted(how: MatchingSettings, resumption: Resumption | None = None) -> MatchingModel:
    training, validation = (divide(small_showers(n, s), SMALL) for n, s in ((1500, 1), (300, 2)))
    preprocessing = Preprocessing(SMALL, how.preprocessing)
    preprocessing.measure(training, torch.Generator().manual_seed(1))
    model, history = matching.fit(how, preprocessing, training, validation, 5, resumption)
    assert set(history) == {"energies", "shower"}
    json.dumps(history, allow_nan=False)
    return model


@pytest.fixture(scope="module")
def model() -> MatchingModel:
    return fitted(settings())


def drawn(model: ShowerModel, number: int = 2000) -> tuple[Showers, Showers]:
    test = small_showers(number, 3)
    incident = torch.from_numpy(test.energies).float().view(-1, 1)
    found = model.sample(incident, torch.Generator().manual_seed(4))
    return test, Showers(test.energies, found.numpy())


def test_draws_what_it_learned(model: MatchingModel) -> None:
    test, found = drawn(model)
    assert found.voxels.min() >= 0 and found.voxels[found.voxels > 0].min() > 0.999
    layers, generated = (SMALL.layer_energies(one.voxels) for one in (test, found))
    response, made = (one.sum(axis=1) / test.energies for one in (layers, generated))
    assert made.mean() == pytest.approx(response.mean(), rel=0.003)
    assert made.std() == pytest.approx(response.std(), rel=0.1)
    np.testing.assert_allclose(generated.mean(axis=0), layers.mean(axis=0), rtol=0.04)
    first, second = (
        np.corrcoef(np.log(one[:, 0]), np.log(one[:, 1]))[0, 1] for one in (layers, generated)
    )
    assert second == pytest.approx(first, abs=0.1)
    np.testing.assert_allclose(
        (found.voxels > 0).mean(axis=0), (test.voxels > 0).mean(axis=0), atol=0.05
    )


def test_two_trainings_and_a_resumed_one_are_the_same(model: MatchingModel, tmp_path: Any) -> None:
    how = settings()
    again = fitted(how, Resumption(tmp_path / "checkpoint.pt", "mark"))
    # Both parts are done now: nothing is left to train.
    resumed = fitted(how, Resumption(tmp_path / "checkpoint.pt", "mark"))
    for other in (again, resumed):
        for name, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_the_sum_of_losses_has_gradients_everywhere(model: MatchingModel) -> None:
    fresh = matching.build(settings(average=0.0), model.preprocessing)
    parts = divide(small_showers(50, 7), SMALL)
    for _ in range(2):
        # What is behind a last layer of zeros has none in the first step.
        loss = fresh.train()(parts.incident, parts.ratios, parts.fractions)
        assert loss.shape == (50,)
        loss.mean().backward()
        with torch.no_grad():
            for weights in fresh.parameters():
                weights += 0.01 * torch.randn_like(weights)
    assert all(weights.grad is not None for weights in fresh.parameters())
    assert torch.equal(
        fresh.eval()(parts.incident, parts.ratios, parts.fractions),
        fresh(parts.incident, parts.ratios, parts.fractions),
    )


def test_solvers_agree_at_many_evaluations(model: MatchingModel) -> None:
    condition = model.preprocessing.condition(torch.full((50, 1), 2000.0))
    found = [
        model.drawn(
            condition,
            torch.Generator().manual_seed(1),
            *[matching.following(SolverSettings(method=method, evaluations=number))] * 2,
        )
        for method, number in (("rk4", 200), ("midpoint", 200), ("euler", 2000))
    ]
    for other in found[1:]:
        assert float((other - found[0]).pow(2).mean().sqrt()) < 5e-3


def test_a_transformer_of_patches_draws_showers(model: MatchingModel) -> None:
    how = settings(
        shower={"network": "vit", "patch": [1, 4, 1], "width": 8, "heads": 2, "blocks": 1},
        preprocessing={"marginals": "standard", "transform": "logit"},
        training={"epochs": 1, "batch_size": 100},
    )
    _, found = drawn(fitted(how), 100)
    assert np.isfinite(found.voxels).all() and (found.voxels.sum(axis=1) > 0).all()


def test_a_geometry_that_has_no_patches_says_so() -> None:
    how = settings(shower={"network": "vit"})
    with pytest.raises(InputError, match=r"shower\.patch.*resnet"):
        matching.build(how, Preprocessing(geometry.load("set1_photons"), how.preprocessing))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"solver": {"method": "rk4", "evaluations": 3}}, "a step of rk4 takes 4"),
        ({"energies": {"width": 10, "heads": 3}}, "3 do not divide the width 10"),
        ({"shower": {"network": "vit", "width": 10, "heads": 4}}, "4 do not divide"),
        ({"average": 1.0}, "average"),
    ],
)
def test_impossible_settings(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MatchingSettings.model_validate(change)


def student_of(model: MatchingModel) -> bespoke.BespokeModel:
    how = BespokeSettings(
        energies=BespokeSolverSettings(steps=2),
        shower=BespokeSolverSettings(steps=2),
        rows=300,
    )
    parts = divide(small_showers(300, 8), SMALL)
    student, history = bespoke.fit(how, model, parts, parts, 3)
    json.dumps(history, allow_nan=False)
    return student


def test_bespoke_solvers_come_nearer_and_are_rebuilt(model: MatchingModel) -> None:
    student = student_of(model)
    condition = model.preprocessing.condition(torch.full((400, 1), 2000.0))

    def numbers(energies: Any, shower: Any) -> torch.Tensor:
        with torch.no_grad():
            return model.drawn(condition, torch.Generator().manual_seed(1), energies, shower)

    exact = numbers(*[matching.following(SolverSettings(method="rk4", evaluations=128))] * 2)
    for method in ("midpoint", "rk4"):
        same = numbers(*[matching.following(SolverSettings(method=method, evaluations=4))] * 2)
        own = numbers(student.ratios, student.voxels)
        assert (own - exact).pow(2).mean() < (same - exact).pow(2).mean(), method
    again = bespoke.build(student.settings, model.preprocessing)
    again.load_state_dict(student.state_dict())
    again.eval()
    assert np.array_equal(drawn(again, 50)[1].voxels, drawn(student, 50)[1].voxels)


def test_bespoke_solvers_need_flow_matching(model: MatchingModel) -> None:
    parts = divide(small_showers(50, 8), SMALL)
    with pytest.raises(InputError, match="kind matching"):
        bespoke.fit(BespokeSettings(), ShowerModel(model.preprocessing), parts, parts, 1)
    with pytest.raises(InputError, match="velocity"):
        bespoke.build(BespokeSettings(), model.preprocessing)


def test_a_scan_of_solvers_and_its_presentation(model: MatchingModel) -> None:
    how = SolverScanSettings.model_validate(
        {
            "evaluations": {"euler": [2, 16], "rk4": [16]},
            "tolerances": [1e-2],
            "showers": 200,
            "batch": 100,
            "bootstraps": 5,
        }
    )
    students = {"few": student_of(model)}
    content = {"model": "matching", **scan(model, students, small_showers(300, 9), how, 1)}
    content = json.loads(json.dumps(content, allow_nan=False))
    assert content["showers"] == 200
    points = {(point["method"], point["setting"]): point for point in content["points"]}
    assert points["rk4", 16]["evaluations"] == 16
    assert points["bespoke:few", 4]["evaluations"] == 4
    assert points["dopri5", 0.01]["evaluations"] > 6
    distances = [points[key]["distance"][0] for key in (("euler", 2), ("euler", 16), ("rk4", 16))]
    assert distances[0] > distances[1] > distances[2] > 0
    assert content["exact"]["distance"][0] == 0
    metrics = matching_numbers.metrics([content])
    assert len({metric.name for metric in metrics}) == len(metrics) == 4 + 5 * 5
    assert len(matching_numbers.tables([content])[0].rows) == 6
    assert content["threads"] == 1
    assert "1 thread(s)" in matching_numbers.tables([content])[0].caption
    figures = matching_figures.figures([content])
    assert list(figures) == matching_figure_names(how)
    assert matching_figure_names(None) == []
    other = matching.build(settings(), model.preprocessing)
    with pytest.raises(InputError, match="few was fitted to another model"):
        scan(other, students, small_showers(20, 9), how, 1)


def test_the_step_reads_compares_and_writes(
    model: MatchingModel, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = student_of(model)
    known: dict[str, ShowerModel] = {"model.pt": model, "few.pt": student}
    monkeypatch.setattr(
        solve.model_file, "read", lambda path: (known[path.name], None, {"model": path.stem})
    )
    shower_file.write(tmp_path / "test.h5", small_showers(60, 9))
    scanned = {"evaluations": {"rk4": [4]}, "tolerances": [], "showers": 50, "bootstraps": 3}
    given = Given({"seed": 1, "calorimetry": {"solvers": scanned}})

    def run(trained: str, students: list[str]) -> Any:
        solve.main(
            trained=tmp_path / trained,
            bespoke=[tmp_path / name for name in students],
            showers=tmp_path / "test.h5",
            model="matching",
            solved=tmp_path / "solved.json",
            settings=given,
        )
        return json.loads((tmp_path / "solved.json").read_text())

    content = run("model.pt", ["few.pt"])
    assert content["model"] == "matching" and content["showers"] == 50
    assert [point["method"] for point in content["points"]] == ["rk4", "bespoke:few"]
    again = run("model.pt", ["few.pt"])
    for one in (content, again):
        for point in [one["exact"], *one["points"]]:
            del point["ms"]
    assert again == content
    with pytest.raises(InputError, match=r"few\.pt.*BespokeModel"):
        run("few.pt", [])
    with pytest.raises(InputError, match=r"model\.pt: not a bespoke solver"):
        run("model.pt", ["model.pt"])
