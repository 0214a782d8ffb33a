"""A real mini-workflow: exactly what depends on a change runs again, and `why` says so."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

SNAKEFILE = """
from pathlib import Path
from fullchain.dag import closure, parts

configfile: "config.yaml"

def code(step):
    return closure.code(step, Path("mini").resolve())

def settings(*paths):
    return parts.text(config, *paths)

rule all:
    input: "out/merge.txt"
"""
RULE = """
rule {name}:
    input: {input}
    output: "out/{name}.txt"
    params: code=code("steps.{name}"), settings=settings({settings})
    shell: "python -m mini.steps.{name} {{output}} && echo {name} >> ran.txt"
"""
STEP = "import sys\nfrom pathlib import Path\n{imports}\nPath(sys.argv[1]).write_text('done')\n"


def metadata(folder: Path, version: str) -> None:
    info = folder / "fakepackage-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: fakepackage\nVersion: {version}\n"
    )
    (info / "top_level.txt").write_text("fakepackage\n")


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    rules = {
        "generate": ('"raw.txt"', '"seed"', "import mini.pythia"),
        "train": ('"out/generate.txt"', '"training"', "import mini.network\nimport fakepackage"),
        "fit": ('"out/generate.txt"', '"fit.lumi"', "import mini.likelihood"),
        "merge": ('"out/train.txt", "out/fit.txt"', '"seed"', ""),
    }
    text = SNAKEFILE
    for name, (inputs, paths, imports) in rules.items():
        text += RULE.format(name=name, input=inputs, settings=paths)
        step = folder / "mini" / "steps" / f"{name}.py"
        step.parent.mkdir(parents=True, exist_ok=True)
        step.write_text(STEP.format(imports=imports))
    (folder / "Snakefile").write_text(text)
    (folder / "mini/__init__.py").touch()
    (folder / "mini/steps/__init__.py").touch()
    (folder / "mini/pythia.py").write_text("ENERGY = 13600\n")
    (folder / "mini/network.py").write_text("from mini.layers import WIDTH\n")
    (folder / "mini/layers.py").write_text("WIDTH = 100\n")
    (folder / "mini/likelihood.py").write_text("ORDER = 4\n")
    (folder / "config.yaml").write_text(
        "seed: 1\ntraining: {epochs: 3}\nfit: {lumi: 100, toys: 5}\n"
    )
    (folder / "raw.txt").write_text("events")
    (folder / "fakepackage.py").touch()
    metadata(folder, "1.0")
    return folder


def with_package(folder: Path) -> dict[str, str]:
    """Give the environment in which a package of this folder can be imported, too."""
    others = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), others]))}


@pytest.fixture(scope="module")
def run(flow: Path) -> Callable[[], list[str]]:
    """Run the workflow; give the names of the steps that ran."""
    environment = with_package(flow)

    def snakemake() -> list[str]:
        ran = flow / "ran.txt"
        ran.unlink(missing_ok=True)
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
        done = subprocess.run(command, cwd=flow, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return sorted(ran.read_text().split()) if ran.exists() else []

    return snakemake


@pytest.fixture(scope="module")
def why(flow: Path) -> Callable[[], str]:
    environment = with_package(flow)

    def ask() -> str:
        command = [sys.executable, "-m", "fullchain", "why"]
        done = subprocess.run(command, cwd=flow, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ask


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_first_run_makes_everything_and_the_second_nothing(run, why) -> None:
    assert run() == ["fit", "generate", "merge", "train"]
    assert run() == []
    assert "Nothing would rerun" in why()


def test_touch_comment_and_revert_change_nothing(flow: Path, run) -> None:
    layers = flow / "mini/layers.py"
    layers.touch()
    (flow / "raw.txt").touch()
    layers.write_text("# a remark\nWIDTH = 100\n")
    assert run() == []
    layers.write_text("WIDTH = 200\n")
    layers.write_text("WIDTH = 100\n")
    assert run() == []


def test_an_edit_reruns_importers_and_what_lies_downstream(flow: Path, run, why) -> None:
    replace(flow / "mini/layers.py", "100", "128")
    told = why()
    assert "train\n    module mini.layers changed" in told
    assert "and after them: merge" in told
    assert "fit" not in told
    assert run() == ["merge", "train"]
    assert run() == []


def test_a_new_version_reruns_only_its_users(flow: Path, run, why) -> None:
    metadata(flow, "1.1")
    assert 'package fakepackage: "1.0" -> "1.1"' in why()
    assert run() == ["merge", "train"]


def test_a_setting_reruns_only_its_readers(flow: Path, run, why) -> None:
    replace(flow / "config.yaml", "toys: 5", "toys: 6")
    assert run() == []
    replace(flow / "config.yaml", "lumi: 100", "lumi: 140")
    assert "setting fit.lumi: 100 -> 140" in why()
    assert run() == ["fit", "merge"]


def test_changed_input_reruns_all_its_readers(flow: Path, run, why) -> None:
    (flow / "raw.txt").write_text("other events")
    assert "changed input: raw.txt" in why()
    assert run() == ["fit", "generate", "merge", "train"]


def test_missing_output_is_named(flow: Path, run, why) -> None:
    (flow / "out/merge.txt").unlink()
    assert "missing: out/merge.txt" in why()
    assert run() == ["merge"]


def test_what_a_cut_off_run_left_is_named_as_unfinished(flow: Path, run, why) -> None:
    # The mark that Snakemake sets when a job begins, and takes away when it ends.
    name = base64.b64encode(b"out/merge.txt").decode()
    (flow / ".snakemake/incomplete").mkdir(exist_ok=True)
    mark = flow / ".snakemake/incomplete" / name
    mark.write_text("")
    told = why()
    assert "merge\n    unfinished: out/merge.txt" in told
    assert "asked for" not in told
    mark.unlink()
    assert "Nothing would rerun" in why()
