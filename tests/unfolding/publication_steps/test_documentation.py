"""The example for readers of the published file."""

import re

import numpy as np
import pytest

from fullchain.unfolding import unfolded_file


def test_the_example_in_the_text_runs(project, sample, tmp_path, monkeypatch, capsys):
    pages = sorted((project / "docs/stages").glob("unfolding*.md"))
    blocks = [
        block
        for page in pages
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
        if "fullchain.unfolding.projection" in block
    ]
    assert len(blocks) == 1
    unfolded_file.write(tmp_path / "unfolded.parquet", sample())
    other = sample(seed=2, alternative="a14")
    unfolded_file.write(tmp_path / "alternative_a14.parquet", other)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(blocks[0], found)
    events, one, both = found["events"], found["one"], found["both"]
    scaled = found["scaled"](events)
    inside = (scaled >= 0) & (scaled <= 6)
    weight = events.weights["nominal"]
    assert one.counts.sum() == pytest.approx(weight[inside].sum() / weight.sum())
    assert both.correlation().shape == (10, 10)
    assert np.abs(both.correlation()[both.bins("mass"), both.bins("plane")]).max() > 0.1
    assert np.abs(one.shifts["model_a14"]).max() > 0
    assert capsys.readouterr().out
