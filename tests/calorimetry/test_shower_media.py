"""Materials and effective media."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.calorimetry import media
from fullchain.calorimetry.media import MATERIALS

LEAD, ARGON = MATERIALS["lead"], MATERIALS["liquid_argon"]


def test_lead_has_the_critical_energy_of_the_formula():
    assert LEAD.critical_energy == pytest.approx(7.355, abs=0.001)
    assert LEAD.length == pytest.approx(5.612, abs=0.001)
    assert LEAD.moliere_radius == pytest.approx(21.2 * LEAD.length / LEAD.critical_energy)


@pytest.mark.parametrize("name", MATERIALS)
def test_tables_are_sound(name):
    material = MATERIALS[name]
    # Between helium's ratio and that of the heaviest stable nuclei, with some hydrogen.
    assert 0.38 < material.atomic_number / material.atomic_weight < 0.6
    # X_0 falls with Z about as 716 A / (Z (Z + 1) ln(287 / sqrt Z)); compounds lie near it.
    z, a = material.atomic_number, material.atomic_weight
    rough = 716.4 * a / (z * (z + 1) * np.log(287 / np.sqrt(z)))
    assert material.radiation_length == pytest.approx(rough, rel=0.12)


@given(st.floats(0.1, 20.0), st.floats(0.1, 20.0))
def test_effective_medium_lies_between_its_materials(passive, active):
    medium = media.layered(LEAD, passive, ARGON, active, 0.1)
    assert ARGON.atomic_number < medium.atomic_number < LEAD.atomic_number
    assert LEAD.length < medium.radiation_length < ARGON.length
    assert LEAD.critical_energy < medium.critical_energy < ARGON.critical_energy
    # One cell has as many radiation lengths as its two layers.
    cell = passive / LEAD.length + active / ARGON.length
    assert (passive + active) / medium.radiation_length == pytest.approx(cell)
    assert medium.sampling.frequency == pytest.approx(1 / cell)
    # 1/R_M is an average of that of both by mass, with R_M in g/cm^2.
    masses = np.array([LEAD.density * passive, ARGON.density * active])
    density = masses.sum() / (passive + active)
    each = np.array([one.moliere_radius * one.density for one in (LEAD, ARGON)])
    average = (masses / masses.sum() / each).sum()
    assert 1 / (medium.moliere_radius * density) == pytest.approx(average)


def test_two_layers_of_one_material_are_that_material():
    medium = media.layered(LEAD, 2.0, LEAD, 3.0, 0.1)
    alone = media.homogeneous(LEAD)
    assert medium.sampling.ratio == 1.0
    for name in ("atomic_number", "critical_energy", "moliere_radius", "radiation_length"):
        assert getattr(medium, name) == pytest.approx(getattr(alone, name))


def test_electrons_leave_less_than_muons_where_the_passive_material_is_heavier():
    assert media.layered(LEAD, 1.0, ARGON, 1.0, 0.1).sampling.ratio == pytest.approx(1 / 1.448)
