"""Settings of a sample that is read from files that already exist."""

from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

CONVERTED_LAYOUTS = ("top_tagging", "quark_gluon")
"""Layouts of published jets that are no ROOT files: a step converts them."""

_CONVERTED_SUFFIXES = (".h5", ".hdf5", ".npz")


class IngestedSample(SettingsModel):
    """Ntuples made elsewhere: local files, globs or URLs."""

    kind: Literal["ingested"] = Field("ingested", description="read existing files")
    layout: Literal["auto", "nanoaod", "pfnano", "jetclass", "top_tagging", "quark_gluon"] = Field(
        "auto",
        description="naming of the branches; auto: found from the branches of the first file. "
        "top_tagging (HDF5) and quark_gluon (npz) are converted to ROOT files, with auto by the "
        "names .h5, .hdf5, .npz",
    )
    files: list[str | list[str]] = Field(
        min_length=1,
        description="files: local paths, globs, https:// or root:// URLs; a list in the place "
        "of one file names replicas of it, tried in order",
    )
    tree: str | None = Field(
        None,
        description="name of the tree, or of the table in an HDF5 file; null: the layout's own "
        "(Events for NanoAOD)",
    )
    is_data: bool = Field(False, description="recorded data: no truth, every event has weight 1")
    files_per_job: int = Field(10, ge=1, description="number of files that one job reads")
    jobs_per_file: int = Field(
        1,
        ge=1,
        description="from 2 on: each file is shared equally by so many jobs, whatever "
        "files_per_job; for files that are converted, which may hold a million jets",
    )
    on_bad_file: Literal["error", "skip"] = Field(
        "error",
        description="error: stop at a file that cannot be used; skip: leave it out and count it in "
        "the manifest",
    )
    max_events: int | None = Field(
        None, ge=1, description="read at most this many events per file; null: all"
    )
    cross_section_pb: float | None = Field(
        None, gt=0, description="cross section [pb]; null: unknown, the inference settings give it"
    )
    timeout: float = Field(
        60.0, gt=0, description="time after which an unanswered remote request counts as failed [s]"
    )
    retries: int = Field(2, ge=0, description="further attempts per replica after a remote failure")

    @model_validator(mode="after")
    def _only_converted_files_are_shared(self) -> "IngestedSample":
        if self.jobs_per_file > 1 and not self.is_converted:
            raise ValueError(
                f"jobs_per_file: only files of {' and '.join(CONVERTED_LAYOUTS)} are shared by "
                "jobs; set 'layout', or leave jobs_per_file out"
            )
        return self

    @property
    def is_converted(self) -> bool:
        """Whether the files are no ROOT files and have to be converted."""
        if self.layout != "auto":
            return self.layout in CONVERTED_LAYOUTS
        paths = [path for entry in self.files for path in _replicas(entry)]
        return any(PurePath(path).suffix.lower() in _CONVERTED_SUFFIXES for path in paths)


def _replicas(entry: str | list[str]) -> list[str]:
    return [entry] if isinstance(entry, str) else entry
