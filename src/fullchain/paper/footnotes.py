"""Notes and sources of a table, each text once, marked by letters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fullchain.metrics import Metric


@dataclass
class Footnotes:
    """Texts below a table in the order of their first mention.

    Examples
    --------
    >>> notes = Footnotes()
    >>> [notes.mark(text) for text in ("one", "two", "one", None)]
    ['a', 'b', 'a', '']
    >>> list(notes)
    [('a', 'one'), ('b', 'two')]
    """

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str | None) -> str:
        """Give the letter of a text, and of no text nothing."""
        if not text:
            return ""
        if text not in self.texts:
            self.texts.append(text)
        return letter(self.texts.index(text))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((letter(index), text) for index, text in enumerate(self.texts))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Row:
    """A metric with the letters of its note and of the source of its reference value."""

    metric: Metric
    note: str
    source: str


def rows(metrics: Sequence[Metric]) -> tuple[list[Row], Footnotes]:
    """Give the rows of a table and the texts below it."""
    notes = Footnotes()
    found = [Row(metric, notes.mark(metric.note), notes.mark(metric.source)) for metric in metrics]
    return found, notes


def letter(index: int) -> str:
    """Give a, b, ..., z, aa, ab, ...

    Examples
    --------
    >>> [letter(index) for index in (0, 25, 26, 52)]
    ['a', 'z', 'aa', 'ba']
    """
    rest, last = divmod(index, 26)
    return (letter(rest - 1) if rest else "") + chr(ord("a") + last)
