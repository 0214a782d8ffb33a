"""Observables of each kind, there and back."""

import numpy as np
import pytest
from scipy.stats import kstest

from fullchain.errors import InputError
from fullchain.unfolding import preprocessing
from fullchain.unfolding.observable_settings import ObservableSettings

NAMES = ("mass", "multiplicity", "z_g", "ln_rho")
OBSERVABLES = {
    "mass": ObservableSettings(label="m", low=0, high=100),
    "multiplicity": ObservableSettings(label="M", low=0, high=80, kind="integer"),
    "z_g": ObservableSettings(label="z", low=0, high=0.5, kind="groomed"),
    "ln_rho": ObservableSettings(label="r", low=-14, high=0, kind="groomed"),
}


def events(rows: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(3)
    groomed = rng.random(rows) < 0.08
    return np.stack(
        [
            rng.lognormal(3, 0.4, rows),
            rng.poisson(20, rows).astype(float),
            np.where(groomed, 0.0, 0.1 * 5 ** rng.random(rows)),
            np.where(groomed, -14.0, rng.normal(-6, 1.5, rows).clip(-13, -1)),
        ],
        axis=1,
    )


def measured(values: np.ndarray) -> preprocessing.Preprocessing:
    return preprocessing.measured(values, np.ones(len(values)), NAMES, OBSERVABLES, "test")


def test_the_way_back_is_exact_and_the_width_is_one():
    values = events()
    scales = measured(values)
    transformed = scales.forward(values, np.random.default_rng(1))
    np.testing.assert_allclose(scales.inverse(transformed), values, rtol=1e-9)
    np.testing.assert_allclose(scales.inverse(scales.certain(values)), values, rtol=1e-9)
    low, middle, high = np.quantile(transformed, [0.16, 0.5, 0.84], axis=0)
    np.testing.assert_allclose(middle, 0, atol=0.05)
    np.testing.assert_allclose(high - low, 2, atol=0.25)


def test_a_spike_and_a_continuous_part_make_one_normal_number():
    values = events()
    column = measured(values).columns[2]
    assert column.floor == 0.0
    assert column.spike == pytest.approx((values[:, 2] == 0).mean())
    assert column.low == pytest.approx(0.1, abs=1e-3)
    raw = column.forward(values[:, 2], np.random.default_rng(2).random(len(values)))
    assert kstest(raw * column.scale + column.shift, "norm").pvalue > 0.01
    assert raw[values[:, 2] == 0].max() < raw[values[:, 2] > 0].min()


def test_whatever_is_generated_is_in_the_support():
    values = events()
    scales = measured(values)
    wild = np.random.default_rng(5).normal(0, 4, (2000, 4))
    found = scales.inverse(wild)
    multiplicity, z_g, ln_rho = found.T[1:]
    assert (multiplicity == np.rint(multiplicity)).all()
    assert multiplicity.min() >= values[:, 1].min()
    for number, own in ((2, z_g), (3, ln_rho)):
        floor = values[:, number].min()
        others = values[:, number][values[:, number] > floor]
        assert (own == floor).any()
        rest = own[own != floor]
        assert others.min() <= rest.min()
        assert rest.max() <= others.max()


def test_groomed_without_a_spike():
    values = events()
    values[:, 2] = 0.1 + 0.4 * np.random.default_rng(7).random(len(values))
    column = measured(values).columns[2]
    assert column.floor is None
    assert column.spike == 0
    back = column.inverse(column.forward(values[:, 2], np.full(len(values), 0.5)))
    np.testing.assert_allclose(back, values[:, 2])


def test_events_outside_the_simulation():
    values = events()
    outside = values[:3].copy()
    outside[0, 0] = values[:, 0].max() + 1
    outside[1, 1] = values[:, 1].min() - 1
    assert measured(values).outside(outside).tolist() == [True, True, False]


def test_bad_input_is_named():
    values = events()
    values[7, 3] = np.nan
    with pytest.raises(InputError, match=r"ln_rho.*1 of"):
        measured(values)
    values = events()
    values[:, 0] = 80.0
    with pytest.raises(InputError, match=r"mass.*leave it out"):
        measured(values)
    with pytest.raises(InputError, match=r"no 'tau21'"):
        preprocessing.measured(values, np.ones(len(values)), ("tau21",), OBSERVABLES, "test")
