"""Check ROOT ntuples made elsewhere and write the manifest of one part of a sample."""

import sys
from pathlib import Path
from typing import Annotated

from fullchain.atomic import atomic
from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.ntuples.checksums import check, check_transferred
from fullchain.ntuples.copies import reading_place
from fullchain.ntuples.inspection import Content, failures_named, inspect_file
from fullchain.ntuples.manifests import (
    PartManifest,
    SourceFile,
    is_url,
    write_part,
)
from fullchain.ntuples.sources import FIRST_WAIT, Source, first_answer, part_sources
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.ntuples.transfer import digest_of
from fullchain.progress import track
from fullchain.step import Given, Option, Output


def main(
    *,
    sample: Annotated[str, Option("name of the sample")],
    part: Annotated[str, Option("number of the part, from 0000")],
    manifest: Annotated[Path, Output("manifest of the part: files, events, sum of weights")],
    settings: Given,
) -> None:
    """Check the files of one part and write its manifest.

    Raises
    ------
    InputError
        At the first file that cannot be used, or with ``on_bad_file: skip`` when none can.
    """
    chosen = settings.model(f"ntuples.samples.{sample}", IngestedSample)
    sources = part_sources(chosen, part)
    result = ingest_part(sample, part, sources, chosen)
    with atomic(manifest) as temporary:
        write_part(temporary, result)
    for entry in result.skipped:
        print(f"skipped {entry.reason}", file=sys.stderr)
    print(
        f"{sample} {part}: {len(result.good)} files, {result.events} events, "
        f"sum of weights {result.sum_of_weights:g}, {len(result.skipped)} files skipped",
        file=sys.stderr,
    )


def ingest_part(
    sample: str,
    part: str,
    sources: list[Source],
    settings: IngestedSample,
    wait: float = FIRST_WAIT,
) -> PartManifest:
    """Inspect each file of a part; ``wait`` is the pause before a second remote attempt [s]."""
    entries: list[SourceFile] = []
    layout: str = settings.layout
    for source in track(sources, f"{sample} {part}", unit="files"):
        try:
            entry, found = _ingest_file(source, settings, layout, wait)
            layout = found
        except InputError as error:
            if settings.on_bad_file == "error":
                raise
            entry = SourceFile(
                path=source.name, tree=settings.tree or "", events=0, sum_of_weights=0.0,
                status="skipped", reason=str(error), replicas=source.replicas[1:],
            )  # fmt: skip
        entries.append(entry)
    if all(entry.status == "skipped" for entry in entries):
        raise InputError(
            f"Part {part} of sample {sample}: none of its {len(entries)} files can be used:\n  "
            + "\n  ".join(str(entry.reason) for entry in entries)
        )
    return PartManifest(
        sample=sample,
        part=part,
        layout=layout,
        files=tuple(entries),
        cross_section_pb=settings.cross_section_pb,
        relative_to="working_directory",
        is_data=settings.is_data,
        timeout=settings.timeout,
        retries=settings.retries,
    )


def _ingest_file(
    source: Source, settings: IngestedSample, layout: str, wait: float
) -> tuple[SourceFile, str]:
    def attempt(path: str) -> Content:
        place = _verified_place(path, source.checksum, settings.timeout)
        content = inspect_file(
            path,
            place=place,
            layout=settings.layout,
            tree=settings.tree,
            is_data=settings.is_data,
            max_events=settings.max_events,
            timeout=settings.timeout,
        )
        if layout not in ("auto", content.layout):
            raise InputError(
                f"{path}: has the layout {content.layout}, the files before it have {layout}; "
                "make a sample of its own for each layout, or set 'layout'."
            )
        return content

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    path, content = first_answer(
        source, attempt, retries=settings.retries, wait=wait, report=report
    )
    entry = SourceFile(
        path=path,
        tree=content.tree,
        events=content.events,
        sum_of_weights=content.sum_of_weights,
        sha256=None if is_url(path) else checksum(Path(path)),
        size=content.size,
        replicas=tuple(other for other in source.replicas if other != path),
        entries=content.entries,
        sum_of_event_weights=content.sum_of_event_weights,
        checksum=source.checksum,
    )
    return entry, content.layout


def _verified_place(path: str, checksum: str | None, timeout: float) -> str:
    """Where to read a file, whose content is that of its checksum if it has one."""
    with failures_named(path):
        place = reading_place(path, timeout=timeout, checksum=checksum)
        if checksum and place == path:
            verify = check_transferred if is_url(path) else check
            verify(path, digest_of(path, checksum.partition(":")[0], timeout), checksum)
    return place
