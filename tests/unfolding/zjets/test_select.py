"""One part of a sample from ROOT to the table of events."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from fullchain.errors import InputError
from fullchain.jets.chance import event_words
from fullchain.jets.settings import JetsSettings
from fullchain.jets.shifts import kept_tracks
from fullchain.step import Given
from fullchain.unfolding import event_table, select
from fullchain.unfolding.jet_observables import SCALED, UNITS

SEED = 11
NAMES = tuple(UNITS)
SHIFTS = ("jes_up", "jes_down", "jer_up", "jer_down", "track_efficiency_down")
FACTORS = ("isr_up", "isr_down", "fsr_up", "fsr_down")


def run(manifest, *, shifts=None, selection=None, **options):
    """Run the step; give the path of the table and the summary."""
    jets = JetsSettings() if shifts is None else JetsSettings(shifts=shifts)
    given = {
        "seed": SEED,
        "jets": jets.model_dump(mode="json", include={"clustering", "shifts"}),
        "unfolding": {"selection": selection or {}},
    }
    events, summary = manifest.parent / "events.parquet", manifest.parent / "summary.json"
    select.main(manifest=manifest, events=events, summary=summary, settings=Given(given), **options)
    return events, json.loads(summary.read_text())


def table(path, shifts=SHIFTS, factors=FACTORS):
    return event_table.read([path], NAMES, particles=True, shifts=shifts, factors=factors)


def column(events, level, name):
    return level.values[:, NAMES.index(name)]


def test_every_event_is_counted(make_part, many):
    path, summary = run(make_part(many))
    found = table(path)
    for level, flags in (("gen", found.gen.passed), ("nominal", found.reco.passed)):
        flow = summary["cutflow"][level]
        counts = [flow[cut]["events"] for cut in flow]
        assert list(flow) == ["all", "two muons", "dimuon mass", "dimuon pT", "jet"]
        assert counts[0] == len(many) and counts == sorted(counts, reverse=True)
        assert flags.sum() == counts[-1]
        assert flow["jet"]["sum_of_weights"] == pytest.approx(found.weight[flags].sum())
    assert summary["rows"] == len(found)
    both = found.gen.passed & found.reco.passed
    expected = found.weight[both].sum() / found.weight[found.gen.passed].sum()
    assert summary["rates"]["efficiency"]["value"] == pytest.approx(expected)
    fakes = found.weight[found.reco.passed & ~found.gen.passed].sum()
    assert summary["rates"]["fakes"]["value"] == pytest.approx(
        fakes / found.weight[found.reco.passed].sum()
    )
    # events on both sides of the cut: fakes and misses are there
    assert (found.reco.passed & ~found.gen.passed).any()
    assert (found.gen.passed & ~found.reco.passed).any()


def test_the_same_particles_give_the_same_at_both_levels(make_part, many):
    """What the detector sees unchanged has the same values: the cuts and observables are alike."""
    events = [{"GenCands": e["GenCands"], "PFCands": e["GenCands"]} for e in many]
    path, summary = run(make_part(events), shifts={})
    found = table(path, shifts=())
    np.testing.assert_array_equal(found.gen.passed, found.reco.passed)
    np.testing.assert_array_equal(found.gen.values, found.reco.values)
    np.testing.assert_array_equal(found.gen.particles.features, found.reco.particles.features)
    assert summary["rates"]["efficiency"] == {"value": 1.0, "uncertainty": 0.0}


def test_muons_and_their_photons_are_not_in_the_jet(make_part, pair, one_jet, columns):
    """A photon beside a muon, and muons within the reach of the jet's clustering."""
    rng = np.random.default_rng(1)
    muons = pair(260.0, 0.0, 0.0)
    photon = (30.0, muons[0][1] + 0.02, muons[0][2], 0.0, 0, 22)
    jet = one_jet(rng, 270.0, 0.2, np.pi)
    event = columns([*muons, photon, *jet])
    path, _ = run(make_part([{"GenCands": event, "PFCands": event}]), shifts={})
    found = table(path, shifts=())
    particles = found.gen.particles.features
    assert not (np.abs(particles[:, 4]) == 13).any()
    assert particles[:, 0].max() < 269 and len(particles) == len(jet)
    expected = sorted((row[0] for row in jet), reverse=True)
    np.testing.assert_allclose(particles[:, 0], expected, rtol=1e-6)
    assert column(found, found.gen, "multiplicity")[0] == len(jet)
    # px and py of what is left balance the constituents themselves
    px = sum(row[0] * np.cos(row[2]) for row in jet)
    py = sum(row[0] * np.sin(row[2]) for row in jet)
    assert column(found, found.gen, "jet_pt")[0] == pytest.approx(np.hypot(px, py), rel=1e-6)
    total = [(p * np.cos(f), p * np.sin(f)) for p, _, f, *_ in [*muons, photon]]
    assert column(found, found.gen, "z_pt")[0] == pytest.approx(
        np.hypot(*np.sum(total, axis=0)), rel=1e-6
    )


def test_a_jet_beside_a_muon_is_not_the_leading_one(make_part, pair, one_jet, columns):
    rng = np.random.default_rng(2)
    muons = pair(260.0, 0.0, 0.0)
    beside = one_jet(rng, 400.0, muons[0][1] + 0.3, muons[0][2])
    away = one_jet(rng, 150.0, 0.2, np.pi)
    forward = one_jet(rng, 500.0, 2.4, 2.0)
    event = columns(muons + beside + away + forward)
    part = make_part([{"GenCands": event, "PFCands": event}])
    selection = {"dimuon": {"dressing_radius": 0.0}}
    path, _ = run(part, shifts={}, selection=selection)
    found = table(path, shifts=())
    assert column(found, found.gen, "jet_pt")[0] == pytest.approx(150.0, rel=0.1)
    near = {**selection, "jet": {"muon_distance": 0.0}}
    path, _ = run(part, shifts={}, selection=near)
    found = table(path, shifts=())
    assert column(found, found.gen, "jet_pt")[0] == pytest.approx(400.0, rel=0.15)


def test_tracks_of_other_vertices_are_not_in_the_jet(make_part, many):
    """CHS, which `auto` takes where the file has no PUPPI weights."""
    events = []
    for event in many:
        seen = dict(event["PFCands"])
        muon = np.abs(seen["pdgId"]) == 13
        n = len(seen["pt"])
        seen["fromPV"] = np.full(n, 3)
        other = {name: values[~muon] for name, values in seen.items()}
        other["pt"] = 0.5 * other["pt"]
        other["fromPV"] = np.zeros_like(other["fromPV"])
        seen = {name: np.concatenate([seen[name], other[name]]) for name in seen}
        charged = (seen["charge"] != 0) | (seen["fromPV"] == 3)
        seen = {name: values[charged] for name, values in seen.items()}
        events.append({"GenCands": event["GenCands"], "PFCands": seen})
    path, _ = run(make_part(events), shifts={})
    with_pileup = table(path, shifts=())
    path, _ = run(make_part(many), shifts={})
    without = table(path, shifts=())
    np.testing.assert_array_equal(with_pileup.reco.values, without.reco.values)


def test_a_scale_shift_scales_mass_and_pt_and_repeats_the_selection(make_part, many):
    shifts = {"up": {"kind": "jes", "shift": 0.05}, "down": {"kind": "jes", "shift": -0.3}}
    selection = {"jet": {"pt_min": 180.0}}
    path, _ = run(make_part(many), shifts=shifts, selection=selection)
    found = table(path, shifts=("up", "down"))
    up, down = found.shifted["up"], found.shifted["down"]
    # the threshold is crossed in both directions
    assert (up.passed & ~found.reco.passed).any() and (found.reco.passed & ~down.passed).any()
    for level, factor in ((up, 1.05), (down, 0.7)):
        assert (level.values[level.passed, NAMES.index("jet_pt")] >= 180.0).all()
        both = np.flatnonzero(found.reco.passed & level.passed)
        for number, name in enumerate(NAMES):
            expected = found.reco.values[both, number] * (factor if name in SCALED else 1.0)
            np.testing.assert_allclose(level.values[both, number], expected, rtol=1e-12)
        own, nominal = level.particles.take(both), found.reco.particles.take(both)
        np.testing.assert_allclose(own.features[:, 0], nominal.features[:, 0] * factor, rtol=1e-6)
        np.testing.assert_array_equal(own.features[:, 1:], nominal.features[:, 1:])


def test_a_resolution_shift_moves_the_jet_away_from_the_particle_level(make_part, many):
    shifts = {"worse": {"kind": "jer", "factor": 1.5}}
    path, _ = run(make_part(many), shifts=shifts)
    found = table(path, shifts=("worse",))
    both = found.gen.passed & found.reco.passed & found.shifted["worse"].passed
    gen, nominal, worse = (
        column(found, level, "jet_pt")[both]
        for level in (found.gen, found.reco, found.shifted["worse"])
    )
    # beyond three resolutions, some 20 % here, a jet counts as not matched and is smeared
    near = np.abs(nominal - gen) < 0.15 * nominal
    assert near.sum() > 25
    np.testing.assert_allclose(
        (worse - gen)[near], 1.5 * (nominal - gen)[near], rtol=1e-9, atol=1e-9
    )


def test_lost_tracks_change_what_is_clustered_and_spare_the_muons(make_part, many):
    shifts = {"lost": {"kind": "track_efficiency", "loss": 0.4}}
    path, summary = run(make_part(many), shifts=shifts)
    found = table(path, shifts=("lost",))
    lost = found.shifted["lost"]
    both = np.flatnonzero(found.reco.passed & lost.passed)
    before = column(found, found.reco, "multiplicity")[both]
    after = column(found, lost, "multiplicity")[both]
    assert (after <= before).all() and (after < before).mean() > 0.8
    flow = summary["cutflow"]
    assert flow["lost"]["dimuon pT"] == flow["nominal"]["dimuon pT"]
    charged, fewer = (
        (level.particles.take(both).features[:, 3] != 0).sum() for level in (found.reco, lost)
    )
    assert fewer / charged == pytest.approx(0.6, abs=0.1)
    neutral, same = (
        (level.particles.take(both).features[:, 3] == 0).sum() for level in (found.reco, lost)
    )
    # a jet without some of its tracks may take in or leave out a neutral particle at its edge
    assert same == pytest.approx(neutral, abs=5)


def test_the_tracks_that_are_lost_are_those_of_the_stage_jets(make_part, many):
    shifts = {"lost": {"kind": "track_efficiency", "loss": 0.3}}
    path, _ = run(make_part(many), shifts=shifts)
    found = table(path, shifts=("lost",))
    n = len(many)
    ones, numbers = np.ones(n, np.uint32), np.arange(1, n + 1, dtype=np.uint64)
    words = event_words(SEED, ones, ones, numbers, keys=("jets", "toy", "track_efficiency"))
    loss = JetsSettings(shifts=shifts).shifts["lost"]
    lost = found.shifted["lost"]
    both = np.flatnonzero(found.reco.passed & lost.passed)
    same = 0
    for row in both:
        candidates = many[found.ids[row, 2] - 1]["PFCands"]
        count = len(candidates["pt"])
        word = np.full(count, words[found.ids[row, 2] - 1])
        kept = kept_tracks(loss, candidates["charge"], word, np.arange(count))
        survive = candidates["pt"][kept].astype(np.float32)
        before, after = (
            level.particles.take(np.array([row])).features[:, 0] for level in (found.reco, lost)
        )
        assert np.isclose(after[:, None], survive, rtol=1e-6).any(axis=1).all()
        expected = np.isclose(before[:, None], survive, rtol=1e-6).any(axis=1).sum()
        same += expected == len(after)
    # what is lost may move the axis, and with it a particle at the edge
    assert same > 0.9 * len(both) > 30


def test_the_shifts_are_those_that_are_named(make_part, many):
    part = make_part(many)
    path, summary = run(part, selection={"shifts": ["jer_up"], "particles": False})
    names = pq.read_schema(path).names
    assert {name.split("__")[1] for name in names if "__" in name} == {"jer_up"}
    assert not any("particles" in name for name in names)
    assert set(summary["cutflow"]) == {"gen", "nominal", "jer_up"}
    with pytest.raises(InputError, match=r"'jec_up' is not in jets\.shifts"):
        run(part, selection={"shifts": ["jec_up"]})


def test_weights_and_factors_are_those_of_the_file(make_part, many):
    path, summary = run(make_part(many))
    found = table(path)
    n = len(many)
    weight = np.linspace(0.5, 1.5, n).astype(np.float32).astype(float)
    chance = np.random.default_rng(5).uniform(0.8, 1.2, (n, 4)).astype(np.float32).astype(float)
    rows = found.ids[:, 2] - 1
    np.testing.assert_array_equal(found.weight, weight[rows])
    # order of NanoAOD: ISR up, FSR up, ISR down, FSR down
    for name, place in (("isr_up", 0), ("fsr_up", 1), ("isr_down", 2), ("fsr_down", 3)):
        np.testing.assert_array_equal(found.factors[name], chance[rows, place])
    assert summary["factors"] == list(FACTORS)


def test_chunks_do_not_matter_nor_does_time(make_part, many):
    part = make_part(many)
    contents = []
    for size in (60, 7, 7):
        path, _ = run(part, events_per_chunk=size)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] == contents[2]


def test_recorded_data_fail_the_particle_level(make_part, many):
    path, summary = run(make_part(many, is_data=True, drop=("genWeight", "GenCands", "PSWeight")))
    found = event_table.read([path], NAMES, particles=True)
    assert not found.gen.passed.any() and found.reco.passed.all() and len(found) > 10
    np.testing.assert_array_equal(found.weight, 1.0)
    assert set(summary["cutflow"]) == {"nominal"} and summary["rates"] == {}
    assert summary["factors"] == [] and event_table.about(path)["is_data"]


def test_branches_of_the_generator_in_recorded_data_are_not_looked_at(make_part, many):
    path, summary = run(make_part(many, is_data=True))
    found = event_table.read([path], NAMES)
    assert not found.gen.passed.any()
    np.testing.assert_array_equal(found.weight, 1.0)
    assert summary["factors"] == []


def test_a_part_of_recorded_data_may_have_no_z(make_part, many, capsys):
    selection = {"dimuon": {"pt_min": 900.0}}
    path, summary = run(make_part(many, is_data=True), selection=selection)
    assert summary["rows"] == 0 and summary["cutflow"]["nominal"]["all"]["events"] == len(many)
    assert "no event passes the selection of the detector level" in capsys.readouterr().err
    found = event_table.read([path, path], NAMES, particles=True)
    assert len(found) == 0


@pytest.mark.parametrize(
    ("level", "words"), [("GenCands", "particle level"), ("PFCands", "detector level")]
)
def test_an_empty_selection_says_where_the_events_went(make_part, many, level, words):
    bad = [dict(event) for event in many]
    for event in bad:
        soft = dict(event[level])
        soft["pt"] = np.where(np.abs(soft["pdgId"]) == 13, soft["pt"], 0.1 * soft["pt"])
        event[level] = soft
    with pytest.raises(InputError, match=f"{words} \\(all 60, two muons .*jet 0\\).*pthat_min"):
        run(make_part(bad))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("PFCands", "no event has a muon among its particle-flow candidates"),
        ("GenCands", "particle level .*two muons 0"),
    ],
)
def test_a_sample_without_muons_is_named(make_part, many, level, words):
    bad = [dict(event) for event in many]
    for event in bad:
        code = event[level]["pdgId"]
        event[level] = event[level] | {"pdgId": np.where(np.abs(code) == 13, 211, code)}
    with pytest.raises(InputError, match=f"{words}.*process zmumu"):
        run(make_part(bad))


def test_a_simulation_without_generator_particles_is_named(make_part, many):
    with pytest.raises(InputError, match=r"GenCands_\*.*is_data: true"):
        run(make_part(many, drop=("GenCands",)))


@pytest.mark.parametrize("branch", ["PFCands_pdgId", "PFCands_mass"])
def test_a_missing_branch_is_named(make_part, many, branch):
    with pytest.raises(InputError, match=branch):
        run(make_part(many, drop=(branch,)))


def test_files_with_the_particles_of_jets_only_are_refused(make_part, many, monkeypatch):
    from fullchain.ntuples.layouts.pfnano import PFNano

    monkeypatch.setattr(PFNano, "covers_whole_event", False)
    with pytest.raises(InputError, match="need those of the whole event"):
        run(make_part(many))
