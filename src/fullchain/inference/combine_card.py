"""What the writer and the reader of Combine's datacards have in common.

The format and the statistical meaning of its lines are those of Combine: CMS Collaboration,
arXiv:2404.06614, and its documentation.

What has no place in a datacard stands in one comment line, which Combine passes over: the name of
the signal strength, which is `r` there, and of the parameters of limited simulation, which are
called after their region.
"""

import json
import re
from typing import Any

from fullchain.errors import InputError

DATA = "data_obs"
STRENGTH = "r"
"""Combine's name for the factor on all signals."""
STRENGTH_RANGE = (0.0, 20.0)
"""Combine's default range of it."""
MARK = "# fullchain: "
KEYWORDS = ("imax", "jmax", "kmax", "shapes", "bin", "observation", "process", "rate")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")

CAVEATS = {
    "normsys": "between the nominal value and one standard deviation, pyhf and Combine interpolate "
    "the yield with different polynomials",
    "histosys": "Combine interpolates the shape at unit yield, and the yield as a factor; between "
    "the nominal value and one standard deviation its polynomials differ from pyhf's",
    "lumi": "a Gaussian factor in pyhf, a log-normal one in Combine",
    "staterror": "pyhf scales the yields of a bin by a factor; Combine adds a number of events, "
    "with the error of the yields at the present parameters (Barlow-Beeston, lite)",
}
"""Where a modifier means almost but not quite the same in both."""


def remark(about: dict[str, Any]) -> str:
    """The comment line of a datacard."""
    return MARK + json.dumps(about, sort_keys=True)


def read_remark(lines: list[str]) -> dict[str, Any]:
    """Find the comment line of the writer; a datacard of another origin has none."""
    for line in lines:
        if line.startswith(MARK):
            return dict(json.loads(line.removeprefix(MARK)))
    return {}


def check_name(name: str, what: str) -> None:
    """Refuse a name that a datacard cannot hold.

    Raises
    ------
    InputError
        It has other letters than ASCII letters, digits and ``_.-``, or is a keyword.
    """
    if name in KEYWORDS:
        raise InputError(f"datacard: {what} {name!r} is called like a keyword of datacards; rename")
    if not NAME.fullmatch(name):
        raise InputError(
            f"datacard: {what} {name!r} has characters that Combine does not take in names; "
            "letters, digits, '_', '.' and '-' are allowed, and no digit first"
        )
