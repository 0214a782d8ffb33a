"""One vocabulary for all layouts: what a reader says of small files, and of real ones."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from coffea.nanoevents import NanoEventsFactory
from hypothesis import given
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.ntuples.layouts.base import (
    CANDIDATE_FIELDS,
    FATJET_FIELDS,
    Layout,
    group_by_parent,
    take_by_index,
)
from fullchain.ntuples.layouts.detect import SIGNATURES, detect_layout, get_signature
from fullchain.ntuples.layouts.nanoaod import charge_of
from fullchain.ntuples.layouts.registry import LAYOUTS, get_layout

Write = Callable[..., Path]
JET_TOLERANCE = 3e-3
"""Constituents are stored with 10-bit mantissas (2^-11 = 5e-4) and PUPPI weights in 1/255."""


def events_of(path: Path, layout: Layout, **options: Any) -> Any:
    where = {str(path): layout.tree}
    return NanoEventsFactory.from_root(
        where, schemaclass=layout.schema, mode="virtual", **options
    ).events()


def open_with_detected_layout(path: Path) -> tuple[Layout, Any]:
    layout = get_layout(detect_layout(path))
    return layout, events_of(path, layout)


def momentum_sum(particles: ak.Array, weight: ak.Array | float = 1.0) -> tuple[ak.Array, ak.Array]:
    """Transverse momentum and mass of each list of particles."""
    pt, mass = particles.pt * weight, particles.mass * weight
    px, py = (
        ak.sum(pt * np.cos(particles.phi), axis=-1),
        ak.sum(pt * np.sin(particles.phi), axis=-1),
    )
    pz = ak.sum(pt * np.sinh(particles.eta), axis=-1)
    energy = ak.sum(np.sqrt((pt * np.cosh(particles.eta)) ** 2 + mass**2), axis=-1)
    return np.hypot(px, py), np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))


def test_each_layout_has_a_reader_and_a_signature() -> None:
    assert set(LAYOUTS) == set(SIGNATURES)
    for name, layout in LAYOUTS.items():
        assert (layout.name, layout.tree) == (name, get_signature(name).tree)
    with pytest.raises(InputError, match="Unknown layout 'nano'; known layouts are nanoaod"):
        get_layout("nano")


@pytest.mark.parametrize(
    ("candidates", "linked", "expected"),
    [("PFCands", False, "pfnano"), ("PFCand", False, "pfnano"), (None, False, "nanoaod"),
     ("PFCand", True, "nanoaod")],
)  # fmt: skip
def test_detection_tells_whole_events_from_jet_constituents(
    tmp_path: Path, write_nano: Write, candidates: str | None, linked: bool, expected: str
) -> None:
    extra = {}
    if linked:
        index = ak.Array([[0, 1, 2, 3, 4, 5, 6]] * 6)
        extra["FatJetPFCand"] = ak.zip(
            {"pfCandIdx": ak.values_astype(index, np.int32), "jetIdx": ak.zeros_like(index)}
        )
    path = write_nano(tmp_path / "a.root", candidates=candidates, extra=extra)
    assert detect_layout(path) == expected


def test_early_pfnano_has_tables_of_its_own(tmp_path: Path, write_nano: Write) -> None:
    """Candidates of jets only, linked by JetPFCandsAK8 and JetPFCandsAK4: no whole event."""
    links = {
        name: ak.zip(
            {
                "candIdx": ak.values_astype(ak.Array([index] * 6), np.int32),
                "jetIdx": ak.values_astype(ak.Array([jet] * 6), np.int32),
            }
        )
        for name, index, jet in (
            ("JetPFCandsAK8", [4, 0, 2], [1, 0, 1]),
            ("JetPFCandsAK4", [1, 3, 5, 6], [0, 0, 1, 1]),
        )
    }
    path = write_nano(tmp_path / "a.root", drop=("FatJetPFCands",), extra=links)
    layout, events = open_with_detected_layout(path)
    assert layout.name == "nanoaod"
    pt = layout.candidates(events).pt[0].tolist()
    assert layout.fatjet_constituents(events).pt[0].tolist() == [[pt[0]], [pt[4], pt[2]]]


def test_what_cms_did_not_compute_is_not_a_number(tmp_path: Path, write_nano: Write) -> None:
    """NanoAOD writes -99999 or -1; -2e-5 is a mass of zero."""
    columns = {
        "pt": [600.0, 200.0], "eta": [0.0, 3.4], "phi": [0.0, 1.0], "mass": [90.0, 20.0],
        "msoftdrop": [-2e-5, -1.0], "n2b1": [0.3, -99968.0], "n3b1": [-1.0, -99968.0],
        "tau1": [0.2, 0.1],
    }  # fmt: skip
    jets = ak.zip({k: ak.values_astype(ak.Array([v] * 6), np.float32) for k, v in columns.items()})
    path = write_nano(tmp_path / "a.root", candidates=None, extra={"FatJet": jets})
    layout, events = open_with_detected_layout(path)
    found = layout.stored_fatjets(events)
    for field, expected in {
        "msoftdrop": [0, np.nan], "n2": [0.3, np.nan], "n3": [np.nan] * 2, "tau1": [0.2, 0.1],
        "tau2": [np.nan] * 2, "eta": [0, 3.4],
    }.items():  # fmt: skip
        np.testing.assert_allclose(found[field][0], expected, rtol=1e-6, err_msg=field)


@pytest.mark.parametrize("version", [9, 12])
def test_integers_of_all_versions_read_alike(
    tmp_path: Path, write_nano: Write, version: int
) -> None:
    """From v12 on, indices and counts are stored in fewer bits than in v9."""
    small = version == 12
    kinds = {
        "nConstituents": (np.uint8, [60, 255]),
        "genJetAK8Idx": (np.int16 if small else np.int32, [0, -1]),
        "hadronFlavour": (np.uint8 if small else np.int32, [5, 0]),
    }
    names = ("pt", "eta", "phi", "mass")
    columns = {name: ak.values_astype(ak.Array([[500.0, 400.0]] * 6), np.float32) for name in names}
    for name, (kind, values) in kinds.items():
        columns[name] = ak.values_astype(ak.Array([values] * 6), kind)
    place = {axis: np.zeros(6, np.float32) for axis in "xyz"}
    vertices = ak.zip({"npvs": np.full(6, 200, np.uint8 if small else np.int32), **place})
    extra = {"FatJet": ak.zip(columns), "PV": vertices}
    layout, events = open_with_detected_layout(
        write_nano(tmp_path / "a.root", candidates=None, extra=extra)
    )
    jets = layout.stored_fatjets(events)
    assert jets.n_constituents[0].tolist() == [60, 255]
    assert jets.gen_index[0].tolist() == [0, -1]
    assert jets.hadron_flavour[0].tolist() == [5, 0]
    assert str(ak.type(jets.gen_index)).endswith("int32")
    assert layout.pileup(events).vertices.tolist() == [200.0] * 6


def test_detection_knows_jetclass(tmp_path: Path, write_jetclass: Write) -> None:
    assert detect_layout(write_jetclass(tmp_path / "a.root")) == "jetclass"


@pytest.mark.parametrize("names", ["PFCands", "PFCand"])
def test_constituents_follow_the_link_table(tmp_path: Path, write_nano: Write, names: str) -> None:
    layout, events = open_with_detected_layout(write_nano(tmp_path / "a.root", candidates=names))
    candidates, jets = layout.candidates(events), layout.fatjet_constituents(events)
    assert tuple(candidates.fields) == CANDIDATE_FIELDS
    assert ak.num(jets, axis=1).tolist() == [2] * 6
    assert ak.num(jets, axis=2).tolist() == [[3, 3]] * 6
    expected = np.asarray(candidates.pt)[:, [0, 1, 2]], np.asarray(candidates.pt)[:, [5, 3, 4]]
    np.testing.assert_array_equal(np.asarray(jets.pt)[:, 0], expected[0])
    np.testing.assert_array_equal(np.asarray(jets.pt)[:, 1], expected[1])
    assert candidates.charge[0].tolist() == [1, -1, 0, 0, 1, -1, 0]
    assert ak.all(np.isnan(candidates.d0))
    assert ak.all(candidates.puppi_weight == 1)
    assert ak.all(candidates.from_pv == 3)
    assert layout.stored_fatjets(events).n_constituents.tolist() == [[3, 3]] * 6


def test_links_of_another_collection_are_refused(tmp_path: Path, write_nano: Write) -> None:
    links = ak.zip({"pFCandsIdx": ak.Array([[0, 7]] * 6), "jetIdx": ak.Array([[0, 1]] * 6)})
    path = write_nano(tmp_path / "a.root", extra={"FatJetPFCands": links})
    layout, events = get_layout("pfnano"), events_of(path, get_layout("pfnano"))
    with pytest.raises(InputError, match="candidates that do not exist"):
        layout.fatjet_constituents(events)


def test_a_file_without_constituents_still_has_jets(tmp_path: Path, write_nano: Write) -> None:
    path = write_nano(tmp_path / "a.root", candidates=None)
    layout, events = open_with_detected_layout(path)
    assert not layout.has_candidates(events)
    jets = layout.stored_fatjets(events)
    assert tuple(sorted(jets.fields)) == tuple(sorted(FATJET_FIELDS))
    assert ak.all(np.isnan(jets.tau1))
    assert ak.all(jets.n_constituents == -1)
    assert layout.gen_particles(events) is None
    assert layout.muons(events) is None
    with pytest.raises(InputError, match="no particle-flow candidates"):
        layout.candidates(events)
    with pytest.raises(InputError, match="FatJetPFCands"):
        layout.fatjet_constituents(events)


def test_columns_are_read_only_when_used(tmp_path: Path, write_nano: Write) -> None:
    layout = get_layout("pfnano")
    log: list[Any] = []
    events = events_of(write_nano(tmp_path / "a.root"), layout, access_log=log)
    candidates = layout.candidates(events, ["pt", "eta", "phi", "mass", "pdgId", "puppi_weight"])
    ak.sum(candidates.eta)
    assert {record.branch for record in log} == {"nPFCands", "PFCands_eta"}


def test_names_of_old_and_new_versions_read_alike(tmp_path: Path, write_nano: Write) -> None:
    met = ak.zip({"pt": np.arange(6, dtype=np.float32), "phi": np.zeros(6, np.float32)})
    rho = np.linspace(1, 2, 6, dtype=np.float32)
    old = {"MET": met, "fixedGridRhoFastjetAll": rho}
    new = {"PFMET": met, "Rho": ak.zip({"fixedGridRhoFastjetAll": rho})}
    layout = get_layout("pfnano")
    for number, extra in enumerate((old, new)):
        events = events_of(write_nano(tmp_path / f"{number}.root", extra=extra), layout)
        assert layout.met(events).pt.tolist() == [0, 1, 2, 3, 4, 5]
        np.testing.assert_array_equal(layout.pileup(events).rho, rho)
        assert layout.pileup(events).true_interactions is None


@pytest.mark.parametrize(("entries", "known"), [(4, True), (1, False), (46, False)])
def test_shower_weights_are_taken_in_the_order_of_cms(
    tmp_path: Path, write_nano: Write, entries: int, known: bool
) -> None:
    factors = ak.Array([[1.0 + 0.1 * i for i in range(entries)]] * 6)
    path = write_nano(tmp_path / "a.root", extra={"PSWeight": ak.values_astype(factors, "float32")})
    weights = get_layout("pfnano").weights(events_of(path, get_layout("pfnano")))
    assert weights.generator.tolist() == [-2, 2, 2, -2, 2, 2]
    if known:
        found = (weights.isr_up, weights.fsr_up, weights.isr_down, weights.fsr_down)
        np.testing.assert_allclose([f[0] for f in found if f is not None], [1, 1.1, 1.2, 1.3])
    else:
        assert weights.isr_up is None


def test_shower_weights_of_old_files_come_in_the_order_of_their_title() -> None:
    values = ak.Array([[0.8, 0.9, 1.2, 1.1]] * 3)
    found = {}
    for first in ("2", "0.5"):
        title = (
            f"PS weights (w_var / w_nominal); [0] is ISR={first} FSR=1; [1] is ISR=1 FSR={first}"
        )
        flat = ak.with_parameter(ak.flatten(values), "__doc__", title)
        events = ak.zip(
            {"genWeight": np.ones(3), "PSWeight": ak.unflatten(flat, [4, 4, 4])}, depth_limit=1
        )
        weights = get_layout("nanoaod").weights(events)
        pairs = (weights.isr_up, weights.isr_down, weights.fsr_up, weights.fsr_down)
        found[first] = [float(value[0]) for value in pairs if value is not None]
    assert found == {"2": [0.8, 1.2, 0.9, 1.1], "0.5": [1.2, 0.8, 1.1, 0.9]}


@pytest.mark.real_data
def test_the_title_of_a_branch_reaches_the_reader(pfnano: tuple[Layout, Any]) -> None:
    _, events = pfnano
    title = events["PSWeight"].layout.purelist_parameter("__doc__")
    assert title.startswith("dummy PS weight")


def test_vertex_association_from_pile_up_weights(tmp_path: Path, write_nano: Write) -> None:
    path = write_nano(tmp_path / "a.root")
    with uproot.open(path) as file:
        pf = {
            f: file["Events"][f"PFCands_{f}"].array() for f in ("pt", "eta", "phi", "mass", "pdgId")
        }
    columns = {
        "puppiWeight": [1.0, 0.0, 0.3, 0.0, 1.0, 1.0, 0.2],
        "pvAssocQuality": [7, 7, 7, 7, 5, 7, 7],
        "d0": [0.01, -1, -1, -1, -1.0, 0.02, -1],
        "d0Err": [0.001, -1, -1, -1, -1, 0.002, -1],
    }
    for name, values in columns.items():
        kind = np.int32 if name == "pvAssocQuality" else np.float32
        pf[name] = ak.values_astype(ak.Array([values] * 6), kind)
    layout = get_layout("pfnano")
    events = events_of(write_nano(tmp_path / "b.root", extra={"PFCands": ak.zip(pf)}), layout)
    first = layout.candidates(events)[0]
    assert first.from_pv.tolist() == [3, 0, 3, 3, 2, 3, 3]
    np.testing.assert_allclose(first.d0, [0.01, *[np.nan] * 4, 0.02, np.nan], rtol=1e-6)
    np.testing.assert_allclose(first.d0_err, [0.001, *[np.nan] * 4, 0.002, np.nan], rtol=1e-6)


def test_jetclass_in_the_same_vocabulary(tmp_path: Path, write_jetclass: Write) -> None:
    layout, events = open_with_detected_layout(write_jetclass(tmp_path / "a.root"))
    assert layout.stored_labels(events).tolist() == [[0], [5], [3], [6]]
    jets, constituents = layout.stored_fatjets(events), layout.fatjet_constituents(events)
    assert tuple(sorted(jets.fields)) == tuple(sorted(FATJET_FIELDS))
    assert ak.num(constituents, axis=2).tolist() == [[5]] * 4
    pt, mass = momentum_sum(constituents)
    np.testing.assert_allclose(ak.flatten(pt / jets.pt), 1, rtol=1e-5)
    np.testing.assert_allclose(ak.flatten(mass / jets.mass), 1, rtol=1e-3)
    candidates = layout.candidates(events)
    assert candidates.pdgId[0].tolist() == [211, 22, 130, 11, -13]
    np.testing.assert_allclose(candidates.mass[0], [0.14, 0, 0.5, 0.0, 0.1057], atol=0.1)
    np.testing.assert_allclose(candidates.d0[0], [0.05, np.nan, np.nan, 0.1, -0.2], rtol=1e-6)
    np.testing.assert_allclose(candidates.dz_err[0], [0.02, np.nan, np.nan, 0.01, 0.01], rtol=1e-6)
    total = sum(jets[name] for name in ("chf", "nhf", "phf", "elf", "muf"))
    np.testing.assert_allclose(ak.flatten(total), 1, rtol=1e-5)


def test_every_class_of_jetclass_has_a_label(tmp_path: Path, write_jetclass: Write) -> None:
    """Ours are of decays to hadrons; the classes are those of the authors' configuration."""
    expected = {
        "QCD": 0, "Hbb": 6, "Hcc": 6, "Hgg": 6, "H4q": 6, "Hqql": -1,
        "Zqq": 4, "Wqq": 3, "Tbqq": 5, "Tbl": -1,
    }  # fmt: skip
    layout, events = open_with_detected_layout(
        write_jetclass(tmp_path / "a.root", labels=tuple(expected))
    )
    assert ak.flatten(layout.stored_labels(events)).tolist() == list(expected.values())


def test_identity_of_a_jetclass_jet_does_not_depend_on_chunks(
    tmp_path: Path, write_jetclass: Write
) -> None:
    path = write_jetclass(tmp_path / "a.root")
    layout = get_layout("jetclass")

    def ids(start: int, stop: int) -> list[dict[str, int]]:
        part = events_of(
            path, layout, entry_start=start, entry_stop=stop,
            metadata={"filename": str(path), "entrystart": start},
        )  # fmt: skip
        return layout.event_ids(part).tolist()

    assert ids(0, 4) == ids(0, 1) + ids(1, 4)
    assert [i["event"] for i in ids(0, 4)] == [0, 1, 2, 3]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.lists(st.integers(-1, 5), max_size=12)),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_grouping_keeps_each_item_with_its_parent(events: list[tuple[int, list[int]]]) -> None:
    parents = ak.values_astype(ak.Array([links for _, links in events]), np.int64)
    if ak.sum(ak.num(parents)) == 0:
        parents = ak.Array([[0]] * len(events))[:, :0]
    items = ak.local_index(parents)
    number = np.array([count for count, _ in events])
    expected = [
        [[i for i, p in enumerate(links) if p == jet] for jet in range(count)]
        for count, links in events
    ]
    assert group_by_parent(items, parents, number).tolist() == expected


def test_index_outside_its_event_is_refused() -> None:
    items = ak.Array([[1, 2], [3]])
    assert take_by_index(items, ak.Array([[1, 0, 1], [0]])).tolist() == [[2, 1, 2], [3]]
    for bad in ([[0], [1]], [[-1], [0]]):
        with pytest.raises(InputError, match="do not exist"):
            take_by_index(items, ak.Array(bad))


def test_charge_of_particle_flow_classes() -> None:
    codes = ak.Array([[211, -211, 11, -11, 13, -13, 22, 130, 1, 2]])
    assert charge_of(codes).tolist() == [[1, -1, -1, 1, -1, 1, 0, 0, 0, 0]]


@pytest.fixture(scope="module")
def pfnano(shared_data: Path) -> tuple[Layout, Any]:
    return open_with_detected_layout(shared_data / "pfnano.root")


@pytest.fixture(scope="module")
def nano_v15(shared_data: Path) -> tuple[Layout, Any]:
    return open_with_detected_layout(shared_data / "nano_tt_v15.root")


@pytest.mark.real_data
def test_numbers_of_the_real_files(
    pfnano: tuple[Layout, Any], nano_v15: tuple[Layout, Any]
) -> None:
    """10 events with 1820 candidates each; 200 events with 64 AK8 jets in all."""
    layout, events = pfnano
    assert (layout.name, len(events)) == ("pfnano", 10)
    assert round(float(ak.mean(ak.num(layout.candidates(events)))), -1) == 1820
    layout, events = nano_v15
    assert (layout.name, len(events)) == ("nanoaod", 200)
    assert ak.sum(ak.num(layout.stored_fatjets(events))) == 64
    assert not layout.covers_whole_event


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["pfnano", "nano_v15"])
def test_real_constituents_add_up_to_their_jet(file: str, request: pytest.FixtureRequest) -> None:
    """With PUPPI weights, pT and mass of the uncorrected jet within `JET_TOLERANCE`.

    Two of the 64 jets of nano_tt_v15.root have no constituents in the file: those of |eta| > 2.5.
    """
    layout, events = request.getfixturevalue(file)
    jets, constituents = layout.stored_fatjets(events), layout.fatjet_constituents(events)
    assert ak.all(ak.num(jets) == ak.num(constituents))
    with_some = ak.num(constituents, axis=2) > 0
    assert ak.sum(~with_some) == (2 if file == "nano_v15" else 0)
    assert ak.all(with_some == (abs(jets.eta) <= 2.5))
    assert not ak.any(jets.n2 < 0) and not ak.any(jets.msoftdrop < 0)
    pt, mass = momentum_sum(constituents, constituents.puppi_weight)
    uncorrected = 1 - jets.raw_factor
    np.testing.assert_allclose(
        ak.flatten((pt / (jets.pt * uncorrected))[with_some]), 1, atol=JET_TOLERANCE
    )
    np.testing.assert_allclose(
        ak.flatten((mass / (jets.mass * uncorrected))[with_some]), 1, atol=JET_TOLERANCE
    )
    if file == "nano_v15":
        stored = jets.n_constituents[with_some]
        assert ak.all(stored == ak.num(constituents, axis=2)[with_some])


@pytest.mark.real_data
def test_real_particle_level_jets_add_up(pfnano: tuple[Layout, Any]) -> None:
    layout, events = pfnano
    jets = layout.gen_fatjets(events)
    assert jets is not None
    pt, mass = momentum_sum(jets.constituents)
    np.testing.assert_allclose(ak.flatten(pt / jets.pt), 1, atol=JET_TOLERANCE)
    np.testing.assert_allclose(ak.flatten(mass / jets.mass), 1, atol=2 * JET_TOLERANCE)


@pytest.mark.real_data
def test_real_pile_up_and_tracks(pfnano: tuple[Layout, Any]) -> None:
    """Tracks of the primary vertex point to it; mean pile-up is about 28 as in the anchors."""
    layout, events = pfnano
    candidates = ak.flatten(layout.candidates(events))
    tracks = candidates[~np.isnan(candidates.d0_err)]
    assert ak.all(tracks.charge != 0)
    assert ak.all(tracks.d0_err > 0)
    primary = tracks[tracks.from_pv == 3]
    other = tracks[tracks.from_pv == 0]
    assert np.median(np.abs(primary.dz)) < 0.01
    assert np.median(np.abs(other.dz)) > 1
    pile_up = layout.pileup(events)
    assert pile_up.true_interactions is not None
    assert 25 < pile_up.true_interactions.mean() < 32


@pytest.mark.real_data
def test_real_shower_weights(pfnano: tuple[Layout, Any], nano_v15: tuple[Layout, Any]) -> None:
    """pfnano.root has a dummy weight; in nano_tt_v15.root up and down lie around the nominal."""
    layout, events = pfnano
    assert layout.weights(events).isr_up is None
    layout, events = nano_v15
    weights = layout.weights(events)
    for up, down in ((weights.isr_up, weights.isr_down), (weights.fsr_up, weights.fsr_down)):
        assert up is not None
        assert down is not None
        assert 0.8 < np.mean(up) < 1.2
        assert np.mean((up - 1) * (down - 1) < 0) > 0.75


@pytest.mark.real_data
def test_real_generator_particles_have_their_mothers(
    pfnano: tuple[Layout, Any], nano_v15: tuple[Layout, Any]
) -> None:
    for layout, events in (pfnano, nano_v15):
        particles = layout.gen_particles(events)
        assert particles is not None
        assert ak.all(particles.mother >= -1)
        assert ak.all(particles.mother < ak.num(particles))
        assert ak.all(particles.mother != ak.local_index(particles.mother))
    tops = particles[abs(particles.pdgId) == 6]
    last = tops[(tops.statusFlags >> 13) & 1 == 1]
    assert ak.all(ak.num(last) == 2)


@pytest.mark.real_data
def test_no_warning_about_what_a_real_file_lacks_or_has(shared_data: Path) -> None:
    path = shared_data / "nano_tt_v15.root"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=RuntimeWarning)
        events = events_of(path, get_layout("nanoaod"))
    with uproot.open(path) as file:
        momenta = file["Events"]["FsrPhoton_pt"].array()
    assert ak.num(events.FsrPhoton.mass).tolist() == ak.num(momenta).tolist()
