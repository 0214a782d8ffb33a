"""Counting datacards of Combine, and lines that the reader refuses."""

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.inference.combine_reader import read_card
from fullchain.inference.likelihood import load_model

COUNTING = """\
imax 1
jmax 1
kmax 2
# a counting experiment
bin search
observation 12
------------
bin search search
process signal background
process 0 1
rate 4.7 8.1
------------
lumi_13TeV lnN 1.02 -
rate_b lnN - 0.9/1.2
scale rateParam search background 1
"""


def test_a_counting_datacard_of_another_origin(tmp_path):
    (tmp_path / "card.txt").write_text(COUNTING)
    found, edges, _ = read_card(tmp_path / "card.txt")
    model, data = load_model(found)
    assert model.config.poi_name == "r"
    assert model.config.par_names.count("lumi_13TeV") == 1
    assert edges["search"].tolist() == [0.0, 1.0]
    assert data[0] == 12
    point = np.array(model.config.suggested_init())
    point[model.config.par_names.index("rate_b")] = -1.0
    assert model.main_model.expected_data(point) == pytest.approx([4.7 + 0.9 * 8.1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate_b lnN - 0.9/1.2", "rate_b gmN 5 - 0.5", "line 14, rate_b gmN 5: gmN has no count"),
        ("rate_b lnN - 0.9/1.2", "rate_b shapeN2 - 1", "shapeN2 has no counterpart"),
        ("rate_b lnN - 0.9/1.2", "rate_b lnN 0.9/1.2", "rate_b has 1 entries for 2 processes"),
        ("rate_b lnN - 0.9/1.2", "rate_b lnN - much", "rate_b of search/background: 'much'"),
        ("rate_b lnN - 0.9/1.2", "rate_b shape - 1", "no line shapes is for process"),
        ("background 1\n", "background (@0*2) free\n", "only a rateParam with"),
        ("rate 4.7 8.1", "rate 4.7", "differ in length"),
        ("process 0 1", "process 0 1 2", "3 entries for 2"),
        ("bin search\n", "", "no channels or no processes"),
        ("observation 12", "observation many", "line 6, observation many"),
        ("scale rateParam search background 1", "free flatParam", "flatParam has no counterpart"),
    ],
)
def test_what_the_reader_refuses_is_named_with_its_line(tmp_path, old, new, message):
    assert old in COUNTING
    text = COUNTING.replace(old, new) if old != "bin search\n" else "imax 1\nkmax 0\n"
    (tmp_path / "card.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_card(tmp_path / "card.txt")
