"""What every rule has to declare."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = sorted((PROJECT / "rules").glob("*.smk"))
RULES = {
    (file.name, match[1]): match[2]
    for file in FILES
    for match in re.finditer(
        r"^rule (\w+):\n((?:[ ]{4}.*\n|\n)*)", file.read_text() + "\n", re.MULTILINE
    )
}
WANTED = ("output", "params", "log", "benchmark", "message", "threads", "resources", "shell")


def test_there_are_rules_of_every_stage() -> None:
    stages = {name.removesuffix(".smk") for name, _ in RULES}
    assert {"ntuples", "jets", "tagging", "inference", "paper"} <= stages


@pytest.mark.parametrize(("file", "rule"), RULES)
def test_a_rule_declares_what_every_rule_declares(file: str, rule: str) -> None:
    body = RULES[file, rule]
    for word in WANTED:
        assert re.search(rf"^    {word}:", body, re.MULTILINE), f"{rule} has no {word}"
    for word in ("code=code(", "settings=", "mem_mb=", "runtime=", "gpu="):
        assert word in body, f"{rule} has no {word}"
    step = re.search(r'code=code\("([\w.]+)"\)', body)
    assert step, f"{rule}: code() takes the name of its step"
    command = "fullchain " + step[1].replace(".", " ").replace("_", "-")
    assert command in body.replace("_", "-") or "fullchain " + step[1].replace(".", " ") in body
    assert rule.startswith(file.removesuffix(".smk") + "_")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_rules_hold_no_logic(file: Path) -> None:
    text = file.read_text()
    assert "config[" not in text
    assert not re.search(r"^\s+(run|script|notebook|wrapper):", text, re.MULTILINE)
