"""The files of a run as a crate sees them: where they lie, what they are, and which are packed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fullchain.errors import InputError
from fullchain.ntuples.manifests import part_described, resolve
from fullchain.paper.lineage import Job, job_from_record
from fullchain.provenance import provenance_of

Checksums = Mapping[str, str | None]
"""SHA-256 of files by their path in the records; None where there is no file."""

WITH_DATA = ("none", "figures", "all")
"""What is packed of a run: nothing, what one reads, or everything."""

SMALL, LARGEST_SMALL = frozenset({".gz", ".json"}), 1_000_000
"""Numbers and archives that are packed with the figures up to this size in bytes."""

READABLE = frozenset({".csv", ".html", ".pdf", ".png", ".svg", ".tex", ".txt", ".yaml"})

FORMATS = {
    ".cff": "text/yaml",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".rst": "text/x-rst",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".toml": "application/toml",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
}


def encoding_format(path: str) -> str:
    """Media type of a file by its suffix."""
    return FORMATS.get(Path(path).suffix.lower(), "application/octet-stream")


@dataclass
class RunFile:
    """A file that a job read or wrote.

    Parameters
    ----------
    path
        As it is recorded: relative to where the workflow ran, absolute, or a URL.
    sha256
        Checksum when it was read or written; None where nobody took one (remote files).
    size
        In bytes; None where the file is not there any more, or is another one now.
    is_packed
        Whether the crate holds it.
    is_old
        Whether it was read in a version that was made again since.
    mentions
        Files that it names, such as the ROOT files of a manifest.
    """

    path: str
    sha256: str | None
    size: int | None = None
    is_packed: bool = False
    is_old: bool = False
    mentions: list["RunFile"] = field(default_factory=list)

    @property
    def identifier(self) -> str:
        """Its ``@id``: a path in the crate, a URL, or a name in the graph of what is not packed."""
        if "://" in self.path:
            return self.path
        version = f"@{self.sha256[:12]}" if self.is_old and self.sha256 else ""
        return ("" if self.is_packed else "#") + quote(self.path) + version


@dataclass
class RunJob:
    """A job with the files that it read and wrote.

    Parameters
    ----------
    job
        The job.
    commit
        State of the source code that it ran with.
    record
        Where its record lies, as paths are recorded; empty where it cannot be packed.
    """

    job: Job
    commit: str
    record: str
    inputs: list[RunFile]
    outputs: list[RunFile]


@dataclass
class Run:
    """All jobs and files of a run; jobs in the order in which they began."""

    jobs: list[RunJob]
    files: list[RunFile]

    @property
    def external(self) -> list[RunFile]:
        """Files that no job wrote: where the run begins."""
        written = {id(file) for job in self.jobs for file in job.outputs}
        read = {id(file) for job in self.jobs for file in job.inputs}
        return [file for file in self.files if id(file) in read - written and not file.is_old]

    @property
    def final(self) -> list[RunFile]:
        """Files that no job read, by their names or through a manifest: where the run ends."""
        read = [file for job in self.jobs for file in job.inputs]
        used = {id(one) for file in read for one in (file, *file.mentions)}
        return [file for job in self.jobs for file in job.outputs if id(file) not in used]


class _Files:
    """The files of a run, each version once.

    Parameters
    ----------
    found
        The records, in the order in which their jobs began.
    """

    def __init__(self, found: Sequence[Mapping[str, Any]]) -> None:
        self.versions: dict[tuple[str, str | None], RunFile] = {}
        self.latest: dict[str, str] = {}
        for record in found:
            self.latest |= record["inputs"]
        for record in found:
            self.latest |= record.get("output_checksums", {})

    def file(self, path: str, sha256: str | None = None) -> RunFile:
        """Give a file; without a checksum that of the version that is there now."""
        latest = self.latest.get(path)
        sha256 = sha256 or latest
        if (path, sha256) not in self.versions:
            is_old = latest is not None and sha256 != latest
            self.versions[path, sha256] = RunFile(path, sha256, is_old=is_old)
        return self.versions[path, sha256]


def read_run(
    found: Sequence[Mapping[str, Any]], root: Path, with_data: str, checksums: Checksums
) -> Run:
    """Put the records of a run together.

    Parameters
    ----------
    found
        Its records (`fullchain.dag.verify.records`).
    root
        Folder that relative paths in the records start from.
    with_data
        What is packed, one of `WITH_DATA`. A file that is not the recorded one never is.
    checksums
        SHA-256 that the files have now (`fullchain.dag.verify.Verification`).

    Raises
    ------
    InputError
        A record lacks something, or a manifest that is as it was written cannot be read.
    """
    try:
        ordered = sorted(found, key=lambda one: (one["started"], one["outputs"][0]))
        files = _Files(ordered)
        jobs = [_job(record, files) for record in ordered]
    except KeyError as problem:
        raise InputError(
            f"a provenance record lacks {problem}: an older version wrote it; make its result again"
        ) from None
    for job in jobs:
        _follow_manifests(job, root, files, checksums)
    outputs = {id(file) for job in jobs for file in job.outputs}
    for file in files.versions.values():
        _look_at(file, root, with_data if id(file) in outputs else "none", checksums)
    for job in jobs:
        if not (_is_inside(job.record) and (root / job.record).is_file()):
            job.record = ""
    return Run(jobs, list(files.versions.values()))


def _job(record: Mapping[str, Any], files: _Files) -> RunJob:
    first = record["outputs"][0]
    written = record.get("output_checksums", {})
    return RunJob(
        job_from_record(record, first),
        record["commit"],
        provenance_of(Path(first)).as_posix(),
        [files.file(path, sha256) for path, sha256 in record["inputs"].items()],
        # Another step may have written one of them since.
        [files.file(path, written.get(path)) for path in record["outputs"]],
    )


def _follow_manifests(job: RunJob, root: Path, files: _Files, checksums: Checksums) -> None:
    """Add the files that a manifest of ntuples names: a part's own, or those that were ingested."""
    for output in job.outputs if job.job.step.startswith("ntuples.") else []:
        for path, sha256, size in _named_in_manifest(output, root, checksums):
            file = files.file(path, sha256)
            file.size = size if file.size is None else file.size
            output.mentions.append(file)
            if all(file is not known for known in (*job.outputs, *job.inputs)):
                job.inputs.append(file)


def _named_in_manifest(
    file: RunFile, root: Path, checksums: Checksums
) -> Iterator[tuple[str, str | None, int | None]]:
    """Give path, checksum and size of the files of the manifest of a part; else nothing."""
    path = Path(file.path)
    there = root / path
    if path.suffix != ".json" or not there.is_file():
        return
    try:
        part = part_described(there)
    except InputError:
        # one that is as it was written must be readable; of any other `verify` has told
        if checksums.get(file.path) == file.sha256:
            raise
        return
    if part is None:
        return
    for entry in part.good:
        yield resolve(part, path, entry.path), entry.sha256, entry.size


def _look_at(file: RunFile, root: Path, with_data: str, checksums: Checksums) -> None:
    """Find the size of a file, and whether it is packed."""
    if "://" in file.path or file.is_old:
        return
    there = root / file.path
    if not there.is_file():
        return
    size = there.stat().st_size
    wanted = with_data == "all" or (
        with_data == "figures"
        and (there.suffix in READABLE or (there.suffix in SMALL and size <= LARGEST_SMALL))
    )
    if (
        _is_inside(file.path)
        and wanted
        and file.sha256 is not None
        and checksums.get(file.path) == file.sha256
    ):
        file.is_packed = True
    file.size = size if file.size is None else file.size


def _is_inside(path: str) -> bool:
    """Whether a path can lie in a crate as it is."""
    return not Path(path).is_absolute() and ".." not in Path(path).parts
