"""Steps of every kind that are killed, run out of disk or find their inputs damaged.

The steps run by hand, with the command lines of the workflow, in folders of their own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uproot

from flows import processes

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PLAN = """
import json, shlex, sys
from pathlib import Path
from fullchain.dag.plan import in_order, planned, title

found = {}
with planned(Path("Snakefile"), [Path("config/test.yaml")], [], {}) as dag:
    for job in in_order(dag):
        words = shlex.split(job.shellcmd or "")
        if words[:1] == ["fullchain"]:
            found[title(job.rule.name, dict(job.wildcards_dict))] = {
                "words": words[: words.index(">")],
                "inputs": [str(path) for path in job.input],
                "outputs": [str(path) for path in job.output],
            }
print("PLAN" + json.dumps(found))
"""

MARK = "FULLCHAIN_TEST_OF_FAULTS"


@dataclass
class Step:
    """A step with what it needs."""

    words: list[str]
    inputs: list[str]
    outputs: list[str]
    source: Path

    def place(self, folder: Path) -> None:
        """Link the inputs and their records into a folder."""
        for path in self.inputs:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).hardlink_to(self.source / path)
            for record in (self.source / path).parent.glob("*.provenance.json"):
                there = folder / Path(path).parent / record.name
                if not there.exists():
                    there.hardlink_to(record)

    def start(self, folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name(self.words[0])), *self.words[1:]],
            cwd=folder,
            env={**os.environ, MARK: str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Without them, what runs in the background ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, folder: Path, status: int = 0) -> str:
        process = self.start(folder)
        said = process.communicate()[0]
        assert process.returncode == status, said
        return said

    def results(self, folder: Path) -> dict[str, object]:
        """Give what the outputs that are there hold."""
        there = {path: folder / path for path in self.outputs}
        return {path: content(place) for path, place in there.items() if place.exists()}

    def into(self, folder: Path) -> "Step":
        """Give the same step with outputs in another folder."""
        moved = {path: str(folder / Path(path).name) for path in self.outputs}
        words = [moved.get(word, word) for word in self.words]
        return Step(words, self.inputs, list(moved.values()), self.source)


def content(path: Path) -> object:
    """Give what a file holds; a ROOT file has an identity of its own, and its manifest knows it."""
    if path.suffix == ".root":
        with uproot.open(path) as file:
            return {
                (name, branch): values.tolist()
                for name in file.keys(filter_classname="TTree")
                for branch, values in file[name].arrays(library="ak", how=dict).items()
            }
    if path.suffix == ".json":
        found = json.loads(path.read_text())
        if "files" in found:
            found["files"] = [{**one, "sha256": ""} for one in found["files"]]
        return found
    return path.read_bytes()


def wait_until_gone(folder: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while left := processes(folder, f"{MARK}={folder}"):
        assert time.monotonic() < end, f"goes on: {left}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def planned(small) -> dict[str, dict]:
    done = subprocess.run(
        [sys.executable, "-c", PLAN],
        cwd=small.folder,
        env=small.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("PLAN"))
    return json.loads(line.removeprefix("PLAN"))


NAMES = {
    "generation": "ntuples_generate (sample=wjet, part=0000)",
    "jets": "jets_cluster (sample=wjet, part=0000)",
    "numpy": "unfolding_iterate (measurement=gaussian, method=ibu_converged)",
    "training": "calorimetry_train (shower_model=vae)",
}


@pytest.fixture(scope="module")
def step(small, planned, firmware, figures) -> Callable[[str], Step]:
    """Give a step of a kind."""

    def give(kind: str) -> Step:
        if kind in ("verilator", "yosys"):
            return firmware[kind]
        if kind == "figures":
            return figures
        job = planned[NAMES["jets" if kind == "workers" else kind]]
        made = Step(job["words"], job["inputs"], job["outputs"], small.folder)
        if kind == "workers":
            for option, value in (
                ("--executor", "futures"), ("--workers", "2"), ("--events-per-chunk", "20"),
            ):  # fmt: skip
                made.words[made.words.index(option) + 1] = value
        return made

    return give


@pytest.fixture(scope="module")
def figures(small, planned) -> Step:
    """Figures of the jets of one sample."""
    histograms = planned["jets_histograms"]["words"]
    begin = histograms.index("--jets") + 1
    jets = planned[NAMES["jets"]]["outputs"][0]
    settings = histograms[histograms.index("--settings") + 1]
    made = [f"results/test/jets/{name}" for name in ("histograms.root", "metrics.json", "a.json")]
    Step(
        [*histograms[:begin], jets, "--histograms", made[0], "--metrics", made[1],
         "--accounts", made[2], "--settings", settings],
        [jets], made, small.folder,
    ).run(small.folder)  # fmt: skip
    plot = planned["jets_plot"]
    Step(plot["words"], [], [], small.folder).run(small.folder)
    # Those of samples that are not there are left out.
    outputs = [path for path in plot["outputs"] if (small.folder / path).exists()]
    assert len(outputs) > 5
    return Step(plot["words"], [made[0]], outputs, small.folder)


@pytest.fixture(scope="module")
def firmware(planned, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Step]:
    """Emulation and synthesis of a small network with random weights."""
    from fullchain.firmware import fixed_network, stimuli
    from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, InputNumbers
    from fullchain.firmware.fixed_point import Format

    folder = tmp_path_factory.mktemp("firmware")
    generator = np.random.default_rng(1)

    def dense(name: str, activation: str, shape: tuple[int, int], kept: bool) -> Dense:
        weight = generator.integers(-7, 8, shape) / 8
        output = Format.uniform(shape[1], signed=False, integer=2, fractional=2)
        return Dense(name, weight, np.zeros(shape[1]), activation, output if kept else None)

    network = FixedPointNetwork(
        InputNumbers(
            tuple("abcd"),
            np.zeros(4),
            np.zeros(4, dtype=np.int64),
            Format.uniform(4, signed=True, integer=1, fractional=3),
        ),
        0,
        (dense("first", "relu", (4, 8), True), dense("last", "linear", (8, 2), False)),
        ("y0", "y1"),
    )
    network.check()
    fixed_network.write(folder / "network.json", network, {})
    inputs = stimuli.random_inputs(network.inputs.format, network.input_shape, 2000, generator)
    stimuli.write(
        folder / "stimuli.h5",
        stimuli.Stimuli(
            inputs.reshape(len(inputs), -1),
            network.evaluate(inputs),
            np.full(len(inputs), stimuli.RANDOM, np.int8),
            {"target": np.zeros(0, dtype=np.int64)},
            (),
        ),
    )

    def settings(rule: str) -> str:
        words = next(job["words"] for name, job in planned.items() if name.startswith(rule))
        return words[words.index("--settings") + 1]

    def make(rule: str, inputs: dict[str, str], outputs: dict[str, str]) -> Step:
        stage, _, name = rule.partition("_")
        given = [word for option, path in (inputs | outputs).items() for word in (option, path)]
        words = ["fullchain", stage, name, *given, "--settings", settings(rule)]
        return Step(words, list(inputs.values()), list(outputs.values()), folder)

    make(
        "firmware_trace",
        {"--network": "network.json"},
        {"--archive": "rtl.tar.gz", "--report": "rtl.json"},
    ).run(folder)
    verilog = {"--archive": "rtl.tar.gz", "--rtl": "rtl.json"}
    return {
        "verilator": make(
            "firmware_verilate",
            {**verilog, "--stimuli": "stimuli.h5"},
            {"--outputs": "verilator.h5", "--report": "verilator.json"},
        ),
        "yosys": make(
            "firmware_synthesise",
            verilog,
            {"--netlist": "netlist.v.gz", "--report": "synthesis.json"},
        ),
    }


KINDS = ("numpy", "generation", "jets", "workers", "training", "figures", "verilator", "yosys")


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_step_leaves_nothing_and_its_repetition_gives_the_same(
    kind: str, step: Callable[[str], Step], tmp_path: Path
) -> None:
    """Signals to the command and to its child, at several moments, one after the other."""
    chosen = step(kind)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
        chosen.place(folder)
    begin = time.monotonic()
    chosen.run(undisturbed)
    seconds = time.monotonic() - begin
    expected = chosen.results(undisturbed)
    assert sorted(expected) == sorted(chosen.outputs)
    wait_until_gone(undisturbed)

    killed = 0
    for number, fraction, of_child in (
        (signal.SIGKILL, 0.3, False),
        (signal.SIGTERM, 0.5, False),
        (signal.SIGKILL, 0.7, True),
        (signal.SIGINT, 0.85, False),
    ):
        process = chosen.start(disturbed)
        try:
            process.wait(fraction * seconds)
        except subprocess.TimeoutExpired:
            killed += 1
            target = process.pid
            if of_child:
                target = int(Path(f"/proc/{target}/task/{target}/children").read_text().split()[0])
            os.kill(target, number)
        said = process.communicate()[0]
        wait_until_gone(disturbed)
        for path, found in chosen.results(disturbed).items():
            assert found == expected[path], f"{path} after {signal.Signals(number).name}: {said}"
    assert killed, f"none of 4 attempts took as long as the first of {seconds:.1f} s"

    chosen.run(disturbed)
    assert chosen.results(disturbed) == expected
    assert not list(disturbed.rglob(".unfinished.*"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "fullchain", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("kind", ["generation", "jets", "training", "numpy", "verilator"])
def test_a_full_disk_is_named_and_the_same_command_goes_on(
    kind: str, step: Callable[[str], Step], disk: Path, tmp_path: Path
) -> None:
    work, reference = tmp_path / "work", tmp_path / "reference"
    chosen, normal = step(kind).into(disk), step(kind).into(reference)
    for folder in (work, reference):
        folder.mkdir()
    chosen.place(work)
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        while stream.write(bytes(4096)):
            pass
    said = chosen.run(work, status=2)
    last = said[said.rindex("error:") :]
    assert str(disk) in last
    assert "the disk is full" in last
    assert f"0.0 MB are free in {disk} now" in last
    assert "Traceback" not in said
    assert [path.name for path in disk.iterdir()] == ["filler"]
    filler.unlink()
    chosen.run(work)
    normal.run(work)
    for made, wanted in zip(chosen.outputs, normal.outputs, strict=True):
        if not made.endswith("0000.json"):
            assert content(Path(made)) == content(Path(wanted))


def test_a_folder_that_cannot_be_written_is_named(
    step: Callable[[str], Step], disk: Path, tmp_path: Path
) -> None:
    chosen = step("numpy").into(disk)
    chosen.place(tmp_path)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    said = chosen.run(tmp_path, status=2)
    assert f"error: {disk}" in said
    assert "Read-only file system; this step writes there" in said


def test_a_folder_of_inputs_that_is_read_only_is_enough(
    step: Callable[[str], Step], disk: Path, tmp_path: Path
) -> None:
    chosen = step("numpy")
    for path in chosen.inputs:
        (disk / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(chosen.source / path, disk / path)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    words = [str(disk / word) if word in chosen.inputs else word for word in chosen.words]
    Step(words, [], chosen.outputs, chosen.source).run(tmp_path)
    assert chosen.results(tmp_path) == chosen.results(chosen.source)


@pytest.mark.parametrize(
    ("ways", "records"), [(("cut", "zeros", "flip"), True), (("cut", "empty", "other"), False)]
)
def test_damaged_inputs_are_named(
    ways: tuple[str, ...], records: bool, small, project: Path, tmp_path: Path
) -> None:
    """With records all damage is noticed; without, what cannot be read."""
    out = tmp_path / "outcomes.json"
    program = project / "benchmarks" / "damaged_inputs.py"
    options = ["--configfile", "config/test.yaml", "--out", str(out), "--ways", *ways]
    subprocess.run(
        [sys.executable, str(program), *options, *(["--records"] if records else [])],
        cwd=small.folder,
        env=small.environment(),
        check=True,
        capture_output=True,
    )
    outcomes = json.loads(out.read_text())
    assert {name.split(" ")[0] for _, name, *_ in outcomes} >= {
        "ntuples_generate", "jets_cluster", "unfolding_iterate", "unfolding_evaluate",
        "calorimetry_train", "calorimetry_sample",
    }  # fmt: skip
    # What a generator starts from has a format of Pythia's, that takes what it can read.
    assert not [one for one in outcomes if one[0] != "named" and not one[2].endswith(".mpi")]
    if records:
        assert {one[0] for one in outcomes} == {"named"}
