"""Measure what a tagger costs: its size, operations for a jet, rate and memory of inference.

Rates and memory depend on the machine and its load, and differ from run to run: nothing but a table
is made of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
import torch

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import complexity, jets_reading, timing
from fullchain.tagging.cost_settings import CostSettings
from fullchain.tagging.model_file import read_models
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.views import Arrays


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets, of which some are taken: Parquet, ROOT")],
    models: Annotated[list[Path], Input("model.pt of each training of the tagger")],
    onnx: Annotated[Path, Input("model.onnx, the mean of the same trainings")],
    tagger: Annotated[str, Option("name of the tagger")],
    cost: Annotated[Path, Output("sizes, rates and memory, JSON")],
    settings: Given,
) -> None:
    """Read some jets, apply the tagger to them in torch and in onnxruntime."""
    how = settings.model("tagging.cost", CostSettings)
    trained = read_models(models)
    first = trained[0].tagger
    arrays = _arrays(jets, first, max(*how.batch_sizes, how.flop_jets), settings.seed)
    rows = len(next(iter(arrays.values())))
    with device.repeatable(how.threads):
        content = {
            "tagger": tagger,
            "kind": trained[0].settings.architecture.kind,
            "trainings": len(trained),
            "size": complexity.size(first),
            # First, so that no memory is lying about that an earlier measurement left.
            "torch": _measured(_torch([one.tagger for one in trained]), arrays, how),
            "onnxruntime": _measured(_onnx(onnx, how.threads, arrays), arrays, how),
            "operations": complexity.operations(first, _tensors(arrays, min(how.flop_jets, rows))),
            "threads": how.threads,
            "jets": rows,
        }
    write_text(cost, json.dumps(content, indent=1, allow_nan=False) + "\n")


Apply = Callable[[Arrays], object]


def _measured(apply: Apply, arrays: Arrays, how: CostSettings) -> dict[str, Any]:
    memory = timing.peak_memory(partial(apply, _first(arrays, max(how.batch_sizes))))
    found = []
    for size in how.batch_sizes:
        call = partial(apply, _first(arrays, size))
        rate = timing.rates(call, size, seconds=how.seconds, repeats=how.repeats)
        found.append({"batch": size, **rate})
    return {"memory_mb": memory, "rates": found}


def _torch(taggers: Sequence[Tagger]) -> Apply:
    for tagger in taggers:
        tagger.eval()

    @torch.no_grad()
    def apply(arrays: Arrays) -> object:
        tensors = _tensors(arrays)
        return torch.stack([torch.softmax(one(tensors), dim=1) for one in taggers]).mean(dim=0)

    return apply


def _onnx(path: Path, threads: int, example: Arrays) -> Apply:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        # The kinds of error of onnxruntime have no common class but Exception.
        raise InputError(f"{path}: not an ONNX file that can be run ({problem})") from None
    _check_inputs(path, session, example)
    names = [one.name for one in session.get_inputs()]

    def apply(arrays: Arrays) -> object:
        return session.run(["score"], {name: arrays[name] for name in names})

    return apply


def _check_inputs(path: Path, session: Any, example: Arrays) -> None:
    """Raise InputError where a graph does not take what the tagger sees of jets, or has no score.

    Where a size is not fixed in the graph, such as the number of jets, any is right.
    """
    found = {one.name: (one.type, tuple(one.shape[1:])) for one in session.get_inputs()}
    expected = {
        name: (_TYPES[array.dtype.name], array.shape[1:]) for name, array in example.items()
    }
    if found.keys() == expected.keys() and all(
        kind == found[name][0] and _fits(found[name][1], shape)
        for name, (kind, shape) in expected.items()
    ):
        if "score" in {one.name for one in session.get_outputs()}:
            return
        raise InputError(f"{path}: has no output score; export the tagger again")
    raise InputError(
        f"{path}: takes {_listed(found)} of each jet, but the tagger in model.pt sees "
        f"{_listed(expected)}: it is of another tagger; export it again"
    )


_TYPES = {"float32": "tensor(float)", "bool": "tensor(bool)", "int32": "tensor(int32)"}
"""What onnxruntime calls the types of the arrays of a view."""

_Sizes = tuple[int | str | None, ...]


def _fits(found: _Sizes, wanted: _Sizes) -> bool:
    return len(found) == len(wanted) and all(
        not isinstance(one, int) or one == other for one, other in zip(found, wanted, strict=True)
    )


def _listed(inputs: Mapping[str, tuple[str, _Sizes]]) -> str:
    return ", ".join(f"{name} {kind} {list(sizes)}" for name, (kind, sizes) in inputs.items())


def _tensors(arrays: Arrays, rows: int | None = None) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values[:rows]) for name, values in arrays.items()}


def _arrays(paths: list[Path], tagger: Tagger, rows: int, seed: int) -> Arrays:
    """Inputs of nominal jets, as many from each file.

    Raises InputError where there are none.
    """
    view = tagger.view
    share = -(-rows // len(paths))
    pieces: list[Arrays] = []
    for path in paths:
        found = 0
        for batch in jets_reading.stream(
            path,
            ("variation", *view.columns),
            view.n_constituents,
            fields=view.fields,
            variation="nominal",
            batch_rows=max(share, 64),
        ):
            arrays = view.arrays(batch.where(batch.scalars["variation"] == "nominal"))
            pieces.append({name: values[: share - found] for name, values in arrays.items()})
            found += len(next(iter(pieces[-1].values())))
            if found >= share:
                break
    if not sum(len(next(iter(piece.values()))) for piece in pieces):
        names = ", ".join(map(str, paths))
        raise InputError(f"{names}: no nominal jets to measure the rate of a tagger on")
    # Signal and background are read one after the other: mix them, so that each batch has both.
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    order = stream(seed, "tagging", "cost").permutation(len(next(iter(joined.values()))))
    return {name: values[order] for name, values in joined.items()}


def _first(arrays: Arrays, rows: int) -> Arrays:
    """The first jets; where there are fewer, they come again."""
    index = np.arange(rows) % len(next(iter(arrays.values())))
    return {name: np.ascontiguousarray(values[index]) for name, values in arrays.items()}
