"""Taggers on remote files with one jet per entry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

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


def jets(path: Path, rows: int = 700) -> dict[str, np.ndarray]:
    batches = [one.scalars for one in stream(path, ["d2", "event"], 0, batch_rows=rows)]
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
        # more than one connection brings, whatever the number of attempts
        jets(manifest(tmp_path, bad), rows=JETS)
    proxy.misbehave("none")
    assert count(manifest(tmp_path, bad)) == JETS


def test_a_first_batch_that_fails_is_read_from_a_file_that_is_opened_again(
    server: Any, proxy_to: Callable[[Any], Any], served: Path, tmp_path: Path
) -> None:
    expected = jets(manifest(tmp_path, str(served / "jets.root")), rows=JETS)
    proxy = proxy_to(server)
    proxy.misbehave("cut", AFTER_BRANCHES, connections=1)
    found = jets(manifest(tmp_path, server.url("jets.root", proxy.port)), rows=JETS)
    assert found["pt"].tobytes() == expected["pt"].tobytes()


def test_a_replica_that_failed_is_not_asked_for_each_batch(
    server: Any, proxy_to: Callable[[Any], Any], tmp_path: Path, capfd: Any
) -> None:
    proxy = proxy_to(server)
    bad, good = server.url("jets.root", proxy.port), server.url("jets.root")
    proxy.close()
    assert len(jets(manifest(tmp_path, bad, good))["pt"]) == JETS
    assert capfd.readouterr().err.count("trying the next replica") == 1


def test_replicas_must_have_the_same_entries(
    xrootd: Any, proxy_to: Callable[[Any], Any], served: Path, tmp_path: Path
) -> None:
    with uproot.recreate(served / "longer.root") as file:
        file.mktree("tree", {"label": np.int32, "pt": np.float32, "mass": np.float32})
        columns = {name: np.ones(JETS + 1, np.float32) for name in ("pt", "mass")}
        file["tree"].extend({"label": np.ones(JETS + 1, np.int32), **columns})
    proxy = proxy_to(xrootd)
    bad, other = xrootd.url("jets.root", proxy.port), str(served / "longer.root")
    batches = stream(manifest(tmp_path, bad, other), [], 0, batch_rows=700)
    next(batches)
    proxy.close()
    with pytest.raises(InputError, match=r"longer\.root: has 4001 entries.*before it 4000"):
        list(batches)
