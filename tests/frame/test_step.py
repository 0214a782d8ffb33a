import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest

from fullchain import cli
from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output


def test_given_names_what_was_not_passed() -> None:
    given = Given({"seed": 3, "tagging": {"training": {"epochs": 2}}})
    assert given.seed == 3
    assert given["tagging.training.epochs"] == 2
    with pytest.raises(KeyError, match=r"tagging\.taggers"):
        given["tagging.taggers"]


def main(
    *,
    jets: Annotated[list[Path], Input("jets")],
    sample: Annotated[str, Option("sample")],
    output: Annotated[Path, Output("output")],
    weight: Annotated[float, Option("weight")] = 1.0,
    settings: Given,
) -> None:
    """Write what was given."""
    content = [[path.name for path in jets], sample, weight, dict(settings.values)]
    output.write_text(json.dumps(content))


@pytest.fixture
def jets(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        path.write_text(path.name)
    return [str(path) for path in paths]


def test_lists_settings_and_provenance(tmp_path: Path, jets: list[str]) -> None:
    output = tmp_path / "out.json"
    arguments = ["--jets", *jets, "--sample", "qcd", "--output", str(output)]
    cli.Command("frame.test", main)
    from fullchain import provenance

    provenance_code = provenance.code
    provenance.code = lambda step: "{}"  # this step is not part of the package
    try:
        cli.Command("frame.test", main).run([*arguments, "--settings", '{"seed": 1}'])
    finally:
        provenance.code = provenance_code
    assert json.loads(output.read_text()) == [["a.parquet", "b.parquet"], "qcd", 1.0, {"seed": 1}]
    record = json.loads((tmp_path / "out.json.provenance.json").read_text())
    assert record["settings"] == {"seed": 1}
    assert len(record["inputs"]) == 2
    assert all(len(digest) == 64 for digest in record["inputs"].values())


def test_missing_input_and_bad_settings_are_named(tmp_path: Path) -> None:
    command = cli.Command("frame.test", main)
    rest = ["--sample", "qcd", "--output", str(tmp_path / "x"), "--settings"]
    with pytest.raises(InputError, match=r"gone\.parquet"):
        command.run(["--jets", "gone.parquet", *rest, "{}"])
    with pytest.raises(InputError, match="--settings"):
        command.run(["--jets", "gone.parquet", *rest, "{broken"])


def fullchain(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fullchain", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_help_lists_the_stages() -> None:
    told = fullchain("--help").stdout
    assert all(stage in told for stage in ("ntuples", "jets", "tagging", "inference", "paper"))


def test_help_imports_no_heavy_package() -> None:
    program = "import sys; sys.argv[1:] = ['--help']; from fullchain.cli import main; main(); "
    program += "print([m for m in ('torch', 'numpy', 'pydantic', 'typer') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "word"), [(["tagin", "train"], "tagin"), (["tagging", "trian"], "trian")]
)
def test_unknown_stage_or_step(arguments: list[str], word: str) -> None:
    done = fullchain(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_every_step_has_a_command_line() -> None:
    import importlib

    for stage, modules in cli.steps().items():
        for step in modules:
            function = importlib.import_module(f"fullchain.{stage}.{step}").main
            command = cli.Command(f"{stage}.{step}", function)
            assert any(isinstance(marker, Output) for marker in command.markers.values())
