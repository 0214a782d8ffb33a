"""Resources under an executor's names, groups, and the profiles that ask for them."""

import importlib
import re
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.resources import Resource, Resources

from fullchain.dag import batch

SYSTEMS = ("slurm", "htcondor", "kubernetes")
# What Snakemake passes to a resource.
ARGUMENTS: dict[str, Any] = {
    "wildcards": None,
    "input": [],
    "attempt": 2,
    "threads": 1,
    "rulename": "r",
    "async_run": None,
}


def rule(**resources: object) -> SimpleNamespace:
    """A stand-in for a rule, with Snakemake's own resources."""
    found = Resources({name: Resource(name, value) for name, value in resources.items()})
    return SimpleNamespace(name="r", resources=found)


def value(changed: SimpleNamespace, name: str) -> object:
    resource = changed.resources.get(name)
    given = dict(ARGUMENTS)
    return resource.evaluate(given.pop("wildcards"), **given).value


def profile(project: Path, system: str) -> dict:
    return yaml.safe_load((project / f"workflow/profiles/{system}/profile.yaml").read_text())


def names(entries: list[str]) -> list[str]:
    return [entry.split("=")[0] for entry in entries]


def test_a_repetition_asks_for_more_under_the_names_that_the_profile_wants() -> None:
    changed = rule(
        mem_mb=lambda wildcards, attempt: 700 * attempt,
        runtime=lambda wildcards, attempt: 5 * attempt,
        gpu=0,
        classad_MaxRuntime=1,
    )
    wanted = ["htcondor_request_mem_mb", "classad_MaxRuntime", "request_gpus"]
    batch.forward([changed], wanted, lambda name: None)
    assert value(changed, "htcondor_request_mem_mb") == 1400
    assert value(changed, "classad_MaxRuntime") == 600
    # HTCondor would look for a machine with GPUs.
    assert value(changed, "request_gpus") is None
    assert value(changed, "slot") is None
    assert "classad_RequestRuntime" not in changed.resources


def test_a_group_asks_for_the_time_of_all_its_jobs_and_runs_one_at_a_time() -> None:
    changed = rule(mem_mb=700, runtime=5)
    batch.forward([changed], ["classad_MaxRuntime", "htcondor_request_mem_mb"], {"r": 4}.get)
    assert value(changed, "classad_MaxRuntime") == 4 * 300
    assert value(changed, "htcondor_request_mem_mb") == 700
    assert value(changed, "slot") == 1


def test_length_of_a_group() -> None:
    settings = SimpleNamespace(
        overwrite_groups={"a": "g", "b": "g", "c": "alone"}, group_components={"g": 3}
    )
    lengths = [batch.group_length(lambda: settings, name) for name in ("a", "c", "d")]
    assert lengths == [6, 1, None]


def test_kubernetes_hears_of_gpus_only_where_there_is_one() -> None:
    without, wanting = (rule(gpu=count, gpu_manufacturer="nvidia") for count in (0, 2))
    batch.forward([without, wanting], ["gpu_manufacturer"], lambda name: None)
    assert [value(without, name) for name in batch.ONLY_WITH_GPU] == [None, None]
    assert [value(wanting, name) for name in batch.ONLY_WITH_GPU] == [2, "nvidia"]


def options() -> set[str]:
    """What `snakemake --help` has, and the executor of SLURM with it."""
    from snakemake.cli import get_argument_parser

    return {
        option.removeprefix("--")
        for action in get_argument_parser()._actions
        for option in action.option_strings
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_keys_of_a_profile_are_options_of_snakemake_or_its_executor(
    project: Path, system: str
) -> None:
    own = {key for key in profile(project, system) if key.startswith(f"{system}-")}
    assert set(profile(project, system)) - own <= options()
    module = f"snakemake_executor_plugin_{system}"
    if find_spec(module) is None:
        pytest.skip(f"no executor for {system}: its own keys {sorted(own)} are not checked")
    fields_of_executor = {
        f"{system}-{field.name.replace('_', '-')}"
        for field in fields(importlib.import_module(module).ExecutorSettings)
    }
    assert own <= fields_of_executor


def test_profiles_in_the_text_have_keys_of_snakemake(project: Path) -> None:
    pages = (project / "docs/batch").glob("*.md")
    examples = [
        yaml.safe_load(block)
        for page in pages
        for block in re.findall(r"^```yml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]
    assert len(examples) == 4
    for example in examples:
        assert set(example) <= options()
        for name in names(example["default-resources"]):
            known = name in batch.FORWARDED or name in ("mem_mb", "runtime", "gpu", "job_wrapper")
            assert known or name.startswith(("slurm_", "htcondor_submit_")), name


@pytest.mark.parametrize("system", ["slurm", "htcondor"])
def test_groups_are_of_rules_that_exist_and_run_one_at_a_time(project: Path, system: str) -> None:
    given = profile(project, system)
    rules = set(
        re.findall(
            r"^\s*rule (\w+):",
            "".join(path.read_text() for path in (project / "rules").glob("*.smk")),
            re.MULTILINE,
        )
    )
    assert set(given["groups"]) <= rules
    assert not set(batch.short(given["groups"]))
    assert set(given["group-components"]) == set(given["groups"].values())
    # Each rule has a group of its own: no rule between two of a group can break it.
    assert len(set(given["groups"].values())) == len(given["groups"])
    # The time of a batch job is the sum: without a closer one a group could ask for days.
    assert set(given["set-resources"]) == set(given["groups"])
    for name, group in given["groups"].items():
        minutes, attempts = given["set-resources"][name]["runtime"].split(" * ")
        assert attempts == "attempt"
        assert int(minutes) * given["group-components"][group] <= 240
    assert given["resources"] == ["slot=1"] and given["set-resource-scopes"] == ["slot=local"]


def test_what_htcondor_wants_is_known_and_has_no_effect_elsewhere(project: Path) -> None:
    wanted = names(profile(project, "htcondor")["default-resources"])
    own = {"mem_mb", "runtime", "gpu", "job_wrapper", "getenv"}
    raw = {name for name in wanted if name.startswith("htcondor_submit_")}
    assert set(wanted) - own - raw <= batch.FORWARDED.keys()
    # Where no machine has a `Runtime`, a job that asks for one waits for ever.
    assert "classad_RequestRuntime" not in wanted


def test_rules_of_seconds_run_beside_the_driver() -> None:
    given = ["jets_cluster", "jets_plot", "ntuples_manifest", "unfolding_tabulate", "paper_report"]
    assert batch.short(given) == given[1:]
