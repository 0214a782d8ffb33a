"""How long the classical methods take per event, on one core.

Run it on generated ntuples with pile-up, one file for each density::

    python benchmarks/pileup.py tt_pu50/0000.root tt_pu140/0000.root [--events 200] [--repeat 5]

Prints the median and the range over the repetitions, in processor time, without compilation and
reading, with the promised limits beside them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fullchain.ntuples.inspection import inspect_file
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.pileup.classical_settings import CMS_PUPPI, ClassicalSettings
from fullchain.pileup.events import Events
from fullchain.pileup.methods import CLASSICAL
from fullchain.pileup.reading import read_chunks

PROMISED = {50: 1.0, 140: 3.0}


def events_of(path: Path, number: int) -> Events:
    found = inspect_file(
        str(path), layout="auto", tree=None, is_data=False, max_events=None, timeout=10
    )
    source = SourceFile(str(path.resolve()), found.tree, found.events, found.sum_of_weights)
    with TemporaryDirectory() as folder:
        manifest = Path(folder) / "0000.json"
        write_part(manifest, PartManifest(path.parent.name, "0000", found.layout, (source,)))
        chunks = read_chunks(manifest, events_per_chunk=number, max_events=number, truth=True)
        return next(chunks).events


def milliseconds(action: Callable[[], object], repeat: int, events: int) -> list[float]:
    action()
    taken = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        taken.append(1e3 * (time.process_time() - start) / events)
    return sorted(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ntuples", type=Path, nargs="+")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    chosen = parser.parse_args()
    tuned, like_cms = ClassicalSettings(), ClassicalSettings(puppi=CMS_PUPPI)
    print(f"{'':<34}{'mu':>6}{'candidates':>12}{'median':>9}{'min':>8}{'max':>8}{'promised':>10}")
    for path in chosen.ntuples:
        events = events_of(path, chosen.events)
        assert events.truth is not None
        mean = float(np.mean(events.truth.interactions))
        nearest = min(PROMISED, key=lambda mu, mean=mean: abs(mu - mean))  # type: ignore[misc]
        for name, settings in (("chs", tuned), ("puppi", tuned), ("puppi", like_cms),
                               ("softkiller", tuned)):  # fmt: skip
            method = CLASSICAL[name]
            taken = milliseconds(
                lambda method=method, settings=settings, events=events: method(events, settings),
                chosen.repeat,
                len(events),
            )
            text = f"{name}{', as CMS' if settings is like_cms else ''}, {path.parent.name}"
            limit = f"{PROMISED[nearest]:>8.1f}ms" if name == "puppi" else ""
            print(
                f"{text:<34}{mean:>6.0f}{np.mean(events.counts):>12.0f}"
                f"{statistics.median(taken):>9.2f}{taken[0]:>8.2f}{taken[-1]:>8.2f}{limit:>10}"
            )


if __name__ == "__main__":
    main()
