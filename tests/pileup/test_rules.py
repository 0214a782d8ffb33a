"""What the rules of the stage ask for, and the settings that several stages share."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from fullchain.errors import InputError
from fullchain.jets.settings import COMPUTED_MITIGATION
from fullchain.pileup.methods import CLASSICAL
from fullchain.settings import validate


def weights_input(project: Path, mitigation: str) -> list[str]:
    """Files of weights that the rule of the jets asks for."""
    text = (project / "rules/jets.smk").read_text()
    (source,) = re.findall(r"^def pileup_weights\(.*\n(?:    .*\n)+", text, re.MULTILINE)
    found = {
        "CONFIG": validate({"jets": {"clustering": {"mitigation": mitigation}}}),
        "COMPUTED_MITIGATION": COMPUTED_MITIGATION,
        "result": lambda path: path,
    }
    exec(source, found)
    wanted: list[str] = found["pileup_weights"](SimpleNamespace(sample="tt", part="0001"))
    return wanted


@pytest.mark.parametrize("mitigation", ["auto", "none", "chs", "stored"])
def test_jets_need_no_weights_by_default(project: Path, mitigation: str) -> None:
    assert weights_input(project, mitigation) == []


@pytest.mark.parametrize("mitigation", COMPUTED_MITIGATION)
def test_jets_ask_for_computed_weights(project: Path, mitigation: str) -> None:
    expected = [f"pileup/weights/{mitigation}/tt/0001.parquet"]
    assert weights_input(project, mitigation) == expected
    assert mitigation in CLASSICAL


def test_paths_are_quoted(project: Path) -> None:
    text = (project / "rules/pileup.smk").read_text()
    assert not re.findall(r"\{(?:input|output)\.\w+\}|\{log\}", text)


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        (
            {"pileup": None, "jets": {"clustering": {"mitigation": "puppi"}}},
            "puppi needs the stage pileup",
        ),
        ({"pileup": {"evaluation": {"samples": ["tt_pu5"]}}}, "tt_pu50"),
        ({"pileup": {"comparison": {"samples": ["cms"]}}}, "pileup.comparison.samples"),
        ({"pileup": {"classical": {"puppi": {"con": 0.3}}}}, "'cone'"),
    ],
)
def test_wrong_settings_are_named(overlay: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        validate(overlay)


def test_the_stage_can_be_left_out() -> None:
    assert validate({"pileup": None}).pileup is None
