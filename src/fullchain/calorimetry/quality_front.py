"""The front of time and quality: what nothing else beats in both."""

from collections.abc import Sequence

BLIND = 0.5
"""Area under the curve of a classifier that tells nothing apart; less is by chance."""


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Give the places of the points than which no other has as little of both numbers.

    Parameters
    ----------
    points
        Time and what is to be small, each. Errors do not count: a point may be there by chance.

    Returns
    -------
    Places by rising time; of equal points the first.

    Examples
    --------
    >>> front([(1.0, 0.9), (2.0, 0.95), (4.0, 0.6), (4.0, 0.7)])
    [0, 2]
    """
    best: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: points[place]):
        if not best or points[place][1] < points[best[-1]][1]:
            best.append(place)
    return best
