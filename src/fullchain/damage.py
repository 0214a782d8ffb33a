"""Whether a file can be read to its end, by its kind.

Only asked after a step failed, to name the input at fault: so it may take its time, and it imports
libraries of formats only where a file has that format.
"""

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PIECE = 1 << 22


def damage(path: Path) -> str | None:
    """Say what is wrong with a file; None where nothing is, or where its kind is not known.

    Parameters
    ----------
    path
        The kind is taken from the name.
    """
    if not path.is_file():
        return None
    if path.stat().st_size == 0:
        return "it is empty"
    name = path.name.lower()
    for endings, check in _CHECKS.items():
        if name.endswith(endings):
            try:
                return check(path)
            except Exception as problem:
                # Readers of damaged files fail in every way there is.
                said = str(problem).strip().splitlines()
                return said[0] if said else type(problem).__name__
    return None


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _yaml(path: Path) -> None:
    import yaml

    with path.open(encoding="utf-8") as stream:
        for _ in yaml.safe_load_all(stream):
            pass


def _parquet(path: Path) -> str | None:
    import pyarrow.parquet as pq

    from fullchain.parquet_check import footer_fault

    with pq.ParquetFile(path) as file:
        fault = footer_fault(file)
        if fault is None:
            for _ in file.iter_batches():
                pass
    return fault


def _root(path: Path) -> None:
    import uproot

    with uproot.open({path: None}) as file:
        for name, kind in file.classnames().items():
            if kind in ("TTree", "TNtuple", "ROOT::RNTuple"):
                for _ in file[name].iterate(step_size="50 MB"):
                    pass
            else:
                file[name]


def _hdf5(path: Path) -> None:
    import h5py

    def read(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            if item.chunks is None:
                item[()]
            else:
                for piece in item.iter_chunks():
                    item[piece]

    with h5py.File(path, "r") as file:
        file.visititems(read)


def _zip(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
    return f"{bad} inside it is damaged" if bad else None


def _tar(path: Path) -> None:
    if not path.name.lower().endswith(".tar"):
        # Its checksum stands at the end, which lies behind the last member.
        _gzip(path)
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            inside = archive.extractfile(member)
            while inside and inside.read(_PIECE):
                pass


def _gzip(path: Path) -> None:
    with gzip.open(path) as stream:
        while stream.read(_PIECE):
            pass


def _onnx(path: Path) -> None:
    import onnx

    onnx.checker.check_model(onnx.load(path))


_CHECKS: dict[tuple[str, ...], Callable[[Path], str | None]] = {
    (".json",): _json,
    (".yaml", ".yml"): _yaml,
    (".parquet",): _parquet,
    (".root",): _root,
    (".h5", ".hdf5"): _hdf5,
    (".pt", ".pth", ".npz", ".zip"): _zip,
    (".tar", ".tar.gz", ".tgz"): _tar,
    (".gz",): _gzip,
    (".onnx",): _onnx,
}
"""In this order: an archive is one before it is a compressed file."""
