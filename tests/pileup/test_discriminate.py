"""The step that tells top jets from QCD jets, on toy events, and its settings."""

import json

import awkward as ak
import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.jets.settings import JetsSettings
from fullchain.metrics import read_metrics
from fullchain.pileup import discriminate, figures, plot, tabulate
from fullchain.pileup.discrimination_pairs import pairs
from fullchain.pileup.reading import read_chunks
from fullchain.pileup.settings import PileupSettings
from fullchain.pileup.weight_file import weight_writer
from fullchain.settings import validate
from fullchain.step import Given

SMALL = {
    "replicas": 20, "min_entries": 10, "interactions": [30, 40, 50, 80],
    "discriminant": {"folds": 2, "divisions": 1, "iterations": 10, "min_jets_in_leaf": 5},
}  # fmt: skip
SAMPLE = {
    "kind": "generated", "process": "qcd", "events": 100, "events_per_job": 100,
    "pthat_min": 525.0, "pthat_max": 675.0,
}  # fmt: skip
PRONGS = 3
HARD = 60  # the first candidates of an event, half of them in each jet


def with_truth(seed, top, sample_change=None):
    """Give a change of the toy: three prongs in a jet of a top quark, one of QCD; and the truth."""

    def change(content):
        rng = np.random.default_rng(seed)
        cands = content["PFCands"]
        n, jets = len(cands), content["GenJetAK8"]
        axis_eta, axis_phi = (ak.to_numpy(jets[name]) for name in ("eta", "phi"))
        pt = ak.to_numpy(jets["pt"]) / 0.99
        turn = rng.uniform(0, 2 * np.pi, (n, 2, 1)) + 2 * np.pi / PRONGS * np.arange(PRONGS)
        prong_eta = axis_eta[..., None] + 0.27 * np.sin(turn)
        prong_phi = axis_phi[..., None] + 0.27 * np.cos(turn)
        if not top:
            prong_eta, prong_phi = (
                np.repeat(x[..., None], PRONGS, -1) for x in (axis_eta, axis_phi)
            )
        each = HARD // 2 // PRONGS
        shape = (n, 2, PRONGS, each)
        fields = {
            "pt": (pt / PRONGS)[..., None, None] * rng.dirichlet(np.ones(each), shape[:3]),
            "eta": prong_eta[..., None] + rng.normal(0, 0.03, shape),
            "phi": prong_phi[..., None] + rng.normal(0, 0.03, shape),
        }
        kept = cands[:, HARD:]
        hard = cands[:, :HARD]
        for name, values in fields.items():
            values = values.reshape(n, HARD)
            if name == "phi":
                values = wrapped(values)
            hard = ak.with_field(hard, ak.from_regular(values.astype(np.float32)), name)
        content["PFCands"] = ak.concatenate([hard, kept], axis=1)
        names = ("pt", "eta", "phi", "mass", "charge", "pdgId")
        content["GenCands"] = ak.zip({name: content["PFCands"][:, :HARD][name] for name in names})
        content["GenPart"] = decays(prong_eta, prong_phi, pt)
        if sample_change:
            sample_change(content)

    return change


def wrapped(phi):
    return (phi + np.pi) % (2 * np.pi) - np.pi


def decays(eta, phi, pt):
    """In each jet t -> b W, W -> q q, with the quarks along the prongs."""
    n = len(eta)
    rows = {name: np.zeros((n, 10)) for name in ("pt", "eta", "phi", "mass", "pdgId", "mother")}
    for jet in range(2):
        first = 5 * jet
        codes = (6, 5, 24, 2, -1) if jet == 0 else (-6, -5, -24, -2, 1)
        mothers = (-1, first, first, first + 2, first + 2)
        rows["pdgId"][:, first : first + 5] = codes
        rows["mother"][:, first : first + 5] = mothers
        for place, prong in ((1, 0), (3, 1), (4, 2)):
            rows["eta"][:, first + place] = eta[:, jet, prong]
            rows["phi"][:, first + place] = wrapped(phi[:, jet, prong])
            rows["pt"][:, first + place] = pt[:, jet] / PRONGS
        for place in (0, 2):
            rows["eta"][:, first + place] = eta[:, jet].mean(axis=-1)
            rows["phi"][:, first + place] = wrapped(phi[:, jet].mean(axis=-1))
            rows["pt"][:, first + place] = pt[:, jet]
    integers = {"pdgId": "pdgId", "mother": "genPartIdxMother"}
    found = {
        integers.get(name, name): values.astype(np.int32 if name in integers else np.float32)
        for name, values in rows.items()
    }
    found["status"] = np.full((n, 10), 22, np.int32)
    found["statusFlags"] = np.full((n, 10), 1 << 7, np.int32)
    return ak.zip({name: ak.from_regular(values) for name, values in found.items()})


@pytest.fixture(scope="module")
def toys(make_part):
    """Manifests of the sample of top quarks and of that of QCD."""
    return make_part(with_truth(1, True), "tt_toy"), make_part(with_truth(2, False), "qcd_toy")


def given(**changes):
    pileup = PileupSettings.model_validate({"discrimination": {**SMALL, **changes}})
    jets = JetsSettings().model_dump(mode="json")
    return Given({"seed": 1, "pileup": pileup.model_dump(mode="json"), "jets": jets})


def run(toys, path, settings=None, weights=()):
    discriminate.main(
        pair="toy", signals=[toys[0]], backgrounds=[toys[1]], weights=list(weights),
        numbers=path, settings=settings or given(),
    )  # fmt: skip
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def measured(toys, tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "toy.json"
    return path, run(toys, path)


def area(found, method, tagger="cut"):
    return found["methods"][method]["auc"][tagger]["area"]


def test_true_weights_are_at_least_as_good_as_none(measured):
    _, found = measured
    assert list(found["methods"]) == ["none", "chs", "puppi", "softkiller", "truth"]
    assert found["jets"]["top"] > 40 and found["jets"]["qcd"] > 40
    for tagger in ("cut", "transferred"):
        assert area(found, "truth", tagger)[0] >= area(found, "none", tagger)[0]
    top = {method: entries["top"] for method, entries in found["methods"].items()}
    assert top["truth"]["msoftdrop"]["response"][0] == pytest.approx(1.0, abs=0.01)
    assert top["none"]["msoftdrop"]["response"][0] > 1.02
    widths = {method: one["msoftdrop"]["resolution"][0] for method, one in top.items()}
    assert widths["truth"] < widths["puppi"] < widths["none"]
    assert top["puppi"]["msoftdrop"]["gain"][0] == pytest.approx(widths["puppi"] / widths["none"])
    assert 0 < top["puppi"]["tau32"]["shift"][0] < top["none"]["tau32"]["shift"][0]
    assert top["puppi"]["tau32"]["iqr"][0] < top["none"]["tau32"]["iqr"][0]
    assert "tau32" not in top["truth"]


def test_differences_are_those_of_the_areas(measured):
    _, found = measured
    for tagger in ("cut", "trained", "transferred"):
        above = found["methods"]["truth"]["auc"][tagger]["over_puppi"]
        expected = area(found, "truth", tagger)[0] - area(found, "puppi", tagger)[0]
        assert above[0] == pytest.approx(expected)
        # the same events resampled for both
        errors = area(found, "truth", tagger)[1], area(found, "puppi", tagger)[1]
        assert above[1] <= sum(errors)
    assert "over_puppi" not in found["methods"]["puppi"]["auc"]["cut"]


def test_trees_of_true_weights_are_their_own(measured):
    _, found = measured
    numbers = found["methods"]["truth"]["auc"]
    assert numbers["trained"]["area"] == numbers["transferred"]["area"]


def test_small_bins_are_left_out_and_named(measured):
    _, found = measured
    edges = [one["edges"] for one in found["methods"]["puppi"]["auc"]["cut"]["bins"]]
    assert edges == [[40, 50], [50, 80]]
    few = next(
        line for line in found["left_out"] if line.startswith("areas at 30 to 40 interactions")
    )
    assert "top jets" in few and "qcd jets" in few


def test_a_run_gives_the_same_again_whatever_the_order_of_events(
    toys, measured, make_part, tmp_path
):
    def shuffle(content):
        order = np.random.default_rng(3).permutation(len(content["event"]))
        for name in content:
            content[name] = content[name][order]

    path, _ = measured
    other = make_part(with_truth(1, True, shuffle), "tt_toy"), toys[1]
    run(other, tmp_path / "shuffled.json")
    assert (tmp_path / "shuffled.json").read_bytes() == path.read_bytes()


def learned_weights(manifest, path, sample):
    """Weights that are the truth."""
    with weight_writer(path, "graph", sample, whole=True) as writer:
        for chunk in read_chunks(manifest, events_per_chunk=17, truth=True):
            events = chunk.events
            ids = (events.run, events.luminosity_block, events.event)
            hard = events.truth.hard_fraction
            writer.write(chunk.file, chunk.first, ids, hard, events.event_offsets)
    return path


def test_learned_weights_are_measured_drawn_and_marked(toys, tmp_path):
    for name in ("tt", "qcd"):
        (tmp_path / name).mkdir()
    weights = [
        learned_weights(manifest, tmp_path / name / "0000.parquet", f"{name}_toy")
        for manifest, name in zip(toys, ("tt", "qcd"), strict=True)
    ]
    settings = given()
    settings.values["pileup"]["learned"] = {"graph": {"samples": ["low"]}}
    settings.values["ntuples"] = {"samples": {"low": {"pileup": 20.0, "pileup_profile": {}}}}
    path = tmp_path / "toy.json"
    found = run(toys, path, settings, weights)
    methods = found["methods"]
    assert area(found, "graph", "transferred") == area(found, "truth", "transferred")
    assert methods["graph"]["top"]["tau32"]["shift"] == [0.0, 0.0]
    assert methods["graph"]["top"]["msoftdrop"]["correlation"][0] == pytest.approx(1.0)
    assert found["trained"]["graph"] == pytest.approx([20 - 2 * 20**0.5, 20 + 2 * 20**0.5])
    assert found["beyond"]["graph"] == 1.0

    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"samples": {}}))
    metrics = tmp_path / "metrics.json"
    tabulate.main(numbers=empty, pairs=[path], metrics=metrics, settings=Given({}))
    rows = {row.name: row for row in read_metrics(metrics)[1]}
    row = rows["pair_toy.graph.auc.cut.over_puppi"]
    assert [row.value, row.uncertainty] == methods["graph"]["auc"]["cut"]["over_puppi"]
    assert "100% of the jets" in row.note
    assert rows["pair_toy.puppi.auc.cut.area"].note is None

    index = tmp_path / "figures" / "index.json"
    index.parent.mkdir()
    beams = Given({"ntuples": {"beams": {"energy": 13600.0}}})
    plot.main(numbers=empty, cost=empty, pairs=[path], index=index, settings=beams)
    drawn = json.loads(index.read_text())
    assert [entry["name"] for entry in drawn] == figures.of_pairs(["toy"])
    assert "Open points" in drawn[0]["caption"]

    with pytest.raises(InputError, match=r"weights of graph are there for one of tt_toy and qcd"):
        run(toys, path, settings, weights[:1])


def test_no_top_jets_are_named(toys, tmp_path):
    with pytest.raises(InputError, match=r"pair toy: sample tt_toy has no top jets of 2000 to"):
        run(toys, tmp_path / "x.json", given(jet_pt_min=2000, jet_pt_max=3000))


def test_few_jets_give_no_areas_and_this_is_said(toys, tmp_path):
    found = run(toys, tmp_path / "x.json", given(min_entries=1000))
    assert all("auc" not in entries for entries in found["methods"].values())
    assert any(line.startswith("areas under ROC curves") for line in found["left_out"])


@pytest.mark.parametrize("branches", ["GenPart", "GenCands"])
def test_truth_that_is_not_there_is_named(toys, make_part, tmp_path, branches):
    def strip(content):
        del content[branches]

    part = make_part(with_truth(1, True, strip), "tt_toy")
    with pytest.raises(InputError, match=rf"0000\.root.*{branches}.*discrimination\.pairs"):
        run((part, toys[1]), tmp_path / "x.json")


def test_pairs_that_are_there_are_found():
    dense = {**SAMPLE, "pileup": 140}
    overlay = {
        "ntuples": {
            "samples": {
                "qcd_pu140": dense,
                "tt_pu140": {**dense, "process": "tt"},
                "tt_pu80": {**dense, "process": "tt", "pileup": 80},
                "qcd_pu80": {**dense, "pileup": 81},
                "qcd_pu20": {**dense, "pileup": 20},
            }
        }
    }
    chosen = validate(overlay)
    assert chosen.pileup is not None
    samples = chosen.ntuples.samples
    found = pairs(chosen.pileup.discrimination.pairs, samples, chosen.pileup.trained_on)
    # not tt_a14, without pile-up, nor pu80, with two densities
    assert list(found) == ["pu50", "pu140"]
    assert (found["pu140"].signal, found["pu140"].background) == ("tt_pu140", "qcd_pu140")
    assert list(pairs(None, samples, {"qcd_pu50"})) == ["pu140"]
    assert pairs({}, samples, ()) == {}


@pytest.mark.parametrize(
    ("signal", "background", "more", "words"),
    [
        ("tt_pu5", "qcd_pu50", {}, r"pairs\.x: no sample is called 'tt_pu5'.*tt_pu50"),
        ("tt", "qcd_pu50", {}, "sample 'tt' has no pile-up"),
        ("cms", "qcd_pu50", {}, "sample 'cms' is not generated"),
        ("tt_pu50", "qcd_pu80", {}, "tt_pu50 and qcd_pu80 have different pile-up"),
        (
            "tt_pu50", "qcd_pu50",
            {"learned": {"graph": {"kind": "graph", "samples": ["qcd_pu50"]}}},
            "'qcd_pu50' trains learned weights",
        ),
    ],
)  # fmt: skip
def test_pairs_that_cannot_be_measured_are_named(signal, background, more, words):
    samples = {
        "cms": {"kind": "ingested", "files": ["x.root"], "cross_section_pb": 1.0},
        "qcd_pu80": {**SAMPLE, "pileup_profile": {20: 1, 140: 1}},
    }
    pair = {"x": {"signal": signal, "background": background}}
    overlay = {"pileup": {"discrimination": {"pairs": pair}, **more}}
    with pytest.raises(InputError, match=words):
        validate({"ntuples": {"samples": samples}, **overlay})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"jet_pt_max": 400}, "jet_pt_max.*must be larger than jet_pt_min"),
        ({"mass_max": 50}, "mass_max.*must be larger than mass_min"),
        ({"interactions": [0, 50, 50]}, "rising edges"),
        ({"pairs": {"a b": {"signal": "tt_pu50", "background": "qcd_pu50"}}}, "is no name"),
    ],
)
def test_wrong_settings_are_named(wrong, words):
    with pytest.raises(InputError, match=words):
        validate({"pileup": {"discrimination": wrong}})
