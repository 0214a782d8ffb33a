"""CaloFlow and its student on a small geometry: densities, showers, what a student recovers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.calorimetry import autoregressive, geometry, student
from fullchain.calorimetry.autoregressive import AutoregressiveModel
from fullchain.calorimetry.autoregressive_settings import AutoregressiveSettings
from fullchain.calorimetry.masked_flow_settings import MaskedFlowSettings
from fullchain.calorimetry.preprocessing import Parts, Preprocessing, divide
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.shower_model import ShowerModel, objective
from fullchain.calorimetry.student_settings import StudentSettings
from fullchain.errors import InputError
from fullchain.learning.device import repeatable
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised, train

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = geometry.parse(
    '<Bins><Bin pid="22" name="small"><Layer id="0" r_edges="0,10,20" n_bin_alpha="1"/>'
    '<Layer id="1" r_edges="0,10" n_bin_alpha="3"/></Bin></Bins>',
    "small.xml",
)
FLOW = MaskedFlowSettings(blocks=2, layers=(24,), embedding=8, bins=4, bound=5.0)
SETTINGS = AutoregressiveSettings(
    energy_flow=FLOW,
    shower_flow=FLOW,
    training=TrainingSettings(epochs=4, batch_size=100, learning_rate=0.01),
)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    with repeatable(1):
        yield


def parts(number: int, seed: int = 1) -> Parts:
    random = np.random.default_rng(seed)
    energies = 1000.0 * 2.0 ** random.integers(0, 4, number)
    # Voxels of a layer share a factor, which a flow has to learn.
    common = random.gamma(8.0, 1.0 / 8.0, (number, 1))
    voxels = energies[:, None] * 0.15 * common * random.gamma(20.0, 1.0 / 20.0, (number, 5))
    return divide(Showers(energies, voxels.astype(np.float32)), SMALL)


def trained(settings: AutoregressiveSettings = SETTINGS, number: int = 1200) -> AutoregressiveModel:
    showers = parts(number)
    preprocessing = Preprocessing(SMALL, settings.preprocessing)
    preprocessing.measure(showers, torch.Generator().manual_seed(1))
    model = initialised(1, lambda: autoregressive.build(settings, preprocessing))
    assert isinstance(model, AutoregressiveModel)
    columns = showers.columns(), parts(200, 2).columns()
    train(model, objective, *columns, settings.training, seed=1)
    return model.eval()


@pytest.fixture(scope="module")
def teacher(one_thread: None) -> AutoregressiveModel:
    return trained()


def taught(teacher: AutoregressiveModel, **changes: Any) -> tuple[student.StudentModel, dict]:
    how = {"epochs": 1, "batch_size": 100, "learning_rate": 0.01} | changes.pop("training", {})
    settings = StudentSettings(training=TrainingSettings(**how), **changes)
    return student.fit(settings, teacher, parts(1200), parts(200, 2), 3)


def test_the_loss_is_the_density_of_all_numbers(teacher: AutoregressiveModel) -> None:
    double = trained(SETTINGS.model_copy(update={"training": TrainingSettings(epochs=1)})).double()
    numbers = torch.randn(1, double.preprocessing.size, dtype=torch.float64)
    condition = torch.zeros(1, 1, dtype=torch.float64)

    def normal(given: torch.Tensor) -> torch.Tensor:
        energies, voxels = given[None, :2], given[None, 2:]
        first = double.energies.fast(energies, condition).normal
        second = double.shower.fast(voxels, double.given(energies, condition)).normal
        return torch.cat([first, second], dim=1)[0]

    jacobian = torch.autograd.functional.jacobian(normal, numbers[0])
    latent = normal(numbers[0]).detach()
    expected = 0.5 * (latent**2).sum() + 0.5 * len(latent) * np.log(2 * np.pi)
    expected = expected - torch.linalg.slogdet(jacobian).logabsdet
    assert float(double.loss(numbers, condition).detach()) == pytest.approx(float(expected))


def test_training_learns_and_showers_keep_the_rules(teacher: AutoregressiveModel) -> None:
    fresh = AutoregressiveModel(teacher.preprocessing, FLOW, FLOW).eval()
    showers = parts(500, 4)
    with torch.no_grad():
        before, after = (float(m(*showers.columns().values()).mean()) for m in (fresh, teacher))
    assert after < before - 1.0
    drawn = teacher.sample(showers.incident, torch.Generator().manual_seed(1))
    again = teacher.sample(showers.incident, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)
    assert bool(((drawn == 0) | (drawn >= 1.0)).all())
    response = (drawn.sum(dim=1, keepdim=True) / showers.incident).mean()
    assert float(response) == pytest.approx(float(showers.ratios[:, 0].mean()), rel=0.05)


def test_the_given_energies_are_those_of_the_showers(teacher: AutoregressiveModel) -> None:
    showers = parts(50, 5)
    condition = teacher.preprocessing.condition(showers.incident)
    numbers = torch.randn(50, teacher.preprocessing.size)
    given = teacher.given(numbers[:, :2], condition)
    made = teacher.preprocessing.inverse(numbers, showers.incident).double()
    layers = torch.stack([made[:, place].sum(dim=1) for place in SMALL.slices], dim=1)
    expected = (layers.log10() - autoregressive.CENTRE) / autoregressive.SCALE
    assert torch.allclose(given[:, 3:].double(), expected, atol=1e-3)


def test_a_student_of_a_teacher_that_sees_nothing_is_its_inverse() -> None:
    # Where shapes depend on the condition only, both kinds of flow are the same function.
    model = AutoregressiveModel(Preprocessing(SMALL, PreprocessingSettings()), FLOW, FLOW)
    torch.manual_seed(2)
    for name, weights in model.named_parameters():
        torch.nn.init.normal_(weights, std=0.0 if "masked.weight" in name else 0.4)
    complete = student.completed(StudentSettings(), model)
    own = student.build(complete, model.preprocessing)
    own.load_state_dict(model.state_dict())
    both = student.Distillation(own, model, complete)
    terms = both.loss(torch.randn(40, model.preprocessing.size), torch.randn(40, 1))
    assert terms.shape == (4, 40)
    assert float(terms.detach().abs().max()) < 1e-4


@pytest.mark.parametrize("guidance", ["full", "ends"])
def test_a_student_recovers_the_density_of_its_teacher(
    teacher: AutoregressiveModel, guidance: str
) -> None:
    long = {"epochs": 20, "batch_size": 50, "learning_rate": 0.01}
    _, short = taught(teacher, guidance=guidance)
    own, history = taught(teacher, guidance=guidance, training=long, layers=(48,))
    first, last = short["validation"][0], history["validation"][history["best_epoch"]]
    assert last["divergence"] < 0.3 * first["divergence"]
    assert -0.02 < last["divergence"] < 0.15
    # Its own density, found the slow way, against the teacher's at showers of the teacher.
    numbers = teacher.draw(torch.zeros(400, 1), torch.Generator().manual_seed(7))
    with torch.no_grad():
        difference = own.loss(numbers, torch.zeros(400, 1)) - teacher.loss(
            numbers, torch.zeros(400, 1)
        )
    assert -0.05 < float(difference.mean()) < 0.25


def test_what_a_student_has_from_its_teacher(teacher: AutoregressiveModel) -> None:
    before = {name: weights.clone() for name, weights in teacher.state_dict().items()}
    own, history = taught(teacher, layers=(10, 10))
    assert own.settings.shower_flow == FLOW
    assert own.settings.preprocessing == SETTINGS.preprocessing
    for name, weights in teacher.energies.state_dict().items():
        assert torch.equal(weights, own.energies.state_dict()[name])
    for one, other in zip(own.shower.blocks, teacher.shower.blocks, strict=True):
        assert torch.equal(one.order, other.order)
    assert all(torch.equal(weights, before[name]) for name, weights in teacher.state_dict().items())
    assert set(history["train"][0]) == set(student.TERMS)
    again, _ = taught(teacher, layers=(10, 10))
    assert all(
        torch.equal(weights, again.state_dict()[name]) for name, weights in own.state_dict().items()
    )
    # From its settings and weights alone it is made again.
    copy = student.build(own.settings, Preprocessing(SMALL, own.settings.preprocessing)).eval()
    copy.load_state_dict(own.state_dict())
    incident = parts(20).incident
    first, second = (m.sample(incident, torch.Generator().manual_seed(1)) for m in (own, copy))
    assert torch.equal(first, second)


class Other(ShowerModel):
    """A model of another kind."""


def test_a_teacher_of_another_kind_is_refused(teacher: AutoregressiveModel) -> None:
    with pytest.raises(InputError, match=r"kind autoregressive.*this one is a Other"):
        student.fit(StudentSettings(), Other(teacher.preprocessing), parts(50), parts(50), 1)


def test_a_student_is_no_teacher(teacher: AutoregressiveModel) -> None:
    own, _ = taught(teacher)
    with pytest.raises(InputError, match=r"kind autoregressive.*this one is a StudentModel"):
        student.fit(StudentSettings(), own, parts(50), parts(50), 1)


def test_showers_of_another_geometry_are_refused(teacher: AutoregressiveModel) -> None:
    wrong = Parts(torch.ones(5, 1), torch.ones(5, 5), torch.ones(5, 368))
    with pytest.raises(InputError, match=r"5 layers with 368 voxels.*'small'.*2 with 5"):
        student.fit(StudentSettings(), teacher, wrong, wrong, 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"shower_flow": FLOW.model_copy(update={"blocks": 3})}, "shower_flow"),
        ({"energy_flow": FLOW.model_copy(update={"bins": 7})}, "energy_flow"),
        ({"preprocessing": PreprocessingSettings(transform="logit")}, "preprocessing"),
    ],
)
def test_settings_that_are_not_the_teachers_are_refused(
    teacher: AutoregressiveModel, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=f"{named} is .*teacher"):
        student.completed(StudentSettings(**changes), teacher)


def test_a_student_without_a_teacher_is_refused(teacher: AutoregressiveModel) -> None:
    with pytest.raises(InputError, match="from its teacher"):
        student.build(StudentSettings(), teacher.preprocessing)
