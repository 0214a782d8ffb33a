"""The histograms that the lines `shapes` of a datacard of Combine point to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.histfactory import Template

Array = NDArray[np.float64]
COUNTING = "FAKE"


class Histograms:
    """Histograms by region, process and systematic.

    Parameters
    ----------
    card
        Path of the datacard; the files lie beside it.
    lines
        Process, channel, file, and names of the nominal and the varied histograms, of each line.
        A line for a region goes before one for all regions, and likewise for processes.
    """

    def __init__(self, card: Path, lines: Sequence[Sequence[str]]) -> None:
        self.card = card
        self.lines = {(line[1], line[0]): line for line in lines}
        self.files: dict[str, Any] = {}

    def counting(self, region: str, process: str) -> bool:
        """Whether a region has a number in the place of histograms."""
        return not self.lines or self._line(region, process)[2] == COUNTING

    def read(
        self, region: str, process: str, systematic: str | None = None
    ) -> tuple[Template, Array]:
        """Give a histogram and its bin edges.

        Raises
        ------
        InputError
            No line tells where it is, or it is not there, or it is not a histogram.
        """
        line = self._line(region, process)
        where = f"{self.card}: {region}/{process}"
        place = 3 if systematic is None else 4
        if len(line) <= place:
            raise InputError(f"{where}: its line shapes has no name for systematics: {systematic}")
        name = line[place].replace("$CHANNEL", region).replace("$PROCESS", process)
        name = name.replace("$SYSTEMATIC", systematic or "")
        if "$" in name or ":" in name:
            raise InputError(
                f"{where}: {line[place]} is no plain histogram; put masses in the place of $MASS, "
                "and histograms in the place of RooFit workspaces"
            )
        try:
            file = self._open(line[2])
            histogram = file[name]
            axis, values = histogram.axis(), histogram.values()
            variances = histogram.variances()
        except uproot.KeyInFileError:
            raise InputError(f"{where}: there is no histogram {name} in {line[2]}") from None
        except AttributeError:
            raise InputError(f"{where}: {name} in {line[2]} is not a histogram") from None
        return (
            Template(np.asarray(values, dtype=float), np.asarray(variances, dtype=float)),
            np.asarray(axis.edges(), dtype=float),
        )

    def _open(self, name: str) -> Any:
        if name not in self.files:
            path = self.card.parent / name
            try:
                self.files[name] = uproot.open(path)
            except (OSError, ValueError) as problem:
                raise InputError(f"{self.card}: {path}: not a ROOT file ({problem})") from None
        return self.files[name]

    def _line(self, region: str, process: str) -> Sequence[str]:
        for wanted in ((region, process), (region, "*"), ("*", process), ("*", "*")):
            if wanted in self.lines:
                return self.lines[wanted]
        raise InputError(f"{self.card}: no line shapes is for process {process} in {region}")
