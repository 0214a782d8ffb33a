"""A process that reads files which may be damaged, and says what came of each.

It gets lines with a JSON list [reader, path], and answers with a line [outcome, text]: "read",
"refused" (an InputError), or "fault" (anything else). Its memory is bounded, so that a file that
asks for too much of it is a fault and not the end of the machine.
"""

import contextlib
import json
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fullchain.errors import InputError

MEMORY = 12 << 30
"""Address space, of which most is of libraries that are loaded and never used [bytes]."""


def root(path: Path) -> None:
    from fullchain.jets.part import read
    from fullchain.jets.settings import JetsSettings
    from fullchain.ntuples.inspection import inspect_file

    inspect_file(str(path))
    # the manifest of the file when it was whole
    read(path.parent.parent / "root.json", JetsSettings(shifts={}), 1)


def showers(path: Path) -> None:
    from fullchain.calorimetry.geometry import Geometry, Layer
    from fullchain.calorimetry.shower_file import read

    read(path, Geometry(22, "small", (Layer(0, (0.0, 10.0, 20.0), 4), Layer(1, (0.0, 10.0), 1))))


def archive(path: Path) -> None:
    from fullchain.ntuples.jet_files.quark_gluon import QuarkGluon

    with contextlib.closing(QuarkGluon(str(path))) as file:
        file.read(0, min(file.rows, 1000))


def jets(path: Path) -> None:
    from fullchain.jets.histograms import fill_lund, read_jets
    from fullchain.tagging import jets_reading
    from fullchain.unfolding import pair
    from fullchain.unfolding.pair_settings import PairSettings

    for _ in read_jets(path):
        pass
    fill_lund("sample", [path], 0.8)
    jets_reading.read([path], ["pt", "mass"], 30, lambda found: np.ones(len(found["pt"]), bool))
    pair.pairs(pair.read_jets(path), PairSettings(sample="sample", label=None))


def scores(path: Path) -> None:
    from fullchain.inference.jet_tables import read_parts
    from fullchain.tagging import score_files

    # the jets that these are the scores of, whole
    jets_of_them = path.parent.parent / "jets.parquet"
    for _ in score_files.stream_scored([jets_of_them], path, ["pt"], score_files.score_names(path)):
        pass
    score_files.read_scores(path, score_files.score_names(path))
    score_files.working_point(path)
    for _ in read_parts("sample", [jets_of_them], path):
        pass


def events(path: Path) -> None:
    from fullchain.unfolding import event_table

    event_table.read([path], event_table.observables(path), shifts=["up"], factors=["isr"])


def unfolded(path: Path) -> None:
    from fullchain.unfolding import unfolded_file

    unfolded_file.read(path)


def summary_events(path: Path) -> None:
    from fullchain.inference.summary_events import read_events

    read_events(path)


def weights(path: Path) -> None:
    from fullchain.pileup.weight_file import method_and_sample, read_weights

    method_and_sample(path)
    ids = (np.ones(3, np.uint32), np.ones(3, np.uint32), np.arange(3, dtype=np.uint64))
    read_weights(path, 0, 0, ids, np.array([0, 2, 3, 6]))


def model(path: Path) -> None:
    from fullchain.learning import torch_file

    torch_file.read_format(path, 1, "a model", "train first", "train again")


def configuration(path: Path) -> None:
    from fullchain.settings import load

    load(path)


def manifest(path: Path) -> None:
    from fullchain.ntuples.manifests import read_part

    read_part(path)


def workspace(path: Path) -> None:
    from fullchain.inference import adopt
    from fullchain.step import Given

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        values = {"path": path.name, "luminosity": 36.0}
        adopt.main(
            source=path,
            name="mine",
            workspace_json=out / "workspace.json",
            report=out / "model.json",
            patchset=out / "patchset.json",
            settings=Given({"inference": {"workspaces": {"mine": values}}}),
        )


READERS: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (
        root,
        showers,
        archive,
        jets,
        scores,
        events,
        unfolded,
        summary_events,
        weights,
        model,
        configuration,
        manifest,
        workspace,
    )
}


def answer(reader: str, path: Path) -> list[str]:
    """Give outcome and text of reading one file."""
    try:
        READERS[reader](path)
    except InputError as problem:
        return ["refused", str(problem)]
    except BaseException:
        return ["fault", traceback.format_exc()]
    return ["read", ""]


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    # what libraries print is no answer
    os.dup2(2, 1)
    for line in sys.stdin:
        reader, path = json.loads(line)
        answers.write(json.dumps(answer(reader, Path(path))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
