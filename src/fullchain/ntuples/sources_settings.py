"""Settings of a sample that is read from ROOT ntuples that already exist."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class IngestedSample(SettingsModel):
    """ROOT ntuples made elsewhere: local files, globs or URLs."""

    kind: Literal["ingested"] = Field("ingested", description="read existing ROOT files")
    layout: Literal["auto", "nanoaod", "pfnano", "jetclass"] = Field(
        "auto",
        description="naming of the branches; auto: found from the branches of the first file",
    )
    files: list[str | list[str]] = Field(
        min_length=1,
        description="ROOT files: local paths, globs, https:// or root:// URLs; a list in the place "
        "of one file names replicas of it, tried in order",
    )
    tree: str | None = Field(
        None, description="name of the tree; null: the layout's own (Events for NanoAOD)"
    )
    is_data: bool = Field(False, description="recorded data: no truth, every event has weight 1")
    files_per_job: int = Field(10, ge=1, description="number of files that one job reads")
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
