"""A step of a few lines, run through the cache as `fullchain.cli` does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fullchain import provenance
from fullchain.caching import key, machine, policy, run
from fullchain.cli import Command

SOURCE = '''
"""Write twice what was given."""

from pathlib import Path
from typing import Annotated

from fullchain.step import Given, Input, Option, Output


def main(
    *,
    jets: Annotated[list[Path], Input("files")],
    sample: Annotated[str, Option("name")],
    model: Annotated[Path, Output("first")],
    history: Annotated[Path, Output("second")],
    workers: Annotated[int, Option("how")] = 1,
    fast: Annotated[bool, Option("a flag")] = False,
    settings: Given,
) -> None:
    """Write."""
    text = sample + "".join(path.read_text() for path in jets) + str(dict(settings.values))
    model.write_text(text)
    history.write_text(text * 2)
'''


class Bench:
    """A folder with inputs, outputs and a cache; counts how often the step ran."""

    step = "frame.twice"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.cache.mkdir()
        self.source = folder / "twice.py"
        self.source.write_text(SOURCE)
        self.jets = [folder / "a.parquet", folder / "b.parquet"]
        for path in self.jets:
            path.write_text(path.name)
        self.model, self.history = folder / "out" / "model.pt", folder / "out" / "history.json"
        self.runs = 0
        self.settings: dict[str, object] = {"seed": 1}
        self.more: list[str] = []
        self.sample = "qcd"
        self.before_import: Callable[[], object] = lambda: None
        self.before_end: Callable[[], object] = lambda: None

    def words(self) -> list[str]:
        return [
            *("--jets", *map(str, self.jets), "--sample", self.sample, "--model", str(self.model)),
            *("--history", str(self.history), "--settings", json.dumps(self.settings), *self.more),
        ]

    def run(self) -> bool:
        """Run the command; say whether the step itself ran."""
        self.model.parent.mkdir(exist_ok=True)
        runs = self.runs
        run.run_cached(self.step, self.source, self.words(), self.compute)
        return self.runs > runs

    def compute(self) -> None:
        self.runs += 1
        self.before_import()
        space: dict[str, object] = {"__name__": __name__}
        exec(compile(self.source.read_text(), str(self.source), "exec"), space)
        main = space["main"]
        assert callable(main)
        Command(self.step, main).run(self.words())
        self.before_end()

    def question(self) -> key.Question:
        return key.question(self.step, self.source, self.words())

    def entry(self) -> Path:
        (found,) = self.cache.glob("entries/*/*")
        return found

    def record(self) -> dict[str, object]:
        return dict(json.loads(provenance.provenance_of(self.model).read_text()))

    def clear(self) -> None:
        for path in self.model.parent.iterdir():
            path.unlink()


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The identity of the step's code, which is no part of the package."""
    identity: dict[str, object] = {
        "step": Bench.step,
        "modules": {"fullchain.twice": "1"},
        "packages": {"pydantic": "2"},
    }

    def told(step: str) -> str:
        return json.dumps(identity)

    told.__wrapped__ = told  # type: ignore[attr-defined]
    monkeypatch.setattr(key, "code", told)
    monkeypatch.setattr(provenance, "code", told)
    return identity


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: dict[str, object]) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv(run.FOLDER, str(made.cache))
    monkeypatch.delenv(machine.MACHINE, raising=False)
    monkeypatch.setitem(policy.WITHOUT_EFFECT, Bench.step, frozenset({"workers"}))
    return made
