"""The steps on a small file: weights, jets with them, comparison of the methods."""

import json

import matplotlib.pyplot
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.jets.part import read
from fullchain.jets.settings import JetsSettings
from fullchain.metrics import read_metrics
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.pileup import compare, evaluate, figures, plot, tabulate, weights
from fullchain.pileup.methods import CLASSICAL
from fullchain.pileup.reading import read_chunks
from fullchain.pileup.settings import PileupSettings
from fullchain.pileup.weight_file import weight_writer
from fullchain.plotting import FigureSet
from fullchain.step import Given


def given(**pileup):
    model = PileupSettings.model_validate(pileup)
    return Given({"seed": 1, "pileup": model.model_dump(mode="json")})


OF_PLOT = Given({"ntuples": {"beams": {"energy": 13000.0}}})


def weigh(manifest, folder, method):
    path = folder / f"{method}.parquet"
    weights.main(
        manifest=manifest, method=method, weights=path, summary=folder / f"{method}.json",
        settings=given(),
    )  # fmt: skip
    return path


def jets_with(manifest, method, path=None):
    chosen = JetsSettings.model_validate(
        {"clustering": {"mitigation": method}, "selection": {"pt_min": 400, "pt_max": 900},
         "shifts": dict.fromkeys(JetsSettings().shifts)}
    )  # fmt: skip
    return next(read(manifest, chosen, 1, path).tables.groups("nominal", 1_000_000))


def test_weights_are_those_of_the_method(toy, tmp_path):
    path = weigh(toy, tmp_path, "puppi")
    (chunk,) = read_chunks(toy, events_per_chunk=100)
    expected = CLASSICAL["puppi"](chunk.events, PileupSettings().classical)
    table = pq.read_table(path)
    assert table["weight"].combine_chunks().flatten().to_numpy() == pytest.approx(expected)
    assert table["event"].to_pylist() == list(chunk.events.event)
    told = json.loads((tmp_path / "puppi.json").read_text())
    assert told["events"] == 40
    assert told["candidates"] == 40 * 960
    assert told["candidates_kept"] == np.sum(expected > 0)
    assert told["events_without_tracks_of_pileup"] == 0


def test_jets_take_computed_weights(toy, tmp_path):
    path = weigh(toy, tmp_path, "puppi")
    mitigated, as_is = jets_with(toy, "puppi", path), jets_with(toy, "none")
    with weight_writer(tmp_path / "one.parquet", "puppi", "toy", whole=True) as writer:
        for chunk in read_chunks(toy, events_per_chunk=13):
            events = chunk.events
            ids = (events.run, events.luminosity_block, events.event)
            writer.write(
                chunk.file, chunk.first, ids, np.ones(len(events.pt)), events.event_offsets
            )
    same = jets_with(toy, "puppi", tmp_path / "one.parquet")
    # columns without NaN, which equals nothing
    compared = ["event", "pt", "eta", "mass", "msoftdrop", "tau1", "d2", "constituents"]
    assert len(as_is) > 40
    assert same.select(compared).equals(as_is.select(compared))
    assert np.mean(mitigated["mass"].to_numpy()) < 0.95 * np.mean(as_is["mass"].to_numpy())
    given_weights = np.concatenate(
        [[c["puppi_weight"] for c in jet] for jet in mitigated["constituents"].to_pylist()]
    )
    assert given_weights.min() > 0
    assert np.any((given_weights > 0) & (given_weights < 1))


def test_jets_say_which_weights_they_need(toy, make_part, tmp_path):
    path = weigh(toy, tmp_path, "puppi")
    with pytest.raises(InputError, match="pileup weights --method softkiller"):
        jets_with(toy, "softkiller")
    with pytest.raises(InputError, match=r"puppi for toy, and those of softkiller"):
        jets_with(toy, "softkiller", path)
    with pytest.raises(InputError, match="needs no weights"):
        jets_with(toy, "auto", path)

    def other(content):
        content["event"] = content["event"] + np.uint64(1)

    with pytest.raises(InputError, match="other events or candidates"):
        jets_with(make_part(other), "puppi", path)


def test_a_file_without_association_is_refused(make_part, tmp_path):
    def strip(content):
        kept = ("pt", "eta", "phi", "mass", "pdgId", "charge")
        content["PFCands"] = content["PFCands"][list(kept)]

    with pytest.raises(InputError, match=r"0000\.root: no association of tracks"):
        weigh(make_part(strip), tmp_path, "puppi")


def test_dz_stands_in_for_the_association(toy, make_part):
    def strip(content):
        kept = ("pt", "eta", "phi", "mass", "pdgId", "charge", "dz", "dzErr", "d0", "d0Err")
        content["PFCands"] = content["PFCands"][list(kept)]

    (with_codes,) = read_chunks(toy, events_per_chunk=100)
    (without,) = read_chunks(make_part(strip), events_per_chunk=100)
    chosen = PileupSettings().classical
    one, other = (CLASSICAL["chs"](c.events, chosen) for c in (with_codes, without))
    assert np.mean(one == other) > 0.98


def test_jets_of_files_without_the_whole_event_stay_as_they_are(make_part, tmp_path):
    def strip(content):
        content["FatJet"] = content["FatJet"][["pt"]]

    manifest = make_part(strip)
    source = SourceFile("0000.root", "Events", 40, 40.0)
    other = manifest.parent / "nanoaod.json"
    write_part(other, PartManifest("toy", "0000", "nanoaod", (source,)))
    path = weigh(other, tmp_path, "puppi")
    assert pq.read_table(path).num_rows == 0
    assert "nanoaod" in json.loads((tmp_path / "puppi.json").read_text())["not_computed"]


def test_an_unknown_method_is_named(toy, tmp_path):
    with pytest.raises(InputError, match=r"--method pupi: known are none, chs, puppi"):
        weigh(toy, tmp_path, "pupi")


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn; of the files, which take long, one is written."""
    entries = []
    write = FigureSet.save

    def record(self, fig, name, title, caption):
        entries.append({"name": name, "title": title, "caption": caption})
        if name.startswith("jet_mass"):
            write(self, fig, name, title, caption)
        matplotlib.pyplot.close(fig)

    monkeypatch.setattr(FigureSet, "save", record)
    return entries


def test_methods_are_compared_and_drawn(toy, tmp_path, drawn):
    chosen = given(evaluation={"replicas": 20, "min_entries": 5, "interactions": [30, 50, 70]})
    numbers, cost = tmp_path / "numbers.json", tmp_path / "cost.json"
    # learned weights, and two trainings of them that lose neutral candidates by chance
    lost = {"graph": 0.0, "graph_seed0": 0.05, "graph_seed1": 0.2}
    learned = []
    for name, share in lost.items():
        learned.append(tmp_path / name / "0000.parquet")
        learned[-1].parent.mkdir()
        rng = np.random.default_rng(6)
        with weight_writer(learned[-1], name, "toy", whole=True) as writer:
            for chunk in read_chunks(toy, events_per_chunk=17, truth=True):
                events = chunk.events
                ids = (events.run, events.luminosity_block, events.event)
                kept = rng.random(len(events.pt)) >= share * (events.charge == 0)
                hard = events.truth.hard_fraction * kept
                writer.write(chunk.file, chunk.first, ids, hard, events.event_offsets)
    chosen.values["pileup"]["learned"] = {"graph": {"samples": ["train"]}}
    trained = {"pileup": 41.0, "pileup_profile": {}}
    chosen.values["ntuples"] = {"samples": {"train": trained}}
    evaluate.main(manifests=[toy], weights=learned, numbers=numbers, cost=cost, settings=chosen)
    found = json.loads(numbers.read_text())["samples"]["toy"]
    methods = found["methods"]
    assert list(methods) == ["none", "chs", "puppi", "softkiller", *lost, "truth"]
    assert methods["graph"]["n95"]["error_iqr"][0] == 0.0
    assert methods["graph_seed0"]["trained"] == pytest.approx([41 - 2 * 41**0.5, 41 + 2 * 41**0.5])
    assert [one["beyond"] for one in methods["graph"]["jet_mass"]["bins"]] == [False, True]
    by_seed = methods["graph"]["jet_mass"]["iqr_over_puppi_by_seed"]
    graph_met, true_met = (methods[name]["met"] for name in ("graph", "truth"))
    assert graph_met["resolution"] == true_met["resolution"]
    assert [one["resolution"] for one in graph_met["bins"]] == [
        one["resolution"] for one in true_met["bins"]
    ]
    assert methods["graph"]["jet_pt"]["correlation"][0] == pytest.approx(1)
    jet = {method: entries["jet_mass"] for method, entries in methods.items()}
    assert jet["none"]["response"][0] > 1.05 * jet["truth"]["response"][0]
    assert jet["puppi"]["error_iqr"][0] < jet["none"]["error_iqr"][0]
    assert methods["none"]["kept"]["neutral"]["pileup"][0] == 1
    assert methods["puppi"]["kept"]["charged"]["hard"][0] == 1
    assert methods["puppi"]["kept"]["charged"]["pileup"][0] < 0.1
    assert sum(one["interactions"] > 0 for one in jet["puppi"]["bins"]) == 2
    assert cost.exists()
    metrics = tmp_path / "metrics.json"
    tabulate.main(numbers=numbers, metrics=metrics, settings=Given({}))
    _, rows = read_metrics(metrics)
    by_name = {row.name: row for row in rows}
    assert by_name["toy.puppi.jet_mass.gain"].value == jet["puppi"]["gain"][0]
    row = by_name["toy.graph.jet_mass.iqr_over_puppi_by_seed"]
    assert row.value == by_seed["mean"][0]
    assert row.uncertainty == pytest.approx(np.hypot(by_seed["mean"][1], by_seed["spread"]))
    assert "2 trainings" in row.note and "which the weights were trained on" in row.note
    assert by_name["toy.puppi.ecf3.error_iqr"].value == methods["puppi"]["ecf3"]["error_iqr"][0]
    assert "toy.none.jet_mass.gain" not in by_name
    index = tmp_path / "figures" / "index.json"
    index.parent.mkdir()
    plot.main(numbers=numbers, cost=cost, index=index, settings=OF_PLOT)
    captions = {entry["name"]: entry["caption"] for entry in drawn}
    assert (index.parent / "jet_mass_toy.png").exists()
    assert list(captions) == figures.names(["toy"], [], learned=True)
    assert "not trained on" in captions["error_iqr_toy"]
    again = tmp_path / "again.json"
    evaluate.main(manifests=[toy], weights=learned, numbers=again, cost=cost, settings=chosen)
    assert again.read_bytes() == numbers.read_bytes()


def test_nothing_to_compare_is_no_error(tmp_path):
    numbers, cost, index = (tmp_path / f"{n}.json" for n in ("numbers", "cost", "index"))
    evaluate.main(numbers=numbers, cost=cost, settings=given())
    plot.main(numbers=numbers, cost=cost, index=index, settings=OF_PLOT)
    assert json.loads(index.read_text()) == []


def test_figures_without_learned_weights_do_not_speak_of_them(toy, tmp_path, drawn):
    chosen = given(
        evaluation={"replicas": 20, "min_entries": 5, "leading_jets": "AK4", "baseline": "chs"}
    )
    numbers, cost, index = (tmp_path / f"{n}.json" for n in ("numbers", "cost", "index"))
    evaluate.main(manifests=[toy], numbers=numbers, cost=cost, settings=chosen)
    plot.main(numbers=numbers, cost=cost, index=index, settings=OF_PLOT)
    assert [entry["name"] for entry in drawn] == figures.names(["toy"], [])
    titles = [entry["title"] for entry in drawn]
    assert any("AK4 jet mass" in title for title in titles)
    assert not any("AK8" in text for entry in drawn for text in entry.values())
    assert not any("trained" in entry["caption"] for entry in drawn)
    metrics = tmp_path / "metrics.json"
    tabulate.main(numbers=numbers, metrics=metrics, settings=Given({}))
    rows = {row.name: row for row in read_metrics(metrics)[1]}
    assert "toy.chs.jet_mass.gain" not in rows
    gain = rows["toy.puppi.jet_mass.gain"]
    assert gain.label == "toy, puppi: resolution over that of CHS, mass of AK4 jets"


@pytest.mark.parametrize("content", ["{}", "[1]", "no JSON"])
def test_files_that_hold_no_numbers_are_named(tmp_path, content):
    numbers = tmp_path / "numbers.json"
    numbers.write_text(content)
    with pytest.raises(InputError, match=r"numbers\.json: not numbers of the stage pileup"):
        tabulate.main(numbers=numbers, metrics=tmp_path / "metrics.json", settings=Given({}))
    with pytest.raises(InputError, match=r"numbers\.json: not numbers of the stage pileup"):
        plot.main(numbers=numbers, cost=numbers, index=tmp_path / "index.json", settings=OF_PLOT)


def test_truth_that_is_not_there_is_named(make_part, tmp_path):
    def strip(content):
        del content["GenJet"]

    manifest = make_part(strip)
    with pytest.raises(InputError, match=r"0000\.root.*GenJet_pt.*pileup\.evaluation\.samples"):
        list(read_chunks(manifest, events_per_chunk=10, truth=True))


def test_stored_weights_that_are_not_there_are_named(toy, tmp_path):
    with pytest.raises(InputError, match=r"pileup\.comparison\.samples"):
        compare.main(manifests=[toy], numbers=tmp_path / "x.json", settings=given())


def test_our_weights_agree_with_themselves(toy, make_part, tmp_path):
    chosen = PileupSettings().comparison
    (chunk,) = read_chunks(toy, events_per_chunk=100)
    import awkward as ak

    ours = compare.recomputed(chunk.events, chosen)

    def add(content):
        stored = ak.unflatten(ours.astype(np.float32), chunk.events.counts)
        content["PFCands"] = ak.with_field(content["PFCands"], stored, "puppiWeight")

    numbers = tmp_path / "x.json"
    compare.main(manifests=[make_part(add)], numbers=numbers, settings=given())
    found = json.loads(numbers.read_text())
    central = found["regions"]["0-2.5"]
    assert central["correlation"][0] == pytest.approx(1)
    assert central["close"][0] == 1
    assert found["jets"]["pt"]["median"][0] == pytest.approx(1, abs=1e-6)
    with uproot.open(toy.parent / "0000.root") as file:
        assert "PFCands_puppiWeight" not in file["Events"]
