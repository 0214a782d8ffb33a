"""The generated files: layout, links, independence of jobs, faults."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given as for_all
from hypothesis import strategies as st

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.ntuples import generate, initialise, manifest, manifests, nanoaod, pool, pool_file
from fullchain.ntuples.branches import COLLECTIONS
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.step import Given

SAMPLE = {
    "kind": "generated",
    "process": "wjet",
    "events": 200,
    "events_per_job": 200,
    "pthat_min": 525.0,
    "pthat_max": 675.0,
}
Generate = Callable[..., Path]


def settings(**changes: Any) -> Given:
    sample = {**SAMPLE, **changes}
    ntuples = NtuplesSettings(
        samples={"w": sample}, pool={"events": 100}, cross_section_events=1000
    )
    return Given({"seed": 5, "ntuples": ntuples.model_dump(mode="json")})


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pythia")
    initialise.main(
        sample="w",
        initialisation=folder / "pythia.mpi",
        generator=folder / "generator.json",
        settings=settings(),
    )
    return folder


@pytest.fixture(scope="module")
def run(initialised: Path, tmp_path_factory: pytest.TempPathFactory) -> Generate:
    def generate_part(
        part: str = "0000", pools: tuple[Path, ...] = (), folder: Path | None = None, **changes: Any
    ) -> Path:
        folder = folder or tmp_path_factory.mktemp("sample")
        generate.main(
            initialisation=initialised / "pythia.mpi",
            generator=initialised / "generator.json",
            pool=list(pools),
            sample="w",
            part=part,
            ntuple=folder / f"{part}.root",
            manifest=folder / f"{part}.json",
            settings=settings(**changes),
        )
        return folder / f"{part}.root"

    return generate_part


@pytest.fixture(scope="module")
def whole(run: Generate) -> Path:
    return run()


def events_of(*paths: Path) -> ak.Array:
    return ak.concatenate([uproot.open(path)["Events"].arrays() for path in paths])


@pytest.fixture(scope="module")
def events(whole: Path) -> ak.Array:
    return events_of(whole)


def same(one: ak.Array, other: ak.Array) -> bool:
    assert one.fields == other.fields
    return all(ak.array_equal(one[name], other[name], equal_nan=True) for name in one.fields)


def test_jobs_do_not_change_events(run: Generate, events: ak.Array) -> None:
    parts = [run(part, events_per_job=100) for part in ("0001", "0000")]
    assert same(events_of(parts[1], parts[0]), events)


def test_the_same_job_gives_the_same_bytes(run: Generate, whole: Path) -> None:
    again = run()
    assert again.read_bytes() == whole.read_bytes()
    assert again.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()


def test_events_are_numbered(events: ak.Array) -> None:
    assert events["event"].to_list() == list(range(1, 201))
    assert events["luminosityBlock"].to_list() == [1] * 100 + [2] * 100
    assert set(events["run"].to_list()) == {1}


def test_every_branch_is_documented(whole: Path) -> None:
    with uproot.open(whole) as file:
        found = {branch.name: branch.title for branch in file["Events"].branches}
    assert found == nanoaod.titles()
    assert all(title and not title.endswith("/F") for title in found.values())
    with_unit = [name for name, title in found.items() if title.endswith("]")]
    assert {"PFCands_pt", "PFCands_d0Err", "FatJet_msoftdrop", "MET_pt", "PV_z"} <= set(with_unit)


def test_the_documentation_lists_every_branch(project: Path) -> None:
    text = (project / "docs" / "stages" / "ntuples.md").read_text(encoding="utf-8")
    for collection in COLLECTIONS:
        for branch in collection.branches:
            name = "_".join(word for word in (collection.name, branch.name) if word)
            assert f"| `{name}` |" in text, f"{name}: run docs/_hooks/branches_table.py"


def test_coffea_reads_the_file(whole: Path) -> None:
    from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

    NanoAODSchema.warn_missing_crossrefs = False
    nano = NanoEventsFactory.from_root(
        {str(whole): "Events"}, schemaclass=NanoAODSchema, mode="virtual"
    ).events()
    assert len(nano) == 200
    mother = nano.GenPart.parent
    boson = nano.GenPart[(abs(nano.GenPart.pdgId) == 24) & nano.GenPart.hasFlags("isLastCopy")]
    assert ak.all(ak.num(boson) == 1)
    of_boson = abs(mother.pdgId) == 24
    assert ak.all(ak.sum(ak.fill_none(of_boson, False), axis=1) >= 2)
    assert "GeV" in nano.FatJet.pt.__doc__


def momentum(pt: Any, eta: Any, phi: Any, mass: Any) -> tuple[Any, ...]:
    return (
        pt * np.cos(phi),
        pt * np.sin(phi),
        pt * np.sinh(eta),
        np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2),
    )


@pytest.mark.parametrize(
    ("jet", "link", "candidate"),
    [
        ("FatJet", "FatJetPFCands", "PFCands"),
        ("Jet", "JetPFCands", "PFCands"),
        ("GenJetAK8", "GenFatJetCands", "GenCands"),
    ],
)
def test_constituents_add_up_to_the_jet(
    events: ak.Array, jet: str, link: str, candidate: str
) -> None:
    index = events[f"{link}_pFCandsIdx"]
    four = momentum(*(events[f"{candidate}_{k}"][index] for k in ("pt", "eta", "phi", "mass")))
    jets = momentum(*(events[f"{jet}_{k}"] for k in ("pt", "eta", "phi", "mass")))
    for number in range(int(ak.max(ak.num(jets[0])))):
        has = ak.num(jets[0]) > number
        inside = events[f"{link}_jetIdx"] == number
        for summed, one in zip(four, jets, strict=True):
            found = ak.to_numpy(ak.sum(summed[inside], axis=1)[has])
            expected = ak.to_numpy(one[has][:, number])
            # Rounded to 10 and 12 bits.
            energy = ak.to_numpy(jets[3][has][:, number])
            assert found == pytest.approx(expected, abs=float(np.max(energy)) * 2e-3 + 0.1)
    if jet == "FatJet":
        number = ak.sum(events[f"{link}_jetIdx"] == 0, axis=1)
        has = ak.num(events["FatJet_nConstituents"]) > 0
        assert ak.all(number[has] == events["FatJet_nConstituents"][has][:, 0])


def test_jets_are_ordered_and_linked_to_generated_ones(events: ak.Array) -> None:
    for name in ("FatJet", "Jet", "GenJetAK8", "GenJet"):
        pt = events[f"{name}_pt"]
        assert ak.all(pt[:, :-1] >= pt[:, 1:])
    index = events["FatJet_genJetAK8Idx"]
    leading = ak.num(index) > 0
    assert ak.all(index < ak.num(events["GenJetAK8_pt"]))
    found = index[leading][:, 0] >= 0
    assert ak.mean(found) > 0.98
    generated = events["GenJetAK8_pt"][leading][found][ak.singletons(index[leading][found][:, 0])]
    response = events["FatJet_pt"][leading][found][:, 0] / generated[:, 0]
    assert ak.mean(response) == pytest.approx(1.0, abs=0.03)
    assert ak.std(response) < 0.1


def test_mothers_stand_before_daughters_in_the_file(events: ak.Array) -> None:
    mother = events["GenPart_genPartIdxMother"]
    assert ak.all(mother < ak.local_index(mother))
    assert ak.all(mother >= -1)


def test_values_are_sane(events: ak.Array) -> None:
    for name in events.fields:
        values = ak.to_numpy(ak.flatten(events[name], axis=None))
        assert np.all(np.isfinite(values)), name
    assert ak.all(events["PSWeight"] == 1)
    assert ak.all(ak.num(events["PSWeight"]) == 1)
    assert ak.all(events["Pileup_nPU"] == 0)
    assert ak.all(events["PFCands_hardFraction"] == 1)
    assert ak.mean(events["PV_npvs"]) == 1
    assert ak.mean(abs(events["PV_z"] - events["GenVtx_z"]) < 0.05) > 0.98
    assert ak.all((events["Generator_x1"] > 0) & (events["Generator_x1"] < 1))
    assert ak.all((events["Generator_binvar"] > 520) & (events["Generator_binvar"] < 680))


def test_the_manifest_describes_the_file(whole: Path, initialised: Path, tmp_path: Path) -> None:
    part = manifests.read_part(whole.with_suffix(".json"))
    assert (part.events, part.sum_of_weights, part.layout) == (200, 200.0, "pfnano")
    (file,) = part.files
    assert (file.path, file.tree) == (whole.name, "Events")
    assert file.sha256 == checksum(whole)
    generator = json.loads((initialised / "generator.json").read_text())
    assert part.cross_section_pb == generator["cross_section_pb"]
    assert 0 < generator["cross_section_error_pb"] < 0.05 * generator["cross_section_pb"]
    with uproot.open(whole) as root:
        runs = root["Runs"].arrays()
        assert runs["genEventCount"][0] == 200
        assert runs["genCrossSection"][0] == part.cross_section_pb
        assert root["LuminosityBlocks/luminosityBlock"].array().to_list() == [1, 2]
    together = tmp_path / "manifest.json"
    manifest.main(
        parts=[whole.with_suffix(".json")],
        generator=[initialised / "generator.json"],
        manifest=together,
        settings=Given({}),
    )
    content = json.loads(together.read_text())
    assert content["events"] == 200
    assert content["generator"] == generator


@pytest.fixture(scope="module")
def pileup_pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("minbias") / "pool.root"
    pool.main(pool=path, settings=settings())
    return path


def test_pileup_is_laid_over(run: Generate, pileup_pool: Path) -> None:
    path = run(pools=(pileup_pool,), pileup=15.0, events=100, events_per_job=100)
    events = events_of(path)
    number = ak.to_numpy(events["Pileup_nPU"])
    assert np.mean(number) == pytest.approx(15.0, abs=4 * np.sqrt(15.0 / 100))
    assert set(events["Pileup_nTrueInt"].to_list()) == {15.0}
    vertices = ak.to_numpy(events["PV_npvs"])
    assert np.corrcoef(number, vertices)[0, 1] > 0.6
    assert ak.all(ak.num(events["OtherPV_z"]) == vertices - 1)
    # Charged candidates of pile-up are mostly told from those of the hard collision.
    charged = events["PFCands_charge"] != 0
    hard = events["PFCands_hardFraction"] == 1
    central = abs(events["PFCands_eta"]) < 2.0
    keeps = ak.mean(events["PFCands_fromPV"][charged & hard & central] != 0)
    passes = ak.mean(events["PFCands_fromPV"][charged & ~hard & central] != 0)
    assert keeps > 0.93
    assert passes < 0.35


def test_pool_holds_collisions(pileup_pool: Path) -> None:
    found = pool_file.read(pileup_pool)
    assert len(found.offsets) == 101
    assert found.offsets[-1] == len(found.particles)
    assert 50 < len(found.particles) / 100 < 400
    assert np.all(np.abs(found.particles.eta) < 5.4001)
    # A decay far from the collision keeps its place.
    assert 0.001 < np.mean(np.hypot(found.particles.x, found.particles.y) > 1.0) < 0.3


def test_a_missing_or_broken_pool_is_named(run: Generate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one pool"):
        run(pileup=15.0)
    broken = tmp_path / "pool.root"
    broken.write_bytes(b"not a ROOT file")
    with pytest.raises(InputError, match=r"pool\.root: not a pile-up pool"):
        run(pools=(broken,), pileup=15.0)
    with pytest.raises(InputError, match="no such pile-up pool"):
        run(pools=(tmp_path / "absent.root",), pileup=15.0)


def test_a_kill_leaves_no_half_file(
    initialised: Path, tmp_path: Path, events: ak.Array, run: Generate
) -> None:
    command = [
        *(sys.executable, "-c", "import sys; from fullchain.cli import main; sys.exit(main())"),
        *("ntuples", "generate", "--sample", "w", "--part", "0000"),
        *("--initialisation", str(initialised / "pythia.mpi")),
        *("--generator", str(initialised / "generator.json")),
        *("--ntuple", str(tmp_path / "0000.root"), "--manifest", str(tmp_path / "0000.json")),
        *("--settings", json.dumps(settings().values)),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".unfinished*")):
            assert job.poll() is None, "the job ended before it wrote anything"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        job.send_signal(signal.SIGKILL)
    assert not (tmp_path / "0000.root").exists()
    assert not (tmp_path / "0000.json").exists()
    assert same(events_of(run(folder=tmp_path)), events)
    assert not list(tmp_path.glob(".unfinished*"))


@for_all(
    st.floats(
        min_value=2.0**-100, max_value=2.0**100, allow_nan=False, allow_infinity=False, width=32
    ),
    st.integers(5, 23),
)
def test_rounding_keeps_the_stated_precision(value: float, bits: int) -> None:
    rounded = nanoaod.round_mantissa(np.array([value, -value]), bits)
    assert abs(rounded[0] - np.float32(value)) <= abs(value) * 2.0 ** -(bits + 1) * 1.0001
    assert rounded[1] == -rounded[0]
    assert nanoaod.round_mantissa(rounded, bits).tolist() == rounded.tolist()


def test_rounding_keeps_what_is_no_number() -> None:
    odd = np.array([np.inf, -np.inf, np.nan, 0.0], dtype=np.float32)
    assert np.array_equal(nanoaod.round_mantissa(odd, 10), odd, equal_nan=True)
