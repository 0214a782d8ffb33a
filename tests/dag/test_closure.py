"""The identity of code: what counts as a change, and what does not."""

import json
import sys
from pathlib import Path

import pytest

from fullchain.dag import analyses, closure
from fullchain.dag.closure import ImportClosure, code
from fullchain.errors import InputError


def write(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "mini"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


BASE = {
    "__init__.py": "",
    "physics/__init__.py": '"""Physics."""',
    "physics/mass.py": 'def mass(e, p):\n    """The mass."""\n    return (e*e - p*p) ** 0.5\n',
    "physics/step.py": "from mini.physics.mass import mass\nimport numpy as np\n",
    "physics/other.py": "import json\n",
}


def identity(package: Path, step: str = "physics.step") -> dict:
    """As a new process gives it."""
    code.cache_clear()
    analyses.known.cache_clear()
    return json.loads(code(step, package))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write(tmp_path, BASE)


def test_modules_of_the_closure(package: Path) -> None:
    found = identity(package)
    assert set(found["modules"]) == {
        "mini",
        "mini.physics",
        "mini.physics.mass",
        "mini.physics.step",
    }
    assert set(found["packages"]) == {"python", "numpy"}


@pytest.mark.parametrize(
    "text",
    [
        '# comment\ndef mass(e, p):\n    """Invariant mass."""\n    return (e*e - p*p) ** 0.5\n',
        'def mass(e, p):\n    """Another docstring."""\n\n    return (e * e - p * p) ** 0.5\n',
        "def mass(e, p):\n    return (e*e - p*p) ** 0.5\n",
    ],
)
def test_comment_docstring_and_layout_do_not_count(package: Path, text: str) -> None:
    before = identity(package)
    (package / "physics/mass.py").write_text(text)
    assert identity(package) == before


def test_meaning_counts_only_where_imported(package: Path) -> None:
    step, other = identity(package), identity(package, "physics.other")
    (package / "physics/mass.py").write_text("def mass(e, p):\n    return (e*e - p*p)\n")
    assert identity(package) != step
    assert identity(package, "physics.other") == other


@pytest.mark.parametrize(
    "line",
    [
        "from .mass import mass",
        "from . import mass",
        "import mini.physics.mass as m",
        "def late():\n    from mini.physics import mass\n    return mass",
        "import importlib\nm = importlib.import_module('mini.physics.mass')",
        "from importlib.util import find_spec\nm = find_spec('mini.physics.mass')",
    ],
)
def test_every_way_to_import(package: Path, line: str) -> None:
    (package / "physics/step.py").write_text(line + "\n")
    assert "mini.physics.mass" in identity(package)["modules"]


def test_type_checking_imports_do_not_count(package: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mini.physics.mass\n"
    (package / "physics/step.py").write_text(text)
    assert "mini.physics.mass" not in identity(package)["modules"]


def test_import_cycle_ends(package: Path) -> None:
    (package / "physics/mass.py").write_text("import mini.physics.step\n")
    assert "mini.physics.mass" in identity(package)["modules"]


def test_data_file_counts(package: Path) -> None:
    (package / "physics/table.json").write_text("1")
    (package / "physics/step.py").write_text('__data__ = ("table.json",)\n')
    before = identity(package)
    (package / "physics/table.json").write_text("2")
    assert identity(package) != before


def test_presentation_and_missing_packages(package: Path) -> None:
    (package / "physics/step.py").write_text("import rich\nimport surely_not_installed\n")
    assert identity(package)["packages"] | {"python": ""} == {
        "python": "",
        "surely_not_installed": "not installed",
    }


def test_errors_name_the_file(package: Path) -> None:
    with pytest.raises(InputError, match=r"mini\.physics\.absent"):
        ImportClosure("mini.physics.absent", package)
    (package / "physics/step.py").write_text("def broken(:\n")
    with pytest.raises(InputError, match=r"step\.py:1"):
        identity(package)
    (package / "physics/step.py").write_text('__data__ = ("gone.json",)\n')
    with pytest.raises(InputError, match=r"gone\.json"):
        identity(package)


def test_what_is_known_is_not_read_again(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before, read = identity(package), []
    analysed = closure._analysed
    monkeypatch.setattr(closure, "_analysed", lambda *a: read.append(a[2]) or analysed(*a))
    assert identity(package) == before and read == []
    write(package.parent, {"physics/mass.py": "def mass(e):\n    return e\n"})
    assert (
        identity(package)["modules"]["mini.physics.mass"]
        != (before["modules"]["mini.physics.mass"])
    )
    assert read == ["mini.physics.mass"]
    kept = analyses.place(package)
    for damage in ("", "[]", '{"format": 0}', '{"format": 1, "modules": {"mini": 3}}'):
        kept.write_text(damage)
        identity(package)
    assert read.count("mini") == 4
    assert identity(package)["modules"].keys() == before["modules"].keys()


def test_how_an_identity_is_found_is_in_no_identity() -> None:
    """A training imports it, to mark its checkpoints."""
    imported = ImportClosure("fullchain.tagging.train").modules.keys()
    assert imported >= closure.IDENTITY
    modules = json.loads(code("tagging.train"))["modules"].keys()
    assert modules == imported - closure.IDENTITY


def test_what_describes_a_run_is_in_no_step_that_computes() -> None:
    for step in ("ntuples.generate", "jets.cluster", "tagging.train", "inference.fit"):
        modules = json.loads(code(step))["modules"]
        describing = {"fullchain.provenance", "fullchain.further_outputs", "fullchain.plotting"}
        assert not describing & modules.keys()
        assert not [name for name in modules if name.startswith("fullchain.dag.crate")]
