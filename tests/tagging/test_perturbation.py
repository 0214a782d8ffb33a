"""Constituents dropped and smeared, and what is computed of the jets that are left."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.jets import chance
from fullchain.jets.arrays import momenta, offsets_of
from fullchain.jets.settings import SubstructureSettings
from fullchain.jets.substructure import measure
from fullchain.tagging import perturbation, recomputed
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, FULL
from fullchain.tagging.robustness_settings import PerturbationSettings, RobustnessSettings

JETS, PARTICLES = 400, 30


def one(kind: str, **more: object) -> PerturbationSettings:
    return PerturbationSettings.model_validate({"kind": kind, "strengths": [0.1], **more})


@pytest.fixture(scope="module")
def constituents() -> NDArray[np.float32]:
    """Jets of 5 to 30 particles about (1, 3); half of the particles are charged."""
    generator = np.random.default_rng(3)
    result = np.zeros((JETS, PARTICLES, len(FULL)), np.float32)
    for jet in range(JETS):
        n = generator.integers(5, PARTICLES + 1)
        result[jet, :n, 0] = np.sort(generator.exponential(10.0, n))[::-1] + 0.1
        result[jet, :n, 1] = generator.normal(1.0, 0.2, n)
        result[jet, :n, 2] = (generator.normal(3.0, 0.2, n) + np.pi) % (2 * np.pi) - np.pi
        result[jet, :n, 3] = 0.14
        charge = generator.integers(0, 2, n)
        result[jet, :n, perturbation.CHARGE] = charge
        result[jet, :n, perturbation.CODE] = np.where(charge, 211, 22)
    return result


@pytest.fixture(scope="module")
def random() -> perturbation.Draws:
    return draws(np.arange(JETS))


def draws(events: NDArray[np.int64], particles: int = PARTICLES) -> perturbation.Draws:
    same = np.ones(len(events), int)
    words = chance.event_words(1, same, same, events, keys=("test",))
    return perturbation.draws(words, np.zeros(len(events), int), particles)


def test_random_numbers_belong_to_event_and_particle(random: perturbation.Draws) -> None:
    some = draws(np.array([7, 300, 2]), 11)
    for name in ("uniform", "pt", "eta", "phi"):
        np.testing.assert_array_equal(getattr(some, name), getattr(random, name)[[7, 300, 2], :11])
    together = np.stack([random.uniform, random.pt, random.eta, random.phi]).reshape(4, -1)
    assert np.abs(np.corrcoef(together) - np.eye(4)).max() < 0.04
    assert together[1:].std(axis=1) == pytest.approx([1, 1, 1], abs=0.03)
    assert together[0].mean() == pytest.approx(0.5, abs=0.01)


def test_particles_are_dropped_with_the_probability_that_is_asked_for(
    constituents: NDArray[np.float32], random: perturbation.Draws
) -> None:
    before = (constituents[..., 0] > 0).sum()
    left = [perturbation.perturbed(constituents, random, one("drop"), s) for s in (0.1, 0.4)]
    for strength, found in zip((0.1, 0.4), left, strict=True):
        part = (found[..., 0] > 0).sum() / before
        assert part == pytest.approx(1 - strength, abs=4 * np.sqrt(0.25 / before))
    assert not perturbation.perturbed(constituents, random, one("drop"), 1.0)[..., 0].any()
    # Who is dropped first is dropped later, too; all others stay as they were.
    weak, strong = ({tuple(p) for p in found[0] if p[0] > 0} for found in left)
    assert strong < weak < {tuple(particle) for particle in constituents[0]}


@pytest.mark.parametrize("particles", ["charged", "neutral"])
@pytest.mark.parametrize("kind", ["drop", "smear_pt", "smear_angles"])
def test_only_the_particles_that_are_meant_change(
    constituents: NDArray[np.float32], random: perturbation.Draws, kind: str, particles: str
) -> None:
    how = one(kind, particles=particles, pt_below=8.0)
    found = perturbation.perturbed(constituents, random, how, 0.5)
    charged = constituents[..., perturbation.CHARGE] != 0
    real = constituents[..., 0] > 0
    meant = real & (charged == (particles == "charged")) & (constituents[..., 0] < 8.0)
    changed = 0
    for jet in range(20):
        others = {tuple(particle) for particle in constituents[jet][real[jet] & ~meant[jet]]}
        now = {tuple(particle) for particle in found[jet]}
        assert others <= now
        changed += len({tuple(particle) for particle in constituents[jet][meant[jet]]} - now)
    assert changed / meant[:20].sum() == pytest.approx(0.5 if kind == "drop" else 1.0, abs=0.15)


def test_smearing_has_the_width_that_is_asked_for(random: perturbation.Draws) -> None:
    jets = np.zeros((JETS, PARTICLES, len(FULL)), np.float32)
    jets[..., :4] = 10.0, 1.0, 3.1, 0.14
    pt = perturbation.perturbed(jets, random, one("smear_pt"), 0.3)
    number = JETS * PARTICLES
    assert pt[..., 0].mean() == pytest.approx(10.0, abs=4 * 3.0 / np.sqrt(number))
    assert pt[..., 0].std() == pytest.approx(3.0, rel=0.05)
    np.testing.assert_array_equal(pt[..., 1:], jets[..., 1:])
    assert (np.diff(pt[..., 0], axis=1) <= 0).all()
    angles = perturbation.perturbed(jets, random, one("smear_angles"), 0.1)
    phi = (angles[..., 2] - 3.1 + np.pi) % (2 * np.pi) - np.pi
    assert angles[..., 1].std() == pytest.approx(0.1, rel=0.05)
    assert phi.std() == pytest.approx(0.1, rel=0.05) and phi.mean() == pytest.approx(0, abs=0.005)
    assert np.abs(angles[..., 2]).max() <= np.float32(np.pi)
    np.testing.assert_array_equal(angles[..., [0, 3]], jets[..., [0, 3]])


def test_padding_stays_padding(
    constituents: NDArray[np.float32], random: perturbation.Draws
) -> None:
    number = (constituents[..., 0] > 0).sum(axis=1)
    for kind in ("smear_pt", "smear_angles"):
        found = perturbation.perturbed(constituents, random, one(kind), 0.2)
        np.testing.assert_array_equal((found[..., 0] > 0).sum(axis=1), number)
        assert not found[np.arange(PARTICLES) >= number[:, None]].any()


def test_without_charges_nothing_can_be_said_of_them(constituents: NDArray[np.float32]) -> None:
    unknown = constituents.copy()
    unknown[..., [perturbation.CHARGE, perturbation.CODE]] = 0
    how = one("drop", particles="charged")
    assert perturbation.missing_knowledge(constituents, how) is None
    assert "charge" in str(perturbation.missing_knowledge(unknown, how))
    assert perturbation.missing_knowledge(unknown, one("drop")) is None


def test_momentum_and_substructure_are_those_of_the_particles_that_are_left(
    constituents: NDArray[np.float32], random: perturbation.Draws
) -> None:
    substructure = SubstructureSettings()
    left = perturbation.perturbed(constituents, random, one("drop"), 0.3)
    columns = ("n_constituents", "tau1", "tau32", "d2", "n2", "msoftdrop", "chf", "phf")
    jets = recomputed.jets(
        left,
        columns,
        fields=FOUR_MOMENTUM,
        n_constituents=4,
        radius=0.8,
        substructure=substructure,
    )
    assert jets.constituents.shape == (JETS, 4, 4)
    np.testing.assert_array_equal(jets.constituents, left[:, :4, :4])
    jet = 5
    alone = left[jet][left[jet, :, 0] > 0].astype(float)
    p4 = momenta(*alone[:, :4].T)
    px, py, pz, energy = p4.sum(axis=0)
    assert jets.scalars["pt"][jet] == pytest.approx(np.hypot(px, py), rel=1e-6)
    mass = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    assert jets.scalars["mass"][jet] == pytest.approx(mass, rel=1e-5)
    assert jets.scalars["n_constituents"][jet] == len(alone)
    expected = measure(p4, offsets_of(np.array([len(alone)])), 0.8, substructure)
    for name, value in (
        ("tau1", expected.tau[0, 0]), ("tau32", expected.ratio(3, 2)[0]),
        ("d2", expected.d2[0]), ("n2", expected.n2[0]), ("msoftdrop", expected.msoftdrop[0]),
    ):  # fmt: skip
        assert jets.scalars[name][jet] == pytest.approx(value, rel=1e-6)
    assert jets.scalars["chf"][jet] + jets.scalars["phf"][jet] == pytest.approx(1.0)


def test_what_does_not_follow_from_constituents_is_named(
    constituents: NDArray[np.float32],
) -> None:
    with pytest.raises(InputError, match="npu: not computed from constituents"):
        recomputed.jets(
            constituents,
            ["npu"],
            fields=FOUR_MOMENTUM,
            n_constituents=4,
            radius=0.8,
            substructure=SubstructureSettings(),
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "drop", "strengths": [1.5]}, "a strength of drop"),
        ({"kind": "smear_pt", "strengths": [0.0]}, "a strength of smear_pt"),
        ({"kind": "smear_pt", "strengths": [0.2, 0.1]}, "strengths must rise"),
    ],
)
def test_strengths_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PerturbationSettings.model_validate(settings)
    with pytest.raises(ValueError, match="cannot name one"):
        RobustnessSettings.model_validate({"perturbations": {"a b": one("drop").model_dump()}})
