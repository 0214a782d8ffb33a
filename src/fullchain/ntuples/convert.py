"""Convert published jets in HDF5 or NumPy archives to ROOT files with the branches of JetClass.

Tables of observables become ROOT files with the columns of the table.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fullchain.atomic import atomic
from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.ntuples.jet_files.formats import find_format, open_jets
from fullchain.ntuples.jet_files.jets import Jets
from fullchain.ntuples.jet_files.observable_layout import LAYOUT
from fullchain.ntuples.jet_files.observable_table import TableRows
from fullchain.ntuples.jet_files.rootfile import JetWriter
from fullchain.ntuples.layouts.detect import JETCLASS
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.ntuples.sources import Source, first_answer, part_share, part_sources
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.progress import track
from fullchain.step import Given, Option, Output

ROWS = 4000
"""Jets in memory at once: 13 MB of a file of 200 particles a jet, and its copies."""

TABLE_ROWS = 50_000
"""Jets of a table in memory at once: 5 MB of twelve columns, and its copies."""


def main(
    *,
    sample: Annotated[str, Option("name of the sample")],
    part: Annotated[str, Option("number of the part, from 0000")],
    ntuple: Annotated[Path, Output("ROOT file with the branches of JetClass, or of the table")],
    manifest: Annotated[Path, Output("manifest of the part: files, events, sum of weights")],
    settings: Given,
) -> None:
    """Convert the files of one part, or its share of one file, and write its manifest.

    Raises
    ------
    InputError
        At the first file that cannot be used, or with ``on_bad_file: skip`` when none can.
    """
    chosen = settings.model(f"ntuples.samples.{sample}", IngestedSample)
    with atomic(ntuple) as temporary:
        jets, weights, skipped = convert(sample, part, chosen, temporary)
        entry = SourceFile(
            path=ntuple.name,
            tree=JETCLASS.tree,
            events=jets,
            sum_of_weights=weights,
            sha256=checksum(temporary),
            size=temporary.stat().st_size,
            entries=jets,
            sum_of_event_weights=weights,
        )
    result = PartManifest(
        sample=sample,
        part=part,
        layout=LAYOUT if chosen.is_table else JETCLASS.name,
        files=(entry, *skipped),
        cross_section_pb=chosen.cross_section_pb,
        relative_to="manifest",
        is_data=chosen.is_data,
        timeout=chosen.timeout,
        retries=chosen.retries,
    )
    with atomic(manifest) as temporary:
        write_part(temporary, result)
    for bad in skipped:
        print(f"skipped {bad.reason}", file=sys.stderr)
    print(f"{sample} {part}: {jets} jets, {len(skipped)} files skipped", file=sys.stderr)


def convert(
    sample: str, part: str, settings: IngestedSample, ntuple: Path
) -> tuple[int, float, tuple[SourceFile, ...]]:
    """Write the jets of one part; give their number, sum of weights, and the files left out."""
    sources = part_sources(settings, part)
    share = part_share(settings, part)
    skipped: list[SourceFile] = []
    layout: str = settings.layout
    with JetWriter(ntuple) as writer:
        for source in track(sources, f"{sample} {part}", unit="files"):
            try:
                path, layout = _usable(source, settings, layout, share)
            except InputError as error:
                if settings.on_bad_file == "error":
                    raise
                skipped.append(_skipped(source, str(error)))
                continue
            for jets in _read(path, settings, layout, share):
                writer.write(jets, path)
        written, weights = writer.jets, writer.sum_of_weights
    if not written:
        raise InputError(
            f"Part {part} of sample {sample}: none of its {len(skipped)} files can be used:\n  "
            + "\n  ".join(str(entry.reason) for entry in skipped)
        )
    return written, weights, tuple(skipped)


def _usable(
    source: Source, settings: IngestedSample, layout: str, share: tuple[int, int]
) -> tuple[str, str]:
    """Give the first replica that can be used, and its layout.

    Where bad files are left out, all its jets are read before the first is written: what is in a
    ROOT file cannot be taken back.
    """

    def attempt(path: str) -> str:
        found = find_format(path, settings.layout)
        if layout not in ("auto", found):
            raise InputError(
                f"{path}: has the layout {found}, the files before it have {layout}; "
                "make a sample of its own for each layout."
            )
        with open_jets(path, found, settings.tree, settings.columns):
            pass
        if settings.on_bad_file == "skip":
            for _ in _read(path, settings, found, share):
                pass
        return found

    return first_answer(source, attempt, retries=0, report=_report)


def _read(
    path: str, settings: IngestedSample, layout: str, share: tuple[int, int]
) -> Iterator[Jets | TableRows]:
    """Give the jets of the share of a file, some thousands at once."""
    number, of = share
    with open_jets(path, layout, settings.tree, settings.columns) as file:
        total = min(file.rows, settings.max_events or file.rows)
        first, last = total * number // of, total * (number + 1) // of
        if first == last:
            raise InputError(
                f"{path}: has only {total} jets to share among {of} jobs; lower jobs_per_file."
            )
        rows = TABLE_ROWS if settings.is_table else ROWS
        for start in range(first, last, rows):
            yield file.read(start, min(start + rows, last))


def _skipped(source: Source, reason: str) -> SourceFile:
    return SourceFile(
        path=source.name, tree="", events=0, sum_of_weights=0.0,
        status="skipped", reason=reason, replicas=source.replicas[1:],
    )  # fmt: skip


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
