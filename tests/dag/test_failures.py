"""What a run says at its end when jobs failed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fullchain.dag.failures import MOST, summary


def job(name: str, log: Path | None, **wildcards: str) -> Any:
    return SimpleNamespace(
        rule=SimpleNamespace(name=name),
        wildcards_dict=wildcards,
        log=[log] if log else [],
        is_group=lambda: False,
    )


def group(*jobs: Any) -> Any:
    return SimpleNamespace(jobs=jobs, is_group=lambda: True)


def test_failures_end_with_the_last_lines_of_their_logs(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {number}\n" for number in range(50)) + "error: no room\n")
    text = summary([job("jets_cluster", log, sample="tt"), job("tagging_plot", None)], left=5)
    lines = text.splitlines()
    assert lines[0] == "2 jobs failed:"
    assert "failed: jets_cluster (sample=tt)" in lines
    assert f"    log: {log}" in lines
    assert "    | error: no room" in lines
    assert "    | line 10" not in lines
    assert "failed: tagging_plot" in lines
    assert "3 other jobs are left, most because they need one of these." in lines


def test_jobs_of_a_group_are_told_apart() -> None:
    text = summary([group(job("a_b", None), job("a_c", None))], left=2)
    assert "failed: a_b" in text and "failed: a_c" in text
    assert "other" not in text


def test_of_many_failures_the_first_are_described() -> None:
    text = summary([job(f"a_{number:03}", None) for number in range(MOST + 7)], left=500)
    assert text.count("failed: a_") == MOST
    assert "and 7 more; `fullchain status` shows all of them" in text


def test_a_run_that_was_ended_says_how_many_jobs_are_left() -> None:
    assert summary([], left=12).startswith("The run was ended; jobs left: 12.")
