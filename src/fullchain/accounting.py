"""What became of the events or jets that a step read: written, or rejected for a named reason.

Nothing may be lost in silence: what was read is what was written and what was rejected, counted.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fullchain.errors import InputError


@dataclass(frozen=True)
class Account:
    """Numbers of one step, of a part of a sample or of all of it.

    Parameters
    ----------
    read, written
        Events or jets, unweighted.
    rejected
        How many were left out, by reason; each is counted once, under the first that applies.
    sum_read, sum_written
        Sums of their weights; None where the step does not know them.
    """

    read: int
    written: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    sum_read: float | None = None
    sum_written: float | None = None

    def check(self, where: str) -> "Account":
        """Give the account itself, if its numbers agree.

        Raises
        ------
        InputError
            Something was lost or stands twice; names `where`, and all numbers.
        """
        left_out = sum(self.rejected.values())
        if min(self.read, self.written, 0, *self.rejected.values()) < 0:
            raise InputError(f"{where}: a negative number in {self._text()}; run the step again")
        if self.read != self.written + left_out:
            raise InputError(
                f"{where}: {self._text()}: {abs(self.read - self.written - left_out)} "
                f"{'lost' if self.read > self.written + left_out else 'too many'}; run the step "
                "again, and report it if it stays"
            )
        return self

    def _text(self) -> str:
        reasons = "".join(f", {number} rejected ({name})" for name, number in self.rejected.items())
        return f"{self.read} read, {self.written} written{reasons}"

    def as_dict(self) -> dict[str, Any]:
        """Give what `read_account` reads, for JSON."""
        return asdict(self)


def read_account(content: Any, where: str) -> Account:
    """Give the account that a step wrote to JSON.

    Raises
    ------
    InputError
        There is none, or its numbers do not agree.
    """
    try:
        found = Account(**content)
        return found.check(where)
    except (AttributeError, TypeError) as problem:
        raise InputError(
            f"{where}: no account of what was read and written ({problem}); run the step again"
        ) from None


def added(accounts: Iterable[Account]) -> Account:
    """Add up the accounts of several parts; sums of weights stay known only if all know them."""
    parts = list(accounts)
    reasons = dict.fromkeys(name for part in parts for name in part.rejected)
    return Account(
        sum(part.read for part in parts),
        sum(part.written for part in parts),
        {name: sum(part.rejected.get(name, 0) for part in parts) for name in reasons},
        _sum(part.sum_read for part in parts),
        _sum(part.sum_written for part in parts),
    )


def _sum(weights: Iterable[float | None]) -> float | None:
    known = list(weights)
    found = [weight for weight in known if weight is not None]
    return math.fsum(found) if len(found) == len(known) else None
