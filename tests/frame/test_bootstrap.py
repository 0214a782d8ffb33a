"""The script that makes the environment, without making one."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def bootstrap(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", project / "envs" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_recipes_hold_what_the_lock_holds(project: Path) -> None:
    lock = (project / "envs/requirements.lock").read_text().splitlines()
    recipe = (project / "envs/environment.yaml").read_text()
    pins = [line for line in lock if line and not line.startswith("#")]
    assert len(pins) > 100
    for pin in pins:
        assert pin in recipe
