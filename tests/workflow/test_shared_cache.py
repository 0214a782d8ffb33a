"""Two users with one cache: the second computes nothing, a change computes what depends on it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import results
from fullchain.caching.run import FOLDER

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TARGETS = (
    "tagging/pfn/fold0_seed0/model.pt",
    "calorimetry/samples/vae.h5",
    "unfolding/events/gaussian/0000.parquet",
)
RESTORED = "restored from"


def targets(name: str = "test") -> list[str]:
    return ["--", *(f"results/{name}/{target}" for target in TARGETS)]


def jobs(flow: Any) -> dict[str, bool]:
    """Each job by rule and wildcards, and whether it was restored."""
    folder = flow.result("logs")
    return {
        log.relative_to(folder).with_suffix("").as_posix(): RESTORED in log.read_text()
        for log in folder.rglob("*.log")
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        yield folder


@pytest.fixture(scope="module")
def first(cache: Path, new_flow: Callable[[str], Any]) -> Any:
    flow = new_flow("first_user")
    flow.run(*targets())
    return flow


@pytest.fixture(scope="module")
def second(first: Any, new_flow: Callable[[str], Any]) -> Any:
    flow = new_flow("second_user")
    flow.run(*targets())
    return flow


def test_the_first_user_computes(first: Any, cache: Path) -> None:
    found = jobs(first)
    rules = {name.split("/")[0] for name in found}
    assert {"ntuples_generate", "jets_cluster", "tagging_train", "calorimetry_train"} <= rules
    assert not any(found.values())
    assert len(list(cache.glob("entries/*/*"))) == len(found), "every one of these is kept"


def test_the_second_user_computes_nothing(first: Any, second: Any) -> None:
    assert jobs(second) == dict.fromkeys(jobs(first), True)
    assert results(second.result("")) == results(first.result(""))


def test_what_was_restored_is_complete(second: Any) -> None:
    assert "Nothing to be done" in second.run("--dry-run", *targets())
    assert "nothing is changed or gone" in second.command("verify", "results/test")
    record = second.json("tagging/pfn/fold0_seed0/model.pt.provenance.json")
    assert Path(record["restored"]["from"]).is_dir()
    assert record["output_checksums"]


def test_a_setting_computes_what_depends_on_it(
    second: Any, cache: Path, new_flow: Callable[[str], Any]
) -> None:
    flow = new_flow("third_user")
    flow.run("--config", "tagging={training: {epochs: 9}}", *targets())
    computed = {name.split("/")[0] for name, is_restored in jobs(flow).items() if not is_restored}
    assert computed == {"tagging_train"}
    assert jobs(flow).keys() == jobs(second).keys()
    # Of the pool, the jets and what follows, but not of the events.
    flow.run("--config", "jets={selection: {pt_min: 510.0}}", *targets())
    computed = {name.split("/")[0] for name, is_restored in jobs(flow).items() if not is_restored}
    assert computed == {"jets_cluster", "tagging_train"}


def test_the_table_tells_what_there_is(second: Any, cache: Path) -> None:
    told = second.command("cache").splitlines()
    assert any(line.startswith("ntuples.generate ") for line in told)
    assert json.loads(next(cache.rglob("entry.json")).read_text())["ingredients"]
