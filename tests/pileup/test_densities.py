"""Which densities of pile-up learned weights were trained on."""

import pytest

from fullchain.pileup.densities import method_of_training, range_of, trained_ranges


def values(**samples: dict) -> dict:
    learned = {"graph": {"samples": list(samples)}}
    filled = {
        name: {"pileup": 0.0, "pileup_profile": {}, **sample} for name, sample in samples.items()
    }
    return {"pileup": {"learned": learned}, "ntuples": {"samples": filled}}


def test_the_range_is_that_of_poisson_numbers_around_the_means() -> None:
    assert trained_ranges(values(one={"pileup": 100.0})) == {"graph": (80.0, 120.0)}
    profile = {"pileup_profile": {"25": 1.0, "64": 2.0, "400": 0.0}, "pileup": 900.0}
    assert trained_ranges(values(one=profile)) == {"graph": (15.0, 80.0)}
    both = trained_ranges(values(one={"pileup": 1.0}, two={"pileup": 100.0}))
    assert both == {"graph": (0.0, 120.0)}
    assert trained_ranges(values(one={})) == {"graph": (0.0, 0.0)}


def test_what_is_not_known_is_left_out() -> None:
    assert trained_ranges({}) == {}
    partly = values(one={"pileup": 100.0})
    partly["pileup"]["learned"]["graph"]["samples"].append("ingested")
    assert trained_ranges(partly) == {}


@pytest.mark.parametrize(
    ("name", "method"), [("graph_seed0", "graph"), ("graph", None), ("a_seed1_b", None)]
)
def test_single_trainings_have_the_range_of_their_method(name: str, method: str | None) -> None:
    assert method_of_training(name) == method
    ranges = {"graph": (1.0, 2.0)}
    assert range_of(name, ranges) == (None if name == "a_seed1_b" else (1.0, 2.0))
