"""Taggers on remote files with one jet per entry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.tagging.root_jets import count, stream

JETS = 4000
AFTER_BRANCHES = 20_000


def manifest(folder: Path, *places: str) -> Path:
    file = SourceFile(places[0], "tree", JETS, float(JETS), replicas=places[1:])
    part = PartManifest(
        "mine", "0000", "high_level", (file,), relative_to="working_directory", timeout=1.0,
        retries=2,
    )  # fmt: skip
    write_part(folder / "jets.json", part)
    return folder / "jets.json"


def jets(path: Path) -> dict[str, np.ndarray]:
    batches = [one.scalars for one in stream(path, ["d2", "event"], 0, batch_rows=700)]
    return {name: np.concatenate([one[name] for one in batches]) for name in ("pt", "d2", "event")}


@pytest.mark.parametrize("kind", ["cut", "stall", "garbage"])
def test_a_connection_that_breaks_loses_no_jet(
    server: Any, proxy_to: Callable[[Any], Any], served: Path, tmp_path: Path, kind: str
) -> None:
    expected = jets(manifest(tmp_path, str(served / "jets.root")))
    assert len(expected["pt"]) == JETS
    proxy = proxy_to(server)
    bad, good = server.url("jets.root", proxy.port), server.url("jets.root")
    for connections in (1, 1_000_000):
        proxy.misbehave(kind, AFTER_BRANCHES, connections)
        found = jets(manifest(tmp_path, bad, good))
        for name, values in expected.items():
            assert values.tobytes() == found[name].tobytes(), name
    with pytest.raises(InputError, match="attempt 3 of 3"):
        jets(manifest(tmp_path, bad))
    proxy.misbehave("none")
    assert count(manifest(tmp_path, bad)) == JETS
