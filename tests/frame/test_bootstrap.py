"""The script that makes the environment, without making one."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

LINUX = {"sys_platform": "linux"}


@pytest.fixture
def bootstrap(project: Path) -> ModuleType:
    return module_of(project / "envs/bootstrap.py")


@pytest.fixture
def commands(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be run; making the virtual environment makes its folder only."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append([str(word) for word in command])
        if "venv" in command:
            (Path(command[-1]) / "bin").mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    return ran


def torch_commands(commands: list[list[str]]) -> list[str]:
    return [word for command in commands for word in command if word.startswith("torch==")]


def test_torch_comes_first_and_a_second_call_does_nothing(bootstrap, commands, tmp_path) -> None:
    environment = str(tmp_path / "venv")
    bootstrap.main([environment])
    installs = [command for command in commands if "install" in command]
    assert [torch_commands([command]) != [] for command in installs[:2]] == [True, False]
    assert torch_commands(commands) == [f"torch=={bootstrap.torch_pin()}+cpu"]
    commands.clear()
    bootstrap.main([environment])
    assert commands == []


def test_a_cuda_environment_stays_one(bootstrap, commands, tmp_path, monkeypatch) -> None:
    environment = str(tmp_path / "venv")
    bootstrap.main([environment, "--torch", "cu130"])
    commands.clear()
    bootstrap.main([environment])
    assert commands == []
    monkeypatch.setattr(bootstrap, "fingerprint", lambda build: "another lock")
    bootstrap.main([environment])
    assert torch_commands(commands) == [f"torch=={bootstrap.torch_pin()}+cu130"]


def test_what_is_missing_is_named(bootstrap, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(bootstrap.shutil, "which", lambda program: None)
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit) as caught:
        bootstrap.main([str(tmp_path / "venv")])
    for word in ("Python 3.11 or newer", "g++", "apt-get install git", "make"):
        assert word in str(caught.value)


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_recipes_are_those_of_the_lock(project: Path) -> None:
    lock = module_of(project / "envs/lock.py")
    assert (project / "envs/environment.yaml").read_text() == lock.conda_recipe(
        (project / "envs/requirements.lock").read_text()
    )
    assert (project / "envs/fullchain.def").read_text() == lock.apptainer_recipe()


def test_the_conda_recipe_has_every_pin_of_the_lock_and_no_other(project: Path) -> None:
    lines = (project / "envs/requirements.lock").read_text().splitlines()
    lock = {line for line in lines if line and not line.startswith("#")}
    assert len(lock) > 100
    recipe = yaml.safe_load((project / "envs/environment.yaml").read_text())
    assert set(recipe) == {"name", "channels", "dependencies"}
    plain = [entry for entry in recipe["dependencies"] if isinstance(entry, str)]
    (of_pip,) = (entry for entry in recipe["dependencies"] if not isinstance(entry, str))
    assert set(of_pip) == {"pip"}
    assert {"python=3.11", "pip", "gxx"} <= set(plain)
    option, *pins = of_pip["pip"]
    assert re.fullmatch(r"--extra-index-url https://\S+", option)
    for pin in pins:
        assert len(Requirement(pin).specifier) == 1
    torch = [Requirement(pin) for pin in pins if pin.startswith("torch==")]
    builds = {str(one.specifier) for one in torch if one.marker and one.marker.evaluate(LINUX)}
    (pinned,) = (line for line in lock if line.startswith("torch=="))
    assert builds == {f"{pinned.removeprefix('torch')}+cpu"}
    assert {pin for pin in pins if not pin.startswith("torch==")} == lock - {pinned}


def test_the_apptainer_recipe_copies_files_that_exist_one_by_one(project: Path) -> None:
    header, *parts = re.split(r"^%", (project / "envs/fullchain.def").read_text(), flags=re.M)
    fields = [line for line in header.splitlines() if line and not line.startswith("#")]
    assert fields == ["Bootstrap: docker", "From: python:3.11-slim-bookworm"]
    sections = {name: body for name, _, body in (part.partition("\n") for part in parts)}
    assert list(sections) == ["files", "post", "environment", "runscript"]
    copied = {}
    for line in filter(None, map(str.strip, sections["files"].splitlines())):
        source, destination = line.split()
        assert (project / source).exists()
        copied[destination] = source
    # What the bootstrap reads lies where it looks: beside its own folder.
    for needed in ("envs", "pyproject.toml", "README.md", "LICENSE", "src"):
        assert copied[f"/opt/fullchain/{needed}"] == needed
    assert "/opt/fullchain/envs/bootstrap.py /opt/fullchain/venv" in sections["post"]
    assert "/opt/fullchain/venv/bin:$PATH" in sections["environment"]
