"""Settings of a sample that is read from files that already exist."""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.ntuples.checksums import PATTERN
from fullchain.ntuples.table_settings import W_TAGGING, TableSettings

TABLE_LAYOUTS = ("w_tagging", "high_level")
"""Layouts of tables of observables: jets without particles."""

CONVERTED_LAYOUTS = ("top_tagging", "quark_gluon", *TABLE_LAYOUTS)
"""Layouts of published jets that are no ROOT files: a step converts them."""

Checksum = Annotated[str, Field(pattern=PATTERN)]

_CONVERTED_SUFFIXES = (".h5", ".hdf5", ".npz")


class IngestedSample(SettingsModel):
    """Ntuples made elsewhere: local files, globs or URLs."""

    kind: Literal["ingested"] = Field("ingested", description="read existing files")
    layout: Literal[
        "auto",
        "nanoaod",
        "pfnano",
        "jetclass",
        "top_tagging",
        "quark_gluon",
        "w_tagging",
        "high_level",
    ] = Field(
        "auto",
        description="naming of the branches; auto: found from the branches of the first file. "
        "top_tagging (HDF5) and quark_gluon (npz) are converted to ROOT files, with auto by the "
        "names .h5, .hdf5, .npz. w_tagging (npz) and high_level (any table of observables: npz, "
        "HDF5, Parquet, CSV, ROOT) are converted, too, where the layout is named",
    )
    files: list[str | list[str]] = Field(
        min_length=1,
        description="files: local paths, globs, https:// or root:// URLs; a list in the place "
        "of one file names replicas of it, tried in order",
    )
    checksums: list[Checksum | None] | None = Field(
        None,
        description="checksum of each entry of files, as adler32:03da0195 (also crc32, md5, sha1, "
        "sha256, sha512), null where it is not known; null: of none. A remote file of which no "
        "copy is kept is read whole for it",
    )
    tree: str | None = Field(
        None,
        description="name of the tree, or of the table in an HDF5 file, or of the array in an npz "
        "file of w_tagging or high_level; null: the layout's own (Events for NanoAOD)",
    )
    table: TableSettings | None = Field(
        None,
        description="columns of a table (layouts high_level and w_tagging); null: as documented "
        "for w_tagging",
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
    def _each_file_has_its_checksum(self) -> "IngestedSample":
        if self.checksums is not None and len(self.checksums) != len(self.files):
            raise ValueError(
                f"checksums: {len(self.checksums)} for {len(self.files)} entries of files; give "
                "one for each, null where it is not known"
            )
        return self

    @model_validator(mode="after")
    def _only_converted_files_are_shared(self) -> "IngestedSample":
        if self.jobs_per_file > 1 and not self.is_converted:
            raise ValueError(
                f"jobs_per_file: only files of {' and '.join(CONVERTED_LAYOUTS)} are shared by "
                "jobs; set 'layout', or leave jobs_per_file out"
            )
        return self

    @model_validator(mode="after")
    def _tables_have_columns(self) -> "IngestedSample":
        if self.layout == "high_level" and self.table is None:
            raise ValueError(
                "table: layout high_level needs table.classes, the values of the column of the "
                "class, and the names of columns that are not called pt, mass and label"
            )
        if self.table is not None and not self.is_table:
            raise ValueError(
                f"table: only files of {' and '.join(TABLE_LAYOUTS)} are tables; set 'layout', or "
                "leave table out"
            )
        if self.is_table and self.is_data:
            raise ValueError("is_data: a table tells the class of each jet; leave is_data out")
        return self

    @property
    def is_table(self) -> bool:
        """Whether the files are tables of observables: jets without particles."""
        return self.layout in TABLE_LAYOUTS

    @property
    def columns(self) -> TableSettings:
        """Columns of a table: as given, or as documented for the published set."""
        return self.table or W_TAGGING

    @property
    def is_converted(self) -> bool:
        """Whether the files are no ROOT files and have to be converted."""
        if self.layout != "auto":
            return self.layout in CONVERTED_LAYOUTS
        paths = [path for entry in self.files for path in _replicas(entry)]
        return any(PurePath(path).suffix.lower() in _CONVERTED_SUFFIXES for path in paths)


def _replicas(entry: str | list[str]) -> list[str]:
    return [entry] if isinstance(entry, str) else entry
