"""Figures: the same bytes from the same numbers, and an index that can be trusted."""

import hashlib
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fullchain import drawing, plotting

EDGES = np.linspace(0.0, 300.0, 7)
COUNTS = np.array([400.0, 250.0, 120.0, 80.0, 0.0, 3.0])


def everything():
    """A figure with every kind of mark."""
    fig, ax, ratio = plotting.ratio_figure()
    data = COUNTS + 7
    total = drawing.stack(
        ax, [COUNTS, COUNTS / 2], EDGES, labels=["a", "b"], errors=np.sqrt(COUNTS)
    )
    drawing.histogram(ax, COUNTS, EDGES, errors=np.sqrt(COUNTS), label="c")
    drawing.points(ax, data, EDGES, errors=np.sqrt(data), label="data")
    drawing.curve(ax, EDGES, EDGES, low=EDGES - 1, high=EDGES + 1, label="line")
    drawing.ratio_points(ratio, data, np.sqrt(data), total, EDGES)
    drawing.ratio_histogram(ratio, COUNTS, np.sqrt(COUNTS), total, EDGES)
    drawing.ratio_band(ratio, total, np.sqrt(total), EDGES)
    plotting.finish(ax, xlabel=r"$m$ [GeV]", ylabel="jets", ratio=ratio, logy=True)
    return fig, ax, ratio


def save_one(folder):
    drawn = plotting.figure_set(folder / "index.json", "jets")
    drawn.save(everything()[0], "mass", "Mass", "The  jet\nmass.")
    drawn.write()


def test_equal_numbers_give_equal_bytes_in_another_process(tmp_path):
    save_one(tmp_path / "one")
    script = "from test_plotting import save_one; from pathlib import Path; import sys;"
    script += "save_one(Path(sys.argv[1]))"
    here = __file__.rsplit("/", 1)[0]
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "two")], cwd=here, check=True)
    for name in ("mass.pdf", "mass.png", "index.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_files_hold_no_date(tmp_path):
    save_one(tmp_path)
    assert b"CreationDate" not in (tmp_path / "mass.pdf").read_bytes()
    assert b"matplotlib" not in (tmp_path / "mass.png").read_bytes().lower()


def test_index_describes_the_figures(tmp_path):
    save_one(tmp_path)
    [entry] = json.loads((tmp_path / "index.json").read_text())
    png = (tmp_path / "mass.png").read_bytes()
    assert entry == {
        "name": "mass",
        "title": "Mass",
        "caption": "The jet mass.",
        "stage": "jets",
        "sha256": hashlib.sha256(png).hexdigest(),
    }


def test_figures_are_closed_and_the_index_comes_last(tmp_path):
    before = plt.get_fignums()
    drawn = plotting.figure_set(tmp_path / "index.json", "jets")
    drawn.save(everything()[0], "mass", "Mass", "The jet mass.")
    assert plt.get_fignums() == before
    assert not (tmp_path / "index.json").exists()
    drawn.write()
    assert {path.name for path in tmp_path.iterdir()} == {"index.json", "mass.pdf", "mass.png"}


@pytest.mark.parametrize("name", ["", "a/b", "../mass", ".hidden", "with space"])
def test_wrong_names_are_refused(tmp_path, name):
    drawn = plotting.figure_set(tmp_path / "index.json", "jets")
    with pytest.raises(ValueError, match="figure name"):
        drawn.save(plotting.figure()[0], name, "Title", "Caption")


def test_a_name_cannot_stand_twice_and_captions_are_needed(tmp_path):
    drawn = plotting.figure_set(tmp_path / "index.json", "jets")
    drawn.save(plotting.figure()[0], "mass", "Mass", "The jet mass.")
    with pytest.raises(ValueError, match="twice"):
        drawn.save(plotting.figure()[0], "mass", "Mass", "The jet mass.")
    with pytest.raises(ValueError, match="title and a caption"):
        drawn.save(plotting.figure()[0], "other", "Mass", " ")


def test_stack_draws_the_sum():
    _, ax = plotting.figure()
    total = drawing.stack(ax, [COUNTS, 2 * COUNTS], EDGES, labels=["a", "b"])
    np.testing.assert_allclose(total, 3 * COUNTS)
    upper = ax.patches[1].get_data()
    np.testing.assert_allclose(upper.values, 3 * COUNTS)
    np.testing.assert_allclose(upper.baseline, COUNTS)


def test_empty_bins_of_the_reference_leave_no_ratio():
    _, ax = plotting.figure()
    drawing.ratio_points(ax, COUNTS + 1, np.ones(6), COUNTS, EDGES)
    y = ax.lines[0].get_ydata()
    assert np.isnan(y[4])
    np.testing.assert_allclose(y[[0, 5]], [401 / 400, 4 / 3])


def test_bands_take_asymmetric_errors():
    _, ax = plotting.figure()
    drawing.band(ax, COUNTS, np.array([COUNTS / 2, COUNTS]), EDGES)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == 800.0
    assert 200.0 in heights


def test_histograms_take_the_colours_of_the_cycle():
    _, ax = plotting.figure()
    for expected in plotting.COLOURS[:2]:
        drawn = drawing.histogram(ax, COUNTS, EDGES)
        assert matplotlib_hex(drawn) == expected


def matplotlib_hex(colour):
    from matplotlib.colors import to_hex

    return to_hex(colour)


def test_samples_of_a_process_share_its_colour_and_say_their_variant():
    assert plotting.process_colour("tt_pu50") == plotting.process_colour("tt")
    assert plotting.process_colour("mine") == plotting.process_colour("mine")
    assert plotting.process_label("qcd_a14") == "QCD multijet (a14)"
    assert plotting.process_label("my_sample") == "my sample"


def test_the_legend_has_room():
    _, ax = plotting.figure()
    drawing.histogram(ax, COUNTS, EDGES, label="a")
    plotting.finish(ax, xlabel="m", ylabel="n")
    low, high = ax.get_ylim()
    assert low == 0.0
    assert high > 1.3 * COUNTS.max()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a"]


def test_colours_stay_apart_for_colour_blind_readers():
    """The first six colours differ in lightness or hue after a simulated loss of red or green."""
    from matplotlib.colors import to_rgb

    # Viénot, Brettel, Mollon, Color Res. Appl. 24 (1999) 243, on linear RGB.
    protanopia = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deuteranopia = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    linear = np.array([to_rgb(colour) for colour in plotting.COLOURS[:6]]) ** 2.2
    for loss in (protanopia, deuteranopia):
        seen = np.clip(linear @ loss.T, 0, 1) ** (1 / 2.2)
        distance = np.linalg.norm(seen[:, None] - seen[None, :], axis=-1)
        assert distance[np.triu_indices(6, 1)].min() > 0.1


def test_a_legend_above_covers_nothing_that_is_filled():
    fig, ax = plotting.figure()
    flat = np.full(6, 100.0)
    drawing.stack(ax, [flat, flat], EDGES, labels=["one process", "another"], errors=flat / 5)
    plotting.finish(ax, xlabel="$m$ [GeV]", ylabel="jets", legend_above=True)
    fig.draw_without_rendering()
    legend = ax.get_legend()
    assert legend is not None
    lowest = legend.get_window_extent().transformed(ax.transData.inverted()).y0
    plt.close(fig)
    assert lowest > 240.0  # 200 in the stack, and its error of 40
