"""ONNX files: the same scores as torch for jets as detectors give them, in pieces of any number."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from fullchain.learning.training import initialised
from fullchain.tagging import features
from fullchain.tagging.onnx_file import save_onnx
from fullchain.tagging.onnx_pieces import PIECE, in_pieces
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger, probabilities

ENTRIES = 20
SMALL: dict[str, dict[str, Any]] = {
    "particlenet": {"neighbours": 5, "blocks": [[8, 8], [12, 12]], "fc": [8], "fusion": True},
    "part": {"embedding": [16], "pairs": [8], "heads": 2, "blocks": 1, "class_blocks": 1},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def granular(values: np.ndarray) -> np.ndarray:
    """Round to ten bits of mantissa, as compressed files store what a detector measured."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**10) / 2**10, exponent)


def jets(number: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Narrow jets on both sides of the cut of phi: particles that nearly or really coincide."""
    rng = np.random.default_rng(seed)
    axis = np.stack([rng.uniform(-2, 2, number), rng.choice([-3.14, 0.4, 3.14], number)], axis=1)
    counts = rng.integers(1, ENTRIES + 1, number)
    counts[: number // 4] = ENTRIES
    mask = np.arange(ENTRIES) < counts[:, None]
    pt = -np.sort(-200 * rng.exponential(1, (number, ENTRIES)) ** 3, axis=1) + 1
    spread = rng.choice([1e-4, 1e-3, 0.02, 0.3], (number, ENTRIES, 1))
    angles = axis[:, None] + spread * rng.normal(size=(number, ENTRIES, 2))
    angles[:, 5] = angles[:, 2]
    angles[:, 9] = np.nextafter(angles[:, 3], 9)
    mass = rng.choice([0.0, 0.13957, 0.49761], (number, ENTRIES))
    angles[: number // 2] = granular(angles[: number // 2])
    angles[..., 1] -= 2 * np.pi * np.round(angles[..., 1] / (2 * np.pi))
    constituents = np.stack([granular(pt), angles[..., 0], angles[..., 1], mass], axis=-1)
    constituents[~mask] = 0
    jet = np.column_stack([(pt * mask).sum(axis=1), axis, np.full(number, 80.0)])
    return {"constituents": constituents.astype(np.float32), "jet": jet.astype(np.float32)}


def tagger(kind: str) -> tuple[Tagger, TaggerSettings]:
    """A small network whose batch norms have moments of jets."""
    sizes = {"kind": kind, **SMALL[kind]}
    chosen = TaggerSettings.model_validate(
        {"inputs": "kin", "architecture": sizes, "n_constituents": ENTRIES}
    )
    built = initialised(3, lambda: Tagger(chosen, features.PUBLISHED["kin"]))
    assert isinstance(built, Tagger)
    with torch.no_grad():
        for seed in range(8):
            built.train()(tensors(jets(40, seed)))
    return built.eval(), chosen


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, sess_options=options)


@pytest.mark.parametrize("kind", sorted(SMALL))
def test_scores_are_those_of_torch(kind: str, tmp_path: Path) -> None:
    built, chosen = tagger(kind)
    save_onnx(tmp_path / "model.onnx", [built], chosen)
    run = session(tmp_path / "model.onnx")
    for number in (0, 1, 11, 400):
        given = jets(number, seed=50)
        score, found = run.run(["score", "probabilities"], given)
        assert score.shape == (number,) and found.shape == (number, 2)
        with torch.no_grad():
            expected = torch.softmax(built(tensors(given)), dim=1).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(score, found[:, 0])
    assert expected[:, 0].std() > 1e-3
    # Particles after padding are as good as others; a jet without any has no score, here and there.
    given = jets(9, seed=51)
    given["constituents"] = given["constituents"][:, ::-1].copy()
    given["constituents"][4] = 0
    expected = probabilities(built, given, torch.device("cpu"))
    assert np.flatnonzero(np.isnan(expected).any(axis=1)).tolist() == [4]
    np.testing.assert_allclose(run.run(["probabilities"], given)[0], expected, rtol=0, atol=1e-5)


def graph(second: str) -> onnx.ModelProto:
    """Probabilities: sum of pT times the jet's, and what the nodes `second` calculate."""
    node = helper.make_node
    seen = {
        "entries": [
            node("Shape", ["constituents"], ["n"], start=1, end=2),
            node("Cast", ["n"], ["as_float"], to=TensorProto.FLOAT),
            node("Mul", ["all_zero", "as_float"], ["nothing"]),
            node("Add", ["nothing", "as_float"], ["other"]),
        ],
        "jet": [node("Identity", ["jet"], ["other"])],
    }
    nodes = [
        node("Slice", ["constituents", "from", "to", "axis"], ["pts"]),
        node("ReduceSum", ["pts", "middle"], ["sum"], keepdims=0),
        node("Mul", ["sum", "jet"], ["first"]),
        node("Mul", ["jet", "null"], ["all_zero"]),
        *seen[second],
        node("Concat", ["first", "other"], ["probabilities"], axis=1),
        node("Gather", ["probabilities", "index"], ["score"], axis=1),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [1], [value])
        for name, value in (("from", 0), ("to", 1), ("axis", 2), ("middle", 1))
    ]
    constants.append(helper.make_tensor("index", TensorProto.INT64, [], [0]))
    constants.append(helper.make_tensor("null", TensorProto.FLOAT, [], [0.0]))
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "sums",
        [
            value("constituents", TensorProto.FLOAT, ["jets", "entries", 2]),
            value("jet", TensorProto.FLOAT, ["jets", 1]),
        ],
        [
            value("score", TensorProto.FLOAT, ["jets"]),
            value("probabilities", TensorProto.FLOAT, ["jets", 2]),
        ],
        initializer=constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def given(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Constituents with pT of one, the number of the last that is a particle, and the jets."""
    rng = np.random.default_rng(number)
    reach = rng.integers(0, 8, number)
    constituents = np.zeros((number, 7, 2), dtype=np.float32)
    constituents[..., 0] = np.arange(1, 8) <= reach[:, None]
    if number > 2:
        constituents[2, :, 0] = [0, 1, 0, 0, 1, 0, 0]
        reach[2] = 5
    return constituents, reach, np.arange(number, dtype=np.float32)[:, None]


@pytest.mark.parametrize("least", [None, 3])
@pytest.mark.parametrize("number", [0, 1, 11, PIECE, PIECE + 1, 3 * PIECE - 1])
def test_each_jet_gets_its_own_result(number: int, least: int | None, tmp_path: Path) -> None:
    model = graph("jet")
    in_pieces(model, classes=2, entries=7, least=least)
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "model.onnx")
    constituents, _, jet = given(number)
    inputs = {"constituents": constituents, "jet": jet}
    score, found = session(tmp_path / "model.onnx").run(None, inputs)
    np.testing.assert_array_equal(
        found, np.hstack([constituents[..., 0].sum(1)[:, None] * jet, jet])
    )
    np.testing.assert_array_equal(score, found[:, 0])


@pytest.mark.parametrize("least", [None, 3])
def test_a_piece_ends_with_its_own_particles(least: int | None, tmp_path: Path) -> None:
    model = graph("entries")
    in_pieces(model, classes=2, entries=7, least=least, size=4)
    onnx.save(model, tmp_path / "model.onnx")
    constituents, reach, jet = given(23)
    inputs = {"constituents": constituents, "jet": jet}
    seen = session(tmp_path / "model.onnx").run(["probabilities"], inputs)[0][:, 1]
    if least is None:
        assert (seen == 7).all()
        return
    longest = -np.sort(-reach)[::4]
    expected = np.maximum(np.repeat(longest, 4)[:23], least)
    np.testing.assert_array_equal(-np.sort(-seen), expected)
    assert (seen >= reach).all() and seen.min() == least
