"""Channels and workspaces, and templates that cannot be used."""

import numpy as np
import pyhf
import pytest

from fullchain.errors import InputError
from fullchain.inference import histfactory as hf
from fullchain.inference.channels import SampleInput, channel
from fullchain.inference.systematic_settings import Model

EDGES = np.array([0.0, 50.0, 100.0, 200.0])


def _template(values, relative=0.1):
    values = np.array(values, dtype=float)
    return hf.Template(values, (relative * values) ** 2)


def _channel(signal, background, **settings):
    samples = [
        SampleInput("tt", _template(signal), modifiers=[hf.normfactor("mu")]),
        SampleInput("qcd", _template(background), modifiers=[hf.log_normal("qcd", 0.2)]),
    ]
    return channel("pass", samples, EDGES, Model(**settings), "inference.analyses.search")


@pytest.mark.parametrize(
    ("signal", "background", "message"),
    [
        ([0, 0, 0], [1, 1, 1], "region pass, sample tt: no jet"),
        ([1, 1, 1], [0, 0, 0], "region pass, sample qcd: no jet.*analyses.search.model.on_empty"),
        (
            [1, 0, 1],
            [1, 0, 1],
            r"region pass: no process is expected in bin 1 \[50, 100\).*search.selection.regions",
        ),
        ([1, 1, 1], [1, -2, 1], r"region pass, sample qcd, nominal: bin 1 \[50, 100\) holds -2"),
        ([1, np.nan, 1], [1, 2, 1], r"region pass, sample tt, nominal: bin 1 .* holds nan"),
    ],
)
def test_unusable_templates_name_region_sample_and_bin(signal, background, message):
    with pytest.raises(InputError, match=message):
        _channel(signal, background)


def test_an_empty_sample_can_be_dropped_and_a_negative_bin_clipped():
    made, notes = _channel([1, 1, 1], [0, 0, 0], on_empty="drop")
    assert [one["name"] for one in made["samples"]] == ["tt"]
    assert [(note.sample, note.action) for note in notes] == [("qcd", "dropped")]
    made, notes = _channel([1, 1, 1], [4, -2, 2], on_negative="clip")
    assert made["samples"][1]["data"] == pytest.approx([4 * 4 / 6, 0.0, 2 * 4 / 6])
    assert [(n.sample, n.action, n.numbers["bin"]) for n in notes] == [("qcd", "clipped", 1)]


def _workspace(observed):
    made, _ = _channel([1, 2, 3], [10, 20, 30])
    for sample in made["samples"]:
        sample["modifiers"].append(hf.lumi())
        sample["modifiers"].append(hf.staterror("mc_statistics_pass", _template(sample["data"])))
    return hf.workspace(
        [made],
        {"pass": np.array(observed)},
        poi="mu",
        poi_range=(-5.0, 10.0),
        luminosity_uncertainty=0.014,
    )


def test_workspace_follows_the_schema_and_holds_what_was_given():
    specification = _workspace([11.0, 22.0, 33.0])
    pyhf.schema.validate(specification, "workspace.json")
    model = pyhf.Workspace(specification).model()
    assert model.config.poi_name == "mu"
    assert model.config.param_set("lumi").sigmas == [0.014]
    expected = model.main_model.expected_data(model.config.suggested_init())
    assert expected == pytest.approx([11.0, 22.0, 33.0])
    # Two samples with 10 % each add in quadrature in the bin.
    widths = [0.1 * np.hypot(s, b) / (s + b) for s, b in ((1, 10), (2, 20), (3, 30))]
    assert model.config.param_set("mc_statistics_pass").sigmas == pytest.approx(widths)


def test_data_of_another_binning_are_refused():
    with pytest.raises(InputError, match="region pass, data: 2 bins, but the samples have 3"):
        _workspace([1.0, 2.0])
