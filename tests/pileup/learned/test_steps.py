"""Training and applying on small ROOT files: what is written, what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning import torch_file
from fullchain.pileup import apply, train
from fullchain.pileup.association_settings import AssociationSettings
from fullchain.pileup.candidate_events import candidate_events
from fullchain.pileup.learned_file import load
from fullchain.pileup.learned_weights import learned_weights
from fullchain.pileup.reading import read_chunks
from fullchain.pileup.weight_file import method_and_sample, read_weights
from fullchain.step import Given

Write = Callable[..., Path]

TRAINING = {"epochs": 3, "batch_size": 16}
METHODS: dict[str, dict[str, Any]] = {
    "graph": {
        "kind": "graph",
        "samples": ["toy"],
        "layers": {"kind": "gated", "hidden": 8, "fc": [8]},
        "windows": {"points": 96},
        "seeding": {"per_event": 2},
        "training": TRAINING,
    },
    "pumml": {"kind": "pumml", "samples": ["toy"], "training": TRAINING},
}


def given(**changes: Any) -> Given:
    methods = {name: values | changes for name, values in METHODS.items()}
    return Given({"seed": 7, "pileup": {"learned": methods}})


def run(folder: Path, file: Path, method: str, member: str = "seed0", **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    train.main(
        manifests=[file],
        method=method,
        member=member,
        model=folder / "model.pt",
        history=folder / "history.json",
        settings=given(**changes),
    )
    return folder / "model.pt"


@pytest.mark.parametrize("method", sorted(METHODS))
def test_train_and_apply(method: str, tmp_path: Path, write_toy: Write) -> None:
    file = write_toy(tmp_path / "toy.root", events=40)
    models = [run(tmp_path / f"seed{k}", file, method, f"seed{k}") for k in (0, 1)]
    history = json.loads((tmp_path / "seed0" / "history.json").read_text())
    assert history["events"]["train"] + history["events"]["validation"] < 40
    assert len(history["validation"]) == 3
    assert not list(tmp_path.glob("seed*/checkpoint.pt"))
    if method == "pumml":
        assert history["parameters"] == 4711
    (chunk,) = read_chunks(file, events_per_chunk=100)
    ids = (chunk.events.run, chunk.events.luminosity_block, chunk.events.event)
    events = candidate_events(chunk.events, AssociationSettings())
    single = []
    for name, chosen in (("one", models[:1]), ("two", models[1:]), ("all", models[::-1])):
        out = tmp_path / f"{name}.parquet"
        apply.main(
            manifest=file, models=chosen, method=name, weights=out, settings=Given({"seed": 7})
        )
        assert method_and_sample(out) == (name, "toy")
        found = read_weights(out, 0, 0, ids, events.offsets)
        if name == "all":
            np.testing.assert_allclose(found, np.mean(single, axis=0), atol=1e-6)
            continue
        trained = load(chosen[0])
        expected = learned_weights(trained.network, events, trained.settings)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        single.append(found)
    assert not np.array_equal(*single)


@pytest.mark.parametrize("budget", [None, 0.01])
def test_two_trainings_agree_to_the_bit(
    budget: float | None, tmp_path: Path, write_toy: Write
) -> None:
    """Also where the rows do not fit the budget of memory and lie in files."""
    file = write_toy(tmp_path / "toy.root", events=30)
    one = load(run(tmp_path / "a", file, "graph"))
    changed = TRAINING | {"memory_budget_mb": budget}
    two = load(run(tmp_path / "b", file, "graph", training=changed))
    for name, values in one.network.state_dict().items():
        assert torch.equal(values, two.network.state_dict()[name]), name


def test_a_file_without_association_is_refused(tmp_path: Path, write_toy: Write) -> None:
    bare = write_toy(tmp_path / "bare.root", events=5, drop=("fromPV", "dz", "dzErr"))
    with pytest.raises(InputError, match=r"bare.root: no association of tracks with vertices"):
        run(tmp_path / "b", bare, "graph")


def test_input_that_cannot_be_used_is_named(tmp_path: Path, write_toy: Write) -> None:
    n = 2 * 96  # candidates of two toy events
    fraction = np.zeros(n, np.float32)
    fraction[100] = 1.5
    file = write_toy(tmp_path / "wrong.root", events=2, change={"hardFraction": fraction})
    with pytest.raises(InputError, match=r"wrong.json: .*hardFraction is 1.5 in event 1"):
        run(tmp_path / "a", file, "graph")
    file = write_toy(tmp_path / "bare.root", events=2, drop=("hardFraction",))
    with pytest.raises(InputError, match=r"bare.root: has no branch PFCands_hardFraction"):
        run(tmp_path / "a", file, "graph")
    file = write_toy(tmp_path / "toy.root", events=1)
    with pytest.raises(InputError, match="no parts of other"):
        run(tmp_path / "a", file, "graph", samples=["other"])
    with pytest.raises(InputError, match="seed0, seed1"):
        run(tmp_path / "a", file, "graph", member="fold0")
    with pytest.raises(InputError, match=r"part has \d events and nothing in them to learn"):
        run(tmp_path / "a", file, "graph")


def test_models_that_cannot_be_used_are_named(tmp_path: Path, write_toy: Write) -> None:
    file = write_toy(tmp_path / "toy.root", events=30)
    model = run(tmp_path / "a", file, "pumml")
    other = run(tmp_path / "b", file, "graph", member="seed1")

    def use(*models: Path) -> None:
        apply.main(
            manifest=file,
            models=list(models),
            method="pumml",
            weights=tmp_path / "w.parquet",
            settings=given(),
        )

    with pytest.raises(InputError, match="differ in their settings"):
        use(model, other)
    with pytest.raises(InputError, match="stands twice"):
        use(model, model)
    with pytest.raises(InputError, match="no such file; train it first"):
        use(tmp_path / "none.pt")
    content = torch_file.read(model)
    content["state"]["projection.bias"] = torch.tensor([float("nan")])
    torch_file.write(model, content)
    with pytest.raises(InputError, match=r"model.pt, training seed0: \d+ of \d+ pile-up weights"):
        use(model)
    del content["state"]["projection.bias"]
    torch_file.write(model, content)
    with pytest.raises(InputError, match="not the weights of this network"):
        use(model)
    assert not (tmp_path / "w.parquet").exists()
