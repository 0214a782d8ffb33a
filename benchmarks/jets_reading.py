"""How fast the stage `jets` reads, against a coffea loop written by hand over the same columns.

    python benchmarks/jets_reading.py results/default/ntuples/tt/0000.root [--repeat 7]

Both use `processor.Runner` with virtual arrays, one process, the same schema and chunks, and the
same columns of the same file: identity of the events, weights, pile-up, missing momentum, and the
candidates, turned into four-momenta with charged-hadron subtraction. The loop by hand is what an
analyst writes with NanoEvents and `vector`; ours goes through the reader of the layout. They are
measured in turn, so that a busy machine hits both alike, and their results are compared.
"""

import argparse
import statistics
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from typing import Any

import awkward as ak
import numpy as np
import uproot
import vector
from coffea import processor
from coffea.processor.executor import WorkItem

from fullchain.jets.reading import read_candidates, read_events
from fullchain.ntuples.layouts.registry import get_layout

vector.register_awkward()


class Ours(processor.ProcessorABC):
    def process(self, events: Any) -> dict[str, Any]:
        layout = get_layout("pfnano")
        columns = read_events(layout, events)
        candidates = read_candidates(layout, events, "chs")
        return {
            "events": len(columns.event),
            "weight": float(columns.weight.sum()),
            "energy": float(candidates.momenta[:, 3].sum()),
        }

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


class ByHand(processor.ProcessorABC):
    def process(self, events: Any) -> dict[str, Any]:
        cands = events.PFCands
        chosen = cands[(cands.charge == 0) | (cands.fromPV > 0)]
        p4 = ak.zip(
            {
                name: ak.values_astype(chosen[name], np.float64)
                for name in ("pt", "eta", "phi", "mass")
            },
            with_name="Momentum4D",
        )
        momenta = ak.zip({"px": p4.px, "py": p4.py, "pz": p4.pz, "E": p4.E})
        # the columns that our reading also takes
        touched = [chosen.pdgId, events.run, events.luminosityBlock, events.Pileup.nTrueInt]
        touched += [events.PV.npvs, events.MET.pt, events.MET.phi, events.PSWeight]
        for column in touched:
            ak.materialize(column)
        return {
            "events": len(events.event),
            "weight": float(np.sum(ak.to_numpy(events.genWeight), dtype=np.float64)),
            "energy": float(ak.sum(momenta.E)),
        }

    def postprocess(self, accumulator: Any) -> Any:
        return accumulator


def run(task: processor.ProcessorABC, schema: Any, items: list[WorkItem]) -> tuple[float, Any]:
    runner = processor.Runner(processor.IterativeExecutor(status=False), schema=schema)
    start = time.process_time()
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = runner.run(items, task)["out"]
    return time.process_time() - start, output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--events-per-chunk", type=int, default=1000)
    chosen = parser.parse_args()
    with uproot.open(chosen.file) as file:
        entries, identity = file["Events"].num_entries, file.file.uuid.bytes
    edges = [*range(0, entries, chosen.events_per_chunk), entries]
    items = [
        WorkItem("sample", chosen.file, "Events", start, stop, identity, {})
        for start, stop in pairwise(edges)
    ]
    tasks = {
        "fullchain": (Ours(), get_layout("pfnano").schema),
        "by hand": (ByHand(), get_layout("pfnano").schema),
    }
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(chosen.repeat + 1):
        outputs = {}
        for name, (task, schema) in tasks.items():
            seconds, outputs[name] = run(task, schema, items)
            taken[name].append(1e3 * seconds / entries)
        for key in ("events", "weight", "energy"):
            np.testing.assert_allclose(
                outputs["fullchain"][key], outputs["by hand"][key], rtol=1e-6
            )
    # the first round of each fills caches
    taken = {name: values[1:] for name, values in taken.items()}
    for name, values in taken.items():
        print(f"{name:<12}{statistics.median(values):8.3f} ms per event (CPU, median)")
    ratios = [b / a for a, b in zip(taken["fullchain"], taken["by hand"], strict=True)]
    print(
        f"by hand / fullchain: {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds; above 1: ours is faster)"
    )


if __name__ == "__main__":
    main()
