"""The test configuration from nothing to the report, and what happens after it."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from flows import steps_running, wait_for
from fullchain.unfolding import unfolded_record

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_the_profile_is_used(finished) -> None:
    assert "workflow specific profile profiles/default" in finished.run("--dry-run")


def test_the_report_is_there(finished) -> None:
    page = finished.result("paper/index.html").read_text()
    assert "<html" in page
    metrics = finished.json("paper/metrics.json")
    stages = {metric["name"].split(".")[0] for metric in metrics["metrics"]}
    assert {"ntuples", "jets", "tagging", "calorimetry", "inference", "firmware"} <= stages


def test_every_step_left_its_provenance(finished) -> None:
    from fullchain.cli import steps

    recorded = {
        json.loads(path.read_text())["step"]
        for path in finished.folder.glob("results/test/**/*.provenance.json")
    }
    in_use = {f"{stage}.{step}" for stage, modules in steps().items() for step in modules}
    weights = {f"pileup.{step}" for step in ("weights", "train", "apply", "compare")}
    on_request = {"tagging.export_friend", "tagging.import_weights", *weights}
    on_request |= {"unfolding.pair", "inference.adopt"}
    ways = ("ingest", "convert", "generate_parameterised", "generate_learned")
    on_request |= {
        "calorimetry.refine",
        "firmware.build",
        "firmware.place",
        *(f"ntuples.{way}" for way in ways),
    }
    assert recorded >= in_use - on_request


def test_another_simulation_gives_every_method_an_uncertainty_of_the_model(finished) -> None:
    for method in ("ibu", "unifold", "multifold", "omnifold", "cinn", "flow_matching"):
        found = finished.json(f"unfolding/zjet/{method}/spectra.json")["spectra"]["published"]
        for name, spectrum in found.items():
            change = np.abs(spectrum["shifts"]["model_prior"])
            assert 0 < change.sum() < sum(spectrum["counts"]), (method, name)
    record = finished.result("unfolding/zjet/multifold/hepdata")
    table = yaml.safe_load((record / "mass.yaml").read_text())
    errors = [one for bin_ in table["dependent_variables"][0]["values"] for one in bin_["errors"]]
    assert "sys,model_prior" in {one["label"] for one in errors}
    assert list(unfolded_record.read(record / "unfolded.parquet").alternatives) == ["prior"]


def test_nothing_unfinished_is_left(finished) -> None:
    assert not list(finished.folder.glob("results/**/.unfinished.*"))


def test_a_second_run_does_nothing(finished) -> None:
    assert "Nothing to be done" in finished.run("--dry-run")
    assert "Nothing would rerun" in finished.why()


def test_status_and_checksums_of_a_finished_run(finished) -> None:
    text = finished.command("status", "--configfile", "config/test.yaml")
    whole = next(line for line in text.splitlines() if line.startswith("all stages")).split()
    assert int(whole[2]) > 100 and whole[3:7] == ["-"] * 4
    assert "no run is going on" in text
    assert "nothing is changed or gone" in finished.command("verify", "results/test")
    path = finished.result("paper/metrics.json")
    before = path.read_bytes()
    path.write_bytes(before + b" ")
    answer = finished.command("verify", "results/test", status=1)
    assert "results/test/paper/metrics.json: changed since paper.collect" in answer
    path.write_bytes(before)


def overlay(finished, values: dict) -> tuple[str, ...]:
    path = finished.folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return ("--configfile", "config/test.yaml", "mine.yaml")


def test_a_setting_reruns_only_what_depends_on_it(finished) -> None:
    change = {"analyses": {"ttbar": {"luminosity": {"value": 2.5}}}}
    told = finished.why(*overlay(finished, {"inference": change}))
    assert "setting inference.analyses.ttbar.luminosity.value: " in told
    assert "ntuples_" not in told
    assert "tagging_" not in told
    assert "paper_report" in told


def test_more_events_make_more_parts_and_leave_the_others_alone(finished) -> None:
    samples = yaml.safe_load((finished.folder / "config/test.yaml").read_text())["ntuples"][
        "samples"
    ]
    events = samples["qcd"]["events"] + samples["qcd"]["events_per_job"]
    told = finished.why(*overlay(finished, {"ntuples": {"samples": {"qcd": {"events": events}}}}))
    assert "ntuples_generate (sample=qcd, part=0002)\n    missing: " in told
    assert told.count("ntuples_generate") == 1
    assert "ntuples_initialise" not in told


def test_a_training_setting_does_not_touch_the_ntuples(finished) -> None:
    told = finished.why(*overlay(finished, {"tagging": {"training": {"patience": 77}}}))
    # All taggers of the default configuration, one of them with three seeds, and what is
    # decorrelated by training it.
    reason = "    setting tagging.training.patience"
    assert f"\ntagging_train (5 jobs)\n{reason}" in f"\n{told}"
    assert f"\ndecorrelation_train (6 jobs)\n{reason}" in f"\n{told}"
    assert "ntuples_" not in told
    assert "jets_" not in told


def test_a_wrong_setting_stops_before_any_rule(finished) -> None:
    (finished.folder / "mine.yaml").write_text("tagging: {training: {epoch: 3}}\n")
    output = finished.run(
        "--configfile", "config/test.yaml", "mine.yaml", "--dry-run", succeeds=False
    )
    assert "tagging.training.epoch: unknown key; did you mean 'epochs'?" in output


def test_snakemake_report(finished) -> None:
    finished.run("--report", "report.html")
    assert (finished.folder / "report.html").stat().st_size > 100_000


def test_figures_are_redrawn_without_retraining(finished) -> None:
    """What `make paper` does: only the figures' rules run, whatever else has changed."""
    before = finished.result("tagging/pfn/fold0_seed0/model.pt").stat().st_mtime_ns
    figure = next(finished.result("tagging/figures").glob("*.pdf"))
    drawn = figure.stat().st_mtime_ns
    content = figure.read_bytes()
    finished.run("--rerun-triggers", "mtime", "--forcerun", "tagging_plot", "--", "all")
    assert finished.result("tagging/pfn/fold0_seed0/model.pt").stat().st_mtime_ns == before
    assert figure.stat().st_mtime_ns > drawn
    assert figure.read_bytes() == content


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find running steps")
def test_kills_and_interrupts_lose_nothing(finished, new_flow) -> None:
    """A full disk, SIGKILL in generation and training, Ctrl-C in the jets; then the same command.

    The numbers at the end equal those of the undisturbed run: this is the second fresh run, too.
    """
    flow = new_flow("disturbed")

    def wait_for_step(step: str, process, ready: Callable[[], object] = lambda: True) -> None:
        wait_for(
            lambda: steps_running(flow.folder, step) and ready(), 300, f"{step}: not there", process
        )

    def kill_step(step: str, ready: Callable[[], bool], *targets: str) -> None:
        """Kill the step once `ready`; Snakemake goes on with what does not need it, and fails."""
        process = flow.start("--", *targets)
        wait_for_step(step, process, ready)
        for pid in steps_running(flow.folder, step):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode != 0

    process = flow.start("--", "results/test/ntuples/wjet/0000.root", largest_file=300_000)
    output = process.communicate()[0]
    assert process.returncode != 0
    assert "File too large" in output + flow.logs()
    assert not flow.result("ntuples/wjet/0000.root").exists()
    assert not list(flow.folder.glob("results/**/.unfinished.*"))

    unfinished = flow.result("ntuples")
    kill_step(
        "ntuples.generate",
        lambda: bool(list(unfinished.glob("qcd/.unfinished.*.root"))),
        "results/test/ntuples/qcd/0000.root",
    )
    assert not flow.result("ntuples/qcd/0000.root").exists()

    process = flow.start()
    wait_for_step("jets.cluster", process)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    output = process.communicate()[0]
    assert process.returncode != 0, output

    # The driver and all that it started die at once, as when a machine goes down.
    process = flow.start()
    wait_for_step("jets.cluster", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    kill_step("tagging.train", flow.result("tagging/pfn/fold0_seed0/checkpoint.pt").exists)
    assert not flow.result("tagging/pfn/fold0_seed0/model.pt").exists()

    flow.run()
    training = (flow.folder / "results/test/logs/tagging_train/pfn/fold0_seed0.log").read_text()
    assert "going on after epoch" in training
    assert not list(flow.folder.glob("results/**/.unfinished.*"))
    for path in (
        "paper/metrics.json",
        "inference/ttbar/fit.json",
        "tagging/pfn/fold0_seed0/history.json",
    ):
        assert flow.result(path).read_bytes() == finished.result(path).read_bytes(), path
    shutil.rmtree(flow.folder / "results")
