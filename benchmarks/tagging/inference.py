"""Jets per second of trained taggers: onnxruntime on `model.onnx` against torch on `model.pt`.

Usage: python benchmarks/tagging/inference.py --jets results/default/jets/tt/*.parquet \
    --models results/default/tagging/*/fold0_seed0 [--batch-size 512] [--rounds 5]

Each folder is that of the only training of a tagger: it holds `model.pt`, and the one above it
`model.onnx`. Both get the same jets, as arrays in memory, in the same batches, on one thread and in
turn in each round. Printed are jets per second of CPU time (the median of the rounds), the ratio
with its range over the rounds, and the largest difference of the scores.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

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
    print(f"{'':<40}{'onnxruntime':>13}{'torch':>10}{'ratio (range)':>22}{'difference':>12}")
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
        scores = runtime(folder.parent / "model.onnx"), eager(trained)
        for score in scores:  # the first call allocates and plans
            timed(score, arrays, chosen.batch_size)
        rounds = [
            [timed(score, arrays, chosen.batch_size) for score in scores]
            for _ in range(chosen.rounds)
        ]
        ratios = [ours[0] / theirs[0] for ours, theirs in rounds]
        rates = [statistics.median(one[side][0] for one in rounds) for side in (0, 1)]
        difference = float(np.nanmax(np.abs(rounds[0][0][1] - rounds[0][1][1])))
        span = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{folder!s:<40.40}{rates[0]:>13.0f}{rates[1]:>10.0f}{span:>22}{difference:>12.1e}")


if __name__ == "__main__":
    main()
