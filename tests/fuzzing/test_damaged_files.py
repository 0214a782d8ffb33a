"""A damaged file is read or refused with an InputError: no other exception, crash, hang, flood.

Real small files are damaged by hypothesis, and read in a process of their own with bounded memory
and time. `make fuzz` does the same with many more examples and other chance each time.
"""

import copy
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fullchain.calorimetry import shower_file
from fullchain.inference import summary_events
from fullchain.jets import cluster
from fullchain.learning import torch_file
from fullchain.pileup.weight_file import weight_writer
from fullchain.step import Given
from fullchain.tagging.arrow_columns import to_numpy
from fullchain.tagging.jets_reading import IDENTITY
from fullchain.tagging.score_files import ScoreWriter, score_columns
from fullchain.unfolding import event_table, unfolded_file
from fullchain.unfolding.sample import Level, Simulation
from fullchain.unfolding.unfolded import Unfolded

LONG = int(os.environ.get("FULLCHAIN_FUZZ", "0"))
SECONDS = 120.0
"""Longest time of one file, the import of the reader and other work of the machine included."""

profile = settings(
    max_examples=LONG or 25,
    derandomize=not LONG,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Reader:
    """The process of `readers.py`, started again where it ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, reader: str, path: Path) -> tuple[str, str]:
        """Give the outcome and what was said."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, Path(__file__).with_name("readers.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([reader, str(path)]).encode() + b"\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], SECONDS)[0]:
            self.close()
            return "fault", f"no answer in {SECONDS:g} s"
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            self.process = None
            return "fault", f"the process ended with {status}"
        outcome, text = json.loads(line)
        return outcome, text

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                assert stream is not None
                stream.close()
            self.process = None


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    started = Reader()
    yield started
    started.close()


# The whole files.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, project: Path, toy_events: ModuleType) -> Path:
    """A folder with a whole file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(7)
    events = [toy_events.one_event(rng) for _ in range(4)]
    toy_events.write_events(folder / "root.root", events)
    toy_events.write_manifest(folder, folder / "root.root").rename(folder / "manifest.json")
    values = json.loads((folder / "manifest.json").read_text())
    for file in values["files"]:
        file["path"] = "damaged/root.root"
    (folder / "root.json").write_text(json.dumps(values))
    for name in ("jets", "summary"):
        (folder / name).mkdir()
    cluster.main(
        manifest=folder / "manifest.json",
        jets=folder / "jets.parquet",
        summary=folder / "summary/jets.json",
        settings=Given({"seed": 1, "jets": {"shifts": {}}}),
    )
    write_scores(folder / "scores.parquet", pq.read_table(folder / "jets.parquet"))
    write_events(folder, rng)
    energies = rng.uniform(1e3, 1e4, 20)
    voxels = rng.uniform(0, 10, (20, 9)).astype(np.float32)
    shower_file.write(folder / "showers.h5", shower_file.Showers(energies, voxels))
    particles = np.zeros((6, 5, 4))
    particles[:, :3] = [[10.0, 0.1, 1.0, 22], [5.0, -0.1, 1.1, 211], [2.0, 0.0, 0.9, 130]]
    np.savez(folder / "archive.npz", X=particles, y=np.arange(6) % 2)
    ids = (np.ones(3, np.uint32), np.ones(3, np.uint32), np.arange(3, dtype=np.uint64))
    with weight_writer(folder / "weights.parquet", "puppi", "tt", whole=True) as writer:
        writer.write(0, 0, ids, rng.uniform(0, 1, 6), np.array([0, 2, 3, 6]))
    state = {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)}
    torch_file.write(folder / "model.pt", {"format": 1, "state": state, "settings": {"n": 3}})
    shutil.copy(project / "config/test.yaml", folder / "configuration.yaml")
    (folder / "workspace.json").write_text(json.dumps(WORKSPACE))
    (folder / "damaged").mkdir()
    return folder


def write_scores(path: Path, jets: pa.Table) -> None:
    """Write scores of three classes for jets."""
    columns = {name: to_numpy(jets[name].combine_chunks()) for name in IDENTITY}
    numbers = np.linspace(0, 1, len(jets))
    classes = ["t", "W", "q"]
    columns |= {name: numbers for name in ("score", "fold", *score_columns(classes))}
    columns["split"] = np.full(len(jets), "test")
    with ScoreWriter(path, classes, 1, working_point=0.5) as writer:
        writer.write(columns)


def write_events(folder: Path, rng: np.random.Generator) -> None:
    """Write events for unfolding, unfolded ones, and events of an analysis for summaries."""
    values = rng.normal(size=(20, 2))
    ids = np.stack([np.ones(20), np.ones(20), np.arange(20)], axis=1).astype(np.int64)
    level = Level(values, rng.random(20) < 0.8)
    one = np.ones(20)
    names = ("mass", "width")
    simulation = Simulation(names, level, level, one, ids, {"up": level}, {"isr": one})
    units = {"mass": "GeV", "width": ""}
    event_table.write(folder / "events.parquet", simulation, units, {"sample": "tt"})
    weights = {"nominal": one, "data_0": one}
    found = Unfolded(names, values, ids, one, weights, {"method": "toy", "units": units})
    unfolded_file.write(folder / "unfolded.parquet", found)
    inside = {"nominal": one > 0, "jes_up": level.passed}
    summary_events.write_events(
        folder / "summary_events.parquet",
        summary_events.Events(
            np.repeat(["tt", "qcd"], 10),
            np.full(20, ""),
            np.full(20, "test"),
            one,
            {"w_isr_up": one},
            inside,
            dict.fromkeys(inside, values),
            {"pfn": dict.fromkeys(inside, one)},
        ),
    )


WORKSPACE = {
    "version": "1.0.0",
    "channels": [
        {
            "name": "signal_region",
            "samples": [
                {
                    "name": "signal",
                    "data": [2.0, 4.0],
                    "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
                },
                {
                    "name": "background",
                    "data": [50.0, 40.0],
                    "modifiers": [
                        {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
                        {"name": "stat", "type": "staterror", "data": [3.0, 2.0]},
                        {
                            "name": "shape",
                            "type": "histosys",
                            "data": {"hi_data": [52.0, 39.0], "lo_data": [48.0, 41.0]},
                        },
                    ],
                },
            ],
        }
    ],
    "observations": [{"name": "signal_region", "data": [53.0, 42.0]}],
    "measurements": [{"name": "measurement", "config": {"poi": "mu", "parameters": []}}],
}

BINARY = {
    "root": "root.root",
    "showers": "showers.h5",
    "archive": "archive.npz",
    "jets": "jets.parquet",
    "scores": "scores.parquet",
    "events": "events.parquet",
    "unfolded": "unfolded.parquet",
    "summary_events": "summary_events.parquet",
    "weights": "weights.parquet",
    "model": "model.pt",
    "configuration": "configuration.yaml",
    "manifest": "manifest.json",
    "workspace": "workspace.json",
}
STRUCTURED = ("configuration", "manifest", "workspace")


# What is done to them.

places = st.floats(0, 1, exclude_max=True)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), places, st.integers(0, 7)),
        st.tuples(st.just("set"), places, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])),
        st.tuples(st.just("insert"), places, st.binary(min_size=1, max_size=9)),
        st.tuples(st.just("remove"), places, st.integers(1, 64)),
        st.tuples(st.just("cut"), places, st.none()),
        st.tuples(st.just("fill"), places, st.integers(4, 40)),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, what: list[tuple[str, float, Any]]) -> bytes:
    """Apply the changes, one after the other."""
    now = bytearray(content)
    for kind, place, value in what:
        at = int(place * len(now))
        if not now:
            break
        if kind == "flip":
            now[at] ^= 1 << value
        elif kind == "set":
            now[at] = value
        elif kind == "insert":
            now[at:at] = value
        elif kind == "remove":
            del now[at : at + value]
        elif kind == "cut":
            del now[at:]
        else:
            now[at : at + value] = b"\xff" * len(now[at : at + value])
    return bytes(now)


odd: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.just(10**30), st.just(float("nan")),
    st.just(1e400), st.text(max_size=5), st.just([]), st.just({}), st.just([[]]), st.just([1.0]),
    st.just({"name": "x"}), st.just("../../x"), st.just("a" * 3000),
)  # fmt: skip


def nodes(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of everything inside."""
    if not isinstance(value, dict | list):
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*where, key)
        yield from nodes(one, (*where, key))


def restructured(value: Any, draw: Callable[..., Any]) -> Any:
    """Replace, remove, rename or double something inside."""
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 3))):
        paths = list(nodes(value))
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        holder = value
        for key in way:
            holder = holder[key]
        kind = draw(st.sampled_from(["replace", "remove", "double"]))
        if kind == "replace":
            holder[last] = copy.deepcopy(draw(odd))
        elif kind == "remove":
            del holder[last]
        elif isinstance(holder, list):
            holder.append(holder[last])
        else:
            holder[draw(st.text(max_size=4))] = holder[last]
    return value


def check(reader: Reader, whole: Path, kind: str, content: bytes) -> None:
    path = whole / "damaged" / BINARY[kind]
    path.write_bytes(content)
    outcome, text = reader(kind, path)
    assert outcome in ("read", "refused"), f"{kind}: {text}"
    assert outcome == "read" or text.strip(), "an error without words"


@pytest.mark.parametrize("kind", BINARY)
def test_whole_files_are_read(reader: Reader, whole: Path, kind: str) -> None:
    path = whole / "damaged" / BINARY[kind]
    shutil.copy(whole / BINARY[kind], path)
    assert reader(kind, path) == ("read", "")


@pytest.mark.parametrize("kind", BINARY)
def test_damaged_bytes(reader: Reader, whole: Path, kind: str) -> None:
    content = (whole / BINARY[kind]).read_bytes()

    @profile
    @given(changes)
    def run(what: list[tuple[str, float, Any]]) -> None:
        check(reader, whole, kind, damaged(content, what))

    run()


@pytest.mark.parametrize("kind", STRUCTURED)
def test_changed_structure(reader: Reader, whole: Path, kind: str) -> None:
    text = (whole / BINARY[kind]).read_text()
    value = yaml.safe_load(text)

    @profile
    @given(st.data())
    def run(data: st.DataObject) -> None:
        changed = restructured(value, data.draw)
        dumped = yaml.safe_dump(changed) if kind == "configuration" else json.dumps(changed)
        check(reader, whole, kind, dumped.encode())

    run()


def test_missing_columns_of_our_tables(reader: Reader, whole: Path) -> None:
    tables = [kind for kind, name in BINARY.items() if name.endswith(".parquet")]
    for kind in tables:
        table = pq.read_table(whole / BINARY[kind])
        for name in table.column_names:
            place, nothing = table.column_names.index(name), pa.nulls(len(table))
            kinds = (
                table.drop_columns([name]),
                table.set_column(place, name, nothing),
                table.add_column(0, name, nothing),
            )
            for changed in kinds:
                pq.write_table(changed, whole / "damaged" / BINARY[kind])
                outcome, text = reader(kind, whole / "damaged" / BINARY[kind])
                assert outcome in ("read", "refused"), f"{kind} without {name}: {text}"
