"""Jets per second of trained taggers: onnxruntime on `model.onnx` against torch on `model.pt`.

Usage: python benchmarks/tagging/inference.py --jets results/default/jets/tt/*.parquet \
    --models results/default/tagging/*/fold0_seed0 [--batch-size 512] [--rounds 5]

Each folder is that of the only training of a tagger: it holds `model.pt`, and the one above it
`model.onnx`. All get the same jets, as arrays in memory, in the same batches, on one thread and in
turn in each round. Torch runs twice: as the graph that is exported, node by node and with padding,
which is how eager torch evaluates such networks elsewhere, and as our own prediction does, which
leaves padding out. Printed are jets per second of CPU time (the median of the rounds), the ratios
with their ranges over the rounds, and the largest difference of the scores of onnxruntime and of
our prediction.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import torch

from fullchain.tagging.jets_reading import concatenate, stream
from fullchain.tagging.model_file import Trained, load
from fullchain.tagging.views import Arrays

Score = Callable[[Arrays], np.ndarray]


def eager(trained: Trained) -> Score:
    """Score with torch."""

    @torch.no_grad()
    def score(arrays: Arrays) -> np.ndarray:
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        found: np.ndarray = torch.softmax(trained.tagger(tensors), dim=1)[:, 0].numpy()
        return found

    return score


def padded(trained: Trained) -> Score:
    """Score with torch on the graph that is exported."""
    score = eager(trained)

    def exported(arrays: Arrays) -> np.ndarray:
        # What leaves padding out asks these, as numbers of particles may not shape a graph.
        told = (
            mock.patch.object(torch.compiler, name, return_value=True)
            for name in ("is_exporting", "is_compiling")
        )
        with next(told), next(told):
            return score(arrays)

    return exported


def runtime(path: Path) -> Score:
    """Score with onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )

    def score(arrays: Arrays) -> np.ndarray:
        return np.asarray(session.run(["score"], arrays)[0])

    return score


def timed(score: Score, arrays: Arrays, batch_size: int) -> tuple[float, np.ndarray]:
    """Jets per second of CPU time, and the scores."""
    jets = len(next(iter(arrays.values())))
    start = time.process_time()
    pieces = [
        score({name: values[begin : begin + batch_size] for name, values in arrays.items()})
        for begin in range(0, jets, batch_size)
    ]
    return jets / (time.process_time() - start), np.concatenate(pieces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jets", nargs="+", type=Path, required=True)
    parser.add_argument("--models", nargs="+", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--largest", type=int, default=4096, help="jets at most")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'':<34}{'onnxruntime':>12}{'torch, padded':>15}{'ratio (range)':>20}"
        f"{'torch, ours':>13}{'ratio (range)':>20}{'difference':>12}"
    )
    for folder in chosen.models:
        trained = load(folder / "model.pt")
        view = trained.tagger.view
        read = [
            batch
            for path in chosen.jets
            for batch in stream(
                path, view.columns, view.n_constituents, fields=view.fields, variation="nominal"
            )
        ]
        jets = concatenate(read)
        some = np.arange(len(jets)) < chosen.largest
        arrays = {
            name: np.ascontiguousarray(v) for name, v in view.arrays(jets.where(some)).items()
        }
        scores = runtime(folder.parent / "model.onnx"), padded(trained), eager(trained)
        for score in scores:  # the first call allocates and plans
            timed(score, arrays, chosen.batch_size)
        rounds = [
            [timed(score, arrays, chosen.batch_size) for score in scores]
            for _ in range(chosen.rounds)
        ]
        name = f"{folder.parent.name}/{folder.name}"
        line = f"{name:<34.34}{statistics.median(one[0][0] for one in rounds):>12.0f}"
        for side, width in ((1, 15), (2, 13)):
            ratios = [one[0][0] / one[side][0] for one in rounds]
            span = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            line += f"{statistics.median(one[side][0] for one in rounds):>{width}.0f}{span:>20}"
        # Of particles at the same distance, torch with padding takes any as a neighbour.
        difference = float(np.nanmax(np.abs(rounds[0][0][1] - rounds[0][2][1])))
        print(f"{line}{difference:>12.1e}", flush=True)


if __name__ == "__main__":
    main()
