"""Coarse candidates: exact steps; the step `observe`: rows, checks, bad input."""

import numpy as np
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.firmware import observe, trigger_jets
from fullchain.firmware.coarse_candidates import Particles, coarsen, quantities
from fullchain.firmware.inputs_settings import FEATURES, InputsSettings
from fullchain.firmware.substructure_observables import observables
from fullchain.jets import columns
from fullchain.jets.arrays import offsets_of
from fullchain.jets.columns import CONSTITUENT, SCALARS, Lists
from fullchain.step import Given

STEP = np.pi / 720


def particles(*rows: tuple[float, ...], jets: int = 1) -> Particles:
    """One jet of rows of pt, eta, phi, mass, charge, code; others without particles."""
    padded = np.zeros((jets, max(1, len(rows)), 6), dtype=np.float32)
    for number, row in enumerate(rows):
        padded[0, number] = row
    return Particles.of(padded)


def table(seed: int, jets: int, variation: str, **changed):
    """Jets of one variation, in the schema of the stage jets."""
    generator = np.random.default_rng(seed)
    counts = changed.pop("counts", generator.integers(3, 40, jets))
    n, jet = int(np.sum(counts)), np.repeat(np.arange(jets), counts)
    scalars = {
        c.name: generator.uniform(0.5, 1.5, jets).astype(c.type.to_pandas_dtype())
        for c in SCALARS
        if c.name != "variation"
    }
    scalars["event"] = np.arange(jets) // 2
    scalars["phi"] = generator.uniform(-np.pi, np.pi, jets)
    scalars |= changed
    pt = generator.exponential(12.0, n) + 0.01
    order = np.lexsort((-pt, jet))
    phi = scalars["phi"][jet] + generator.normal(0, 0.2, n)
    fields = {c.name: np.zeros(n) for c in CONSTITUENT} | {
        "pt": pt[order],
        "eta": scalars["eta"][jet] + generator.normal(0, 0.2, n),
        "phi": (phi + np.pi) % (2 * np.pi) - np.pi,
        "mass": np.full(n, 0.14),
        "charge": generator.integers(-1, 2, n),
        "pdgId": generator.choice([211, 22, 130, 11, 13], n),
    }
    no_lund = Lists(
        {name: np.zeros(0) for name in ("kt", "delta", "z")}, np.zeros(jets + 1, np.int64)
    )
    return columns.table(scalars, variation, Lists(fields, offsets_of(counts)), no_lund)


def write(path, *tables):
    with pyarrow.parquet.ParquetWriter(path, tables[0].schema) as writer:
        for one in tables:
            writer.write_table(one)
    return path


def run(path, output, **chosen):
    given = Given({"seed": 1, "firmware": {"inputs": chosen}})
    observe.main(jets=path, sample="qcd", output=output, settings=given)
    return trigger_jets.read(output)


def test_candidates_stand_on_whole_steps():
    given = particles((10.124, 0.31, 3.14, 0.1, 1, 211), (2.375, 0.3001, -3.14, 0.1, 0, 22))
    coarse = coarsen(given, np.array([[0.3, 3.13]]), InputsSettings())
    assert list(coarse.pt) == [10.0, 2.5]
    axis = np.floor(np.array([0.3, 3.13]) / STEP + 0.5)
    assert coarse.eta / STEP == pytest.approx([71 - axis[0], 69 - axis[0]], abs=1e-9)
    # -3.14 lies 4 steps beyond 3.13: round(-719.64) = -720 is +720, and the axis is at 717
    assert coarse.phi / STEP == pytest.approx([3, 3], abs=1e-9)
    assert list(coarse.mass) == [0, 0]


def test_large_values_saturate():
    settings = InputsSettings(pt_bits=4, angle_bits=4)
    given = particles((100, 1.0, 0, 0, 0, 22), (90, -1.0, 0, 0, 0, 22), (3, 0, 0.5, 0, 0, 22))
    coarse = coarsen(given, np.array([[0.0, 0.0]]), settings)
    assert list(coarse.pt) == [3.75, 3.75, 3.0]
    assert coarse.eta / STEP == pytest.approx([7, -8, 0])
    assert coarse.phi / STEP == pytest.approx([0, 0, 7])


def test_what_is_below_half_a_step_or_a_threshold_is_dropped():
    rows = [(5.0, 0, 0, 0, 1, 211), (1.9, 0, 0, 0, 0, 22), (1.8, 0, 0, 0, -1, -211)]
    given = particles(*rows, (0.125, 0, 0, 0, 0, 22), (0.124, 0, 0, 0, 0, 22))
    axis = np.zeros((1, 2))
    assert list(coarsen(given, axis, InputsSettings()).pt) == [5.0, 2.0, 1.75, 0.25]
    assert list(coarsen(given, axis, InputsSettings(pt_min=2.0)).pt) == [5.0, 2.0]
    chosen = InputsSettings(charged_pt_min=2.0)
    assert list(coarsen(given, axis, chosen).pt) == [5.0, 2.0, 0.25]


def test_quantities_of_leading_candidates():
    rows = [(6.0, 0.1, 0, 0, -1, 211), (3.0, 0, 0.1, 0, 0, 130), (1.0, 0, 0, 0, 0, 22)]
    coarse = coarsen(particles(*rows, jets=2), np.zeros((2, 2)), InputsSettings())
    names = ("pt", "pt_share", "charge", "photon", "neutral_hadron", "electron", "muon")
    found = quantities(coarse, names, 2)
    expected = np.array([[6, 0.6, -1, 0, 0, 0, 0], [3, 0.3, 0, 0, 1, 0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(found[0], expected)
    assert (found[1] == 0).all(), "zeros where there is no candidate"
    assert (quantities(coarse, names, 5)[0, 3:] == 0).all()
    assert quantities(coarse, names, 5)[0, 2, 3] == 1, "a photon"


def test_leading_particles_of_each_jet():
    padded = np.zeros((2, 3, 6), dtype=np.float32)
    padded[..., 0] = [[9, 8, 7], [5, 0, 0]]
    first = Particles.of(padded).leading(2)
    assert list(first.pt) == [9, 8, 5]
    assert list(first.offsets) == [0, 2, 3]


def test_moving_a_jet_by_whole_steps_changes_nothing():
    generator = np.random.default_rng(3)
    padded = np.zeros((1, 30, 6))
    padded[0, :, 0] = np.sort(generator.exponential(9, 30))[::-1] + 0.2
    padded[0, :, 1:3] = generator.normal(0, 0.2, (30, 2))
    moved = padded.copy()
    moved[..., 1] += 100 * STEP
    moved[..., 2] += 700 * STEP
    moved[..., 2] = (moved[..., 2] + np.pi) % (2 * np.pi) - np.pi
    one = coarsen(Particles.of(padded), np.zeros((1, 2)), InputsSettings())
    two = coarsen(Particles.of(moved), np.array([[100 * STEP, 700 * STEP]]), InputsSettings())
    np.testing.assert_array_equal(one.pt, two.pt)
    np.testing.assert_allclose(one.eta, two.eta, atol=1e-12)
    np.testing.assert_allclose(one.phi, two.phi, atol=1e-12)


def test_features_of_fine_steps_approach_those_of_full_resolution():
    generator = np.random.default_rng(4)
    padded = np.zeros((5, 30, 6))
    padded[..., 0] = -np.sort(-generator.exponential(9, (5, 30))) + 0.2
    padded[..., 1:3] = generator.normal(0, 0.2, (5, 30, 2))
    given = Particles.of(padded)
    fine = InputsSettings(pt_step=1e-4, pt_bits=32, angle_step=1e-6, angle_bits=32)
    found, coarse = (
        observables(c.momenta(), c.offsets, FEATURES, groomed=False)
        for c in (coarsen(given, np.zeros((5, 2)), s) for s in (fine, InputsSettings()))
    )
    exact = observables(given.momenta(), given.offsets, FEATURES, groomed=False)
    np.testing.assert_allclose(found, exact, rtol=2e-4)
    assert (np.abs(coarse / exact - 1) > 1e-3).any(), "the resolution of the trigger is coarser"


def test_step_takes_nominal_jets_in_order(tmp_path):
    tables = [table(1, 30, "jes_up"), table(2, 50, "nominal"), table(3, 20, "jer_up")]
    path = write(tmp_path / "0000.parquet", *tables, table(4, 40, "nominal"))
    jets, sample = run(path, tmp_path / "a.h5")
    assert sample == "qcd"
    assert jets.feature_names == FEATURES
    assert jets.candidates.shape == (90, 16, 4)
    rows = np.concatenate([np.arange(30, 80), np.arange(100, 140)])
    np.testing.assert_array_equal(jets.scalars["row"], rows)
    everything = pyarrow.parquet.read_table(path)
    for name in ("event", "pt", "msoftdrop", "label", "weight"):
        np.testing.assert_array_equal(jets.scalars[name], everything[name].to_numpy()[rows])
    filled = jets.candidates[..., 0] > 0
    assert (np.diff(jets.candidates[..., 0], axis=1) <= 0).all(), "in falling pT"
    assert (jets.candidates[~filled] == 0).all()
    steps = jets.candidates[..., 2:] / STEP
    assert np.abs(steps - np.round(steps)).max() < 1e-4
    run(path, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_batches_give_what_a_file_at_once_gives(tmp_path, monkeypatch):
    path = write(tmp_path / "0000.parquet", table(2, 90, "nominal"))
    whole, _ = run(path, tmp_path / "a.h5")
    unchanged = observe.stream

    def small(*arguments, **options):
        return unchanged(*arguments, **(options | {"batch_rows": 7}))

    monkeypatch.setattr(observe, "stream", small)
    pieces, _ = run(path, tmp_path / "b.h5")
    np.testing.assert_array_equal(whole.features, pieces.features)
    np.testing.assert_array_equal(whole.scalars["row"], pieces.scalars["row"])


def test_full_resolution_sees_all_constituents(tmp_path):
    counts = np.arange(40) + 1
    path = write(tmp_path / "0000.parquet", table(5, 40, "nominal", counts=counts))
    full, _ = run(path, tmp_path / "a.h5", resolution="full", pt_min=5.0)
    np.testing.assert_array_equal(full.quantities(["multiplicity"], 0)[:, 0], counts)
    coarse, _ = run(path, tmp_path / "b.h5", pt_min=5.0)
    assert coarse.quantities(["multiplicity"], 0).sum() < counts.sum()
    np.testing.assert_array_equal(full.candidates, coarse.candidates)


def test_a_constant_feature_is_named(tmp_path):
    path = write(tmp_path / "0000.parquet", table(6, 60, "nominal", counts=np.arange(60) % 20 + 5))
    with pytest.raises(
        InputError, match=r"0000\.parquet: the same for all 60 jets.*multiplicity \(always 2\)"
    ):
        run(path, tmp_path / "a.h5", features_candidates=2)
    # the remedy that the message names; two particles have no correlations of three
    jets, _ = run(path, tmp_path / "b.h5", features_candidates=2, features=["c1_b1", "zlogz"])
    assert jets.feature_names == ("c1_b1", "zlogz")


def test_few_jets_may_have_one_multiplicity(tmp_path):
    path = write(tmp_path / "0000.parquet", table(6, 8, "nominal", counts=np.full(8, 30)))
    jets, _ = run(path, tmp_path / "a.h5", resolution="full")
    assert (jets.quantities(["multiplicity"], 0) == 30).all()


def test_a_feature_that_is_not_finite_is_named():
    values = np.random.default_rng(1).random((50, 2))
    observe.check_features(values, ("a", "b"), "x.parquet")
    values[7, 1] = np.nan
    with pytest.raises(InputError, match=r"x\.parquet: the feature b is nan for nominal jet 7"):
        observe.check_features(values, ("a", "b"), "x.parquet")


def test_jets_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "none.parquet", tmp_path / "a.h5")
    path = write(tmp_path / "shifted.parquet", table(1, 5, "jes_up"))
    with pytest.raises(InputError, match=r"shifted\.parquet: jets, but no nominal ones"):
        run(path, tmp_path / "a.h5")
    path = write(tmp_path / "empty.parquet", table(1, 5, "nominal").slice(0, 0))
    jets, _ = run(path, tmp_path / "a.h5")
    assert len(jets) == 0 and jets.features.shape == (0, 16)


def test_a_jet_with_too_many_particles_is_named(tmp_path):
    counts = np.array([3, 600, 4])
    path = write(tmp_path / "0000.parquet", table(1, 3, "nominal", counts=counts))
    with pytest.raises(InputError, match="the jet in row 1 has 512 particles or more"):
        run(path, tmp_path / "a.h5")


def test_settings_name_what_stands_twice():
    with pytest.raises(ValidationError, match="features: one stands twice"):
        InputsSettings(features=("zlogz", "zlogz"))
    with pytest.raises(ValidationError, match="quantities: one stands twice"):
        InputsSettings(quantities=("pt", "pt"))
