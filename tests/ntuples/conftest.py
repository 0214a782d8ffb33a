"""Small ROOT files in the layouts of others, and a web server that misbehaves on demand."""

import collections
import http.server
import pickle
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import pytest
import uproot

N_EVENTS = 6


def nano_columns(
    events: int = N_EVENTS, *, candidates: str | None = "PFCands"
) -> dict[str, ak.Array]:
    """Collections of a small NanoAOD file: two AK8 jets per event, three constituents each."""
    rng = np.random.default_rng(5)

    def jagged(per_event: int, low: float, high: float) -> ak.Array:
        values = rng.uniform(low, high, events * per_event).astype(np.float32)
        return ak.unflatten(values, np.full(events, per_event))

    def momenta(per_event: int) -> dict[str, ak.Array]:
        return {
            "pt": jagged(per_event, 1, 100),
            "eta": jagged(per_event, -2, 2),
            "phi": jagged(per_event, -3, 3),
            "mass": jagged(per_event, 0, 0.2),
        }

    columns = {
        "run": np.ones(events, np.uint32),
        "luminosityBlock": np.full(events, 3, np.uint32),
        "event": np.arange(10, 10 + events, dtype=np.uint64),
        "genWeight": np.where(np.arange(events) % 3 == 0, -2.0, 2.0).astype(np.float32),
        "FatJet": ak.zip({**momenta(2), "rawFactor": jagged(2, 0, 0.1)}),
    }
    if candidates:
        codes = np.tile([211, -211, 22, 130, -13, 11, 1], events)
        per_event = np.full(events, 7)
        index, jet = np.tile([5, 0, 3, 1, 2, 4], events), np.tile([1, 0, 1, 0, 0, 1], events)
        links = np.full(events, 6)
        columns[candidates] = ak.zip(
            {**momenta(7), "pdgId": ak.unflatten(codes.astype(np.int32), per_event)}
        )
        new = candidates == "PFCand"
        columns["FatJetPFCand" if new else "FatJetPFCands"] = ak.zip(
            {
                "pfCandIdx" if new else "pFCandsIdx": ak.unflatten(index.astype(np.int32), links),
                "jetIdx": ak.unflatten(jet.astype(np.int32), links),
            }
        )
    return columns


@pytest.fixture
def write_nano() -> Callable[..., Path]:
    """Write a small NanoAOD file; keywords: events, candidates, drop, runs, tree, extra."""

    def write(
        path: Path,
        *,
        events: int = N_EVENTS,
        candidates: str | None = "PFCands",
        drop: tuple[str, ...] = (),
        runs: float | None = None,
        tree: str = "Events",
        extra: dict[str, ak.Array] | None = None,
    ) -> Path:
        columns = {**nano_columns(max(events, 1), candidates=candidates), **(extra or {})}
        for name in drop:
            collection, _, field = name.partition("_")
            if field:
                columns[collection] = ak.without_field(columns[collection], field)
            else:
                del columns[collection]
        path.parent.mkdir(parents=True, exist_ok=True)
        with uproot.recreate(path) as file:
            file.mktree(tree, {name: ak.type(ak.Array(c)).content for name, c in columns.items()})
            if events:
                file[tree].extend(columns)
            if runs is not None:
                file.mktree("Runs", {"run": np.uint32, "genEventSumw": np.float64})
                sums = np.array([runs / 4, 3 * runs / 4])
                file["Runs"].extend({"run": np.ones(2, np.uint32), "genEventSumw": sums})
        return path

    return write


def top_tagging_columns(particles: int = 200) -> list[str]:
    """Columns of the top-tagging reference set that are floats, in their order."""
    momenta = [f"{c}_{n}" for n in range(particles) for c in ("E", "PX", "PY", "PZ")]
    return [*momenta, "truthE", "truthPX", "truthPY", "truthPZ"]


def top_tagging_rows(jets: int, particles: int = 200) -> np.ndarray:
    """Rows (jets, 4 particles + 4) in that order: 3, 4, ... particles of about 600 GeV in all."""
    rng = np.random.default_rng(11)
    counts = 3 + np.arange(jets) % (particles - 3)
    rows = np.zeros((jets, 4 * particles + 4), np.float32)
    for row, count in zip(rows, counts, strict=True):
        pt = np.sort(rng.dirichlet(np.ones(count)))[::-1] * 600
        eta, phi = rng.normal(0.4, 0.2, count), rng.normal(-1.0, 0.2, count)
        momenta = [pt * np.cosh(eta), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]
        row[: 4 * count] = np.stack(momenta, axis=1).ravel()
    return rows


@pytest.fixture(scope="session")
def write_top_tagging() -> Callable[..., Path]:
    """Write a file as pandas writes the top-tagging reference set: to_hdf(format="table").

    Groups, fields, attributes and their pickles are those of `Table.set_attrs`, `IndexCol.set_attr`
    and `DataCol.set_attr` in pandas/io/pytables.py (3.1.1), as PyTables stores them.
    """

    def write(
        path: Path,
        rows: np.ndarray | int = 5,
        labels: np.ndarray | None = None,
        *,
        columns: list[str] | None = None,
        integers: tuple[str, ...] = ("ttv", "is_signal_new"),
        key: str = "table",
        protocol: int = 0,
    ) -> Path:
        rows = top_tagging_rows(rows) if isinstance(rows, int) else rows
        labels = np.arange(len(rows)) % 2 if labels is None else labels
        columns = columns or top_tagging_columns((rows.shape[1] - 4) // 4)
        blocks = {"values_block_0": columns, "values_block_1": list(integers)}
        fields = [
            ("index", "<i8"), ("values_block_0", rows.dtype, (len(columns),)),
            ("values_block_1", "<i8", (len(integers),)),
        ]  # fmt: skip
        content = np.zeros(len(rows), fields)
        content["index"] = np.arange(len(rows))[::-1]
        content["values_block_0"] = rows
        content["values_block_1"][:, -1] = labels
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            group = file.create_group(key)
            plain = {
                "pandas_type": "frame_table",
                "pandas_version": "0.15.2",
                "table_type": "appendable_frame",
                "nan_rep": "nan",
                "encoding": "UTF-8",
            }
            group.attrs.update({name: np.bytes_(text) for name, text in plain.items()})
            objects = {
                "index_cols": [(0, "index")],
                "values_cols": list(blocks),
                "non_index_axes": [(1, [*columns, *integers])],
                "data_columns": [],
            }
            for name, value in objects.items():
                group.attrs[name] = np.bytes_(pickle.dumps(value, 0))
            table = group.create_dataset(
                "table", data=content, chunks=(max(1, min(64, len(rows))),), maxshape=(None,),
                compression="gzip", shuffle=True,
            )  # fmt: skip
            table.attrs["CLASS"] = np.bytes_("TABLE")
            table.attrs["index_kind"] = np.bytes_("integer")
            for name, names in blocks.items():
                # as bytes with a length where they may hold zeros
                stored = np.void if protocol else np.bytes_
                table.attrs[f"{name}_kind"] = stored(pickle.dumps(names, protocol))
                table.attrs[f"{name}_dtype"] = np.bytes_(content[name].dtype.name)
        return path

    return write


@pytest.fixture(scope="session")
def write_quark_gluon() -> Callable[..., Path]:
    """Write a file like those of EnergyFlow; 14 species, one after the other, then padding."""

    def write(path: Path, jets: int = 5, **changes: np.ndarray) -> Path:
        rng = np.random.default_rng(13)
        species = [22, 211, -211, 321, -321, 130, 2112, -2112, 2212, -2212, 11, -11, 13, -13]
        x = np.zeros((jets, 20, 4))
        x[:, :14, 0] = rng.uniform(5, 70, (jets, 14))
        x[:, :14, 1] = rng.normal(-0.5, 0.1, (jets, 14))
        x[:, :14, 2] = rng.normal(3.0, 0.1, (jets, 14))
        x[:, :14, 3] = species
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{"X": x, "y": (np.arange(jets) % 2).astype(float), **changes})
        return path

    return write


@pytest.fixture(scope="session")
def write_jetclass() -> Callable[..., Path]:
    """Write a small file in the layout of JetClass: one jet of five particles per entry."""

    def write(path: Path, labels: tuple[str, ...] = ("QCD", "Tbqq", "Wqq", "Hbb")) -> Path:
        jets = len(labels)
        rng = np.random.default_rng(7)
        shape = np.full(jets, 5)

        def jagged(values: np.ndarray) -> ak.Array:
            return ak.unflatten(values.astype(np.float32), shape)

        pt, eta, phi = (
            rng.uniform(10, 200, 5 * jets),
            rng.normal(0, 0.2, 5 * jets),
            rng.normal(0, 0.2, 5 * jets),
        )
        mass = np.tile([0.14, 0.0, 0.5, 0.0005, 0.1057], jets)
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
        classes = ("ChargedHadron", "Photon", "NeutralHadron", "Electron", "Muon")
        kinds = {
            f"part_is{name}": jagged(np.tile(np.arange(5) == place, jets))
            for place, name in enumerate(classes)
        }
        sums = [x.reshape(jets, 5).sum(axis=1) for x in (px, py, pz, energy)]
        jet_pt = np.hypot(sums[0], sums[1])
        columns = {
            "part_px": jagged(px), "part_py": jagged(py), "part_pz": jagged(pz),
            "part_energy": jagged(energy), "part_deta": jagged(eta), "part_dphi": jagged(phi),
            "part_d0val": jagged(np.tile([0.5, 0, 0, 1.0, -2.0], jets)),
            "part_d0err": jagged(np.tile([0.1, 0, 0, 0.1, 0.1], jets)),
            "part_dzval": jagged(np.tile([5.0, 0, 0, 1.0, -2.0], jets)),
            "part_dzerr": jagged(np.tile([0.2, 0, 0, 0.1, 0.1], jets)),
            "part_charge": jagged(np.tile([1, 0, 0, -1, 1], jets)), **kinds,
            "jet_pt": jet_pt.astype(np.float32),
            "jet_eta": np.arcsinh(sums[2] / jet_pt).astype(np.float32),
            "jet_phi": np.arctan2(sums[1], sums[0]).astype(np.float32),
            "jet_energy": sums[3].astype(np.float32),
            "jet_nparticles": np.full(jets, 5, np.float32),
            "jet_sdmass": np.full(jets, 80, np.float32),
            **{f"jet_tau{n}": np.full(jets, 0.5 / n, np.float32) for n in (1, 2, 3, 4)},
            **{
                f"label_{name}": np.array([name == label for label in labels], np.float32)
                for name in ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
            },
        }  # fmt: skip
        with uproot.recreate(path) as file:
            file.mktree("tree", {name: ak.type(ak.Array(c)).content for name, c in columns.items()})
            file["tree"].extend(columns)
        return path

    return write


class FileServer:
    """Serves one folder. The first folder of a URL says how: good, cut, flaky, silent, ..."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: collections.Counter[str] = collections.Counter()
        self.silence = 3.0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, manner: str, name: str) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/{manner}/{name}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        _, manner, name = request.path.split("/", 2)
        self.requests[manner] += 1
        file = self.folder / name
        if manner.isdigit():
            return request.send_error(int(manner))
        if not file.exists():
            return request.send_error(404)
        if manner == "silent":
            time.sleep(self.silence)
            request.close_connection = True
            return None
        content = file.read_bytes()
        start, stop = 0, len(content)
        asked = re.match(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
        partial = bool(asked) and manner != "whole"
        if asked and partial:
            start = int(asked[1])
            stop = min(int(asked[2]) + 1 if asked[2] else stop, len(content))
        body = content[start:stop]
        request.send_response(206 if partial else 200)
        request.send_header("Content-Length", str(len(body)))
        if partial:
            request.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        request.end_headers()
        broken = manner == "cut" or (manner == "flaky" and self.requests[manner] in (1, 4))
        if request.command == "HEAD":
            return None
        request.wfile.write(body[: len(body) // 2] if broken else body)
        if broken:
            request.close_connection = True
        return None

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[FileServer]:
    """Web server of `tmp_path` on this machine."""
    server = FileServer(tmp_path)
    yield server
    server.close()
