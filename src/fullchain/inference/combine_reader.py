"""A datacard of Combine with shapes, or a counting one, as a HistFactory workspace.

What is read: ``lnN``, ``shape``, ``rateParam`` with a number, ``autoMCStats``, ``group``, and the
signal strength ``r``. Everything else is refused by name and line, for a model that lacks a part of
the datacard would be another model. The nuisance parameter ``lumi`` becomes the `lumi` modifier, of
which pyhf has one, where one number serves all processes.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference import combine_card, histfactory
from fullchain.inference.combine_histograms import Histograms
from fullchain.inference.variations import split

Array = NDArray[np.float64]
EQUAL = 1e-9
"""Relative difference of two templates that is rounding."""
COUNTING = "FAKE"


@dataclass
class Card:
    """The lines of a datacard, sorted by what they are."""

    path: Path
    remark: dict[str, Any] = field(default_factory=dict)
    bins: list[str] = field(default_factory=list)
    observed: list[float] = field(default_factory=list)
    columns: list[tuple[str, str, int]] = field(default_factory=list)
    """Region, process and number of the process."""
    rates: list[float] = field(default_factory=list)
    shapes: list[list[str]] = field(default_factory=list)
    nuisances: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    rate_parameters: list[list[str]] = field(default_factory=list)
    statistics: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def read_card(path: Path) -> tuple[dict[str, Any], dict[str, Array], dict[str, str]]:
    """Read a datacard.

    Parameters
    ----------
    path
        Datacard; its ROOT files are looked for beside it.

    Returns
    -------
    tuple
        pyhf workspace, bin edges by region, and groups of the parameters that are in one.

    Raises
    ------
    InputError
        A line cannot be read or has no counterpart, or a histogram is missing.
    """
    card = parse(path)
    histograms = Histograms(card.path, [line[1:] for line in card.shapes])
    poi = str(card.remark.get("poi", combine_card.STRENGTH))
    channels: list[dict[str, Any]] = []
    edges: dict[str, Array] = {}
    luminosity = _luminosity(card)
    for region in card.bins:
        samples = []
        for place, (here, process, number) in enumerate(card.columns):
            if here != region:
                continue
            nominal, bins = _nominal(card, histograms, place)
            if not np.array_equal(edges.setdefault(region, bins), bins):
                raise InputError(f"{path}: region {region}: process {process} has other bins")
            found = [histfactory.normfactor(poi)] if number <= 0 else []
            found += _free(card, region, process)
            found += _constrained(card, histograms, place, nominal.values, luminosity)
            if region in card.statistics and np.any(nominal.variances > 0):
                name = card.remark.get("staterror", {}).get(region, f"staterror_{region}")
                found.append(histfactory.staterror(name, nominal))
            samples.append({"name": process, "data": nominal.values.tolist(), "modifiers": found})
        if not samples:
            raise InputError(f"{path}: region {region} has no process")
        _check_statistics(card, region, samples)
        channels.append({"name": region, "samples": samples})
    observations = [
        {"name": region, "data": _observed(card, histograms, place).tolist()}
        for place, region in enumerate(card.bins)
    ]
    specification = {
        "channels": channels,
        "observations": observations,
        "measurements": [
            {
                "name": card.remark.get("measurement", "fit"),
                "config": {"poi": poi, "parameters": _parameters(card, poi, luminosity)},
            }
        ],
        "version": "1.0.0",
    }
    return specification, edges, card.groups


def files_of(path: Path) -> list[Path]:
    """ROOT files that a datacard reads."""
    names = {line[3] for line in parse(path).shapes if line[3] != COUNTING}
    return sorted(path.parent / name for name in names)


def parse(path: Path) -> Card:
    """Sort the lines of a datacard.

    Raises
    ------
    InputError
        The file cannot be read, or a line has no counterpart in HistFactory.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: not a datacard ({problem})") from None
    card = Card(path, combine_card.read_remark(lines))
    for number, words in _words(lines):
        try:
            _sort(card, words)
        except (ValueError, IndexError) as problem:
            raise InputError(f"{path}: line {number}, {' '.join(words[:3])}: {problem}") from None
    if not card.bins or not card.columns:
        raise InputError(f"{path}: no channels or no processes; is it a datacard?")
    processes = [process for _, process, _ in card.columns]
    if not len(processes) == len(card.rates) or len(card.observed) != len(card.bins):
        raise InputError(f"{path}: the lines bin, process, rate and observation differ in length")
    for name, (_, values) in card.nuisances.items():
        if len(values) != len(card.columns):
            raise InputError(
                f"{path}: {name} has {len(values)} entries for {len(card.columns)} processes"
            )
    return card


def _words(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].split()
        if words and not set(words[0]) <= {"-"}:
            yield number, words


def _sort(card: Card, words: list[str]) -> None:
    """Put the words of one line where they belong."""
    first = words[0]
    if first in ("imax", "jmax", "kmax"):
        return
    if first == "shapes":
        if len(words) < 4 or (words[3] != COUNTING and len(words) < 5):
            raise ValueError("shapes needs process, channel, file and the name of the histogram")
        card.shapes.append(words)
    elif first == "bin" and not card.bins:
        card.bins = words[1:]
    elif first == "observation":
        card.observed = [float(word) for word in words[1:]]
    elif first == "bin":
        card.columns = [(region, "", 0) for region in words[1:]]
    elif first == "process":
        numbers = all(re.fullmatch(r"[+-]?\d+", word) for word in words[1:])
        if len(words) - 1 != len(card.columns):
            raise ValueError(f"{len(words) - 1} entries for {len(card.columns)} of the line bin")
        card.columns = [
            (region, name, int(word)) if numbers else (region, word, number)
            for (region, name, number), word in zip(card.columns, words[1:], strict=True)
        ]
    elif first == "rate":
        card.rates = [float(word) for word in words[1:]]
    elif len(words) > 1:
        _sort_parameter(card, words)
    else:
        raise ValueError("this line is not known")


def _sort_parameter(card: Card, words: list[str]) -> None:
    name, kind, *values = words
    if kind in ("lnN", "shape"):
        if name in card.nuisances:
            raise ValueError("this nuisance parameter has two lines")
        card.nuisances[name] = kind, values
    elif kind == "rateParam":
        if len(values) not in (3, 4) or "@" in words[4]:
            raise ValueError("only a rateParam with channel, process, a number and a range is read")
        float(values[2])
        card.rate_parameters.append([name, *values])
    elif kind == "autoMCStats":
        if not float(values[0]) >= 0:
            raise ValueError("a threshold below zero is not supported")
        for region in card.bins if name == "*" else [name]:
            card.statistics[region] = float(values[0])
    elif kind == "group":
        card.groups |= dict.fromkeys(values[1:], name)
    else:
        raise ValueError(
            f"{kind} has no counterpart in HistFactory; lnN, shape, rateParam, autoMCStats and "
            "group are supported"
        )


def _nominal(card: Card, histograms: Histograms, place: int) -> tuple[histfactory.Template, Array]:
    region, process, _ = card.columns[place]
    rate = card.rates[place]
    if histograms.counting(region, process):
        if rate < 0:
            raise InputError(f"{card.path}: {region}/{process}: a counting rate of {rate:g}")
        return histfactory.Template(np.array([rate]), np.zeros(1)), np.array([0.0, 1.0])
    template, edges = histograms.read(region, process)
    total = float(template.values.sum())
    if rate != -1 and abs(rate - total) > 1e-3 * max(abs(rate), abs(total)):
        raise InputError(
            f"{card.path}: {region}/{process}: the rate is {rate:g}, but its histogram holds "
            f"{total:g}; write -1 to take the histogram"
        )
    return template, edges


def _observed(card: Card, histograms: Histograms, place: int) -> Array:
    region = card.bins[place]
    if histograms.counting(region, combine_card.DATA):
        return np.array([card.observed[place]])
    return histograms.read(region, combine_card.DATA)[0].values


def _free(card: Card, region: str, process: str) -> list[histfactory.Modifier]:
    names = [
        name
        for name, regions, processes, *_ in card.rate_parameters
        if regions in ("*", region) and processes in ("*", process)
    ]
    return [histfactory.normfactor(name) for name in dict.fromkeys(names)]


def _constrained(
    card: Card, histograms: Histograms, place: int, nominal: Array, luminosity: float | None
) -> list[histfactory.Modifier]:
    region, process, _ = card.columns[place]
    found: list[histfactory.Modifier] = []
    for name, (kind, values) in card.nuisances.items():
        word = values[place]
        where = f"{card.path}: {name} of {region}/{process}"
        if word == "-" or (kind == "shape" and float(word) == 0):
            continue
        if kind == "lnN":
            if name == "lumi" and luminosity is not None:
                found.append(histfactory.lumi())
                continue
            down, up = _factors(word, where)
            found.append(histfactory.normsys(name, up, down))
            continue
        if float(word) != 1:
            raise InputError(f"{where}: a shape with the size {word}; only 1 is supported")
        sides = [histograms.read(region, process, name + side)[0].values for side in ("Up", "Down")]
        if not min(float(one.sum()) for one in (*sides, nominal)) > 0:
            raise InputError(f"{where}: a yield, nominal, up or down, is not positive")
        (up, shape_up), (down, shape_down) = (split(nominal, side) for side in sides)
        if max(abs(up - 1.0), abs(down - 1.0)) > EQUAL:
            found.append(histfactory.normsys(name, up, down))
        scale = EQUAL * nominal.max()
        if max(np.abs(one - nominal).max() for one in (shape_up, shape_down)) > scale:
            found.append(histfactory.histosys(name, shape_up, shape_down))
    return found


def _factors(word: str, where: str) -> tuple[float, float]:
    """Down and up of a log-normal: ``down/up``, or up alone."""
    try:
        numbers = [float(one) for one in word.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not min(numbers) > 0:
        raise InputError(f"{where}: {word!r} is not a positive factor, nor two of them")
    return (1.0 / numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def _luminosity(card: Card) -> float | None:
    """Relative uncertainty of the luminosity, if it has one number for all processes."""
    kind, values = card.nuisances.get("lumi", ("", []))
    sizes = {word for word in values if word != "-"}
    if kind != "lnN" or len(sizes) != 1 or "/" in (size := sizes.pop()):
        return None
    return float(size) - 1.0 if float(size) > 1 else None


def _parameters(card: Card, poi: str, luminosity: float | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": poi,
            "inits": card.remark.get("inits", [1.0]),
            "bounds": card.remark.get("bounds", [list(combine_card.STRENGTH_RANGE)]),
        }
    ]
    if luminosity is not None:
        bounds = [max(1e-3, 1 - 5 * luminosity), 1 + 5 * luminosity]
        entry = {"auxdata": [1.0], "sigmas": [luminosity], "inits": [1.0], "bounds": [bounds]}
        found.append({"name": "lumi", **entry})
    by_name = itertools.groupby(sorted(card.rate_parameters), key=lambda words: words[0])
    for name, lines in by_name:
        _, _, _, init, *limits = next(lines)
        entry = {"name": name, "inits": [float(init)]}
        if limits:
            entry["bounds"] = [[float(x) for x in limits[0].strip("[]").split(",")]]
        found.append(entry)
    return found


def _check_statistics(card: Card, region: str, samples: Sequence[dict[str, Any]]) -> None:
    """Refuse bins whose limited simulation Combine would treat process by process."""
    threshold = card.statistics.get(region, 0.0)
    errors = [m["data"] for one in samples for m in one["modifiers"] if m["type"] == "staterror"]
    if threshold <= 0 or not errors:
        return
    variance = np.sum(np.square(errors), axis=0)
    total = np.sum([one["data"] for one in samples], axis=0)
    events = np.divide(total**2, variance, out=np.full_like(total, np.inf), where=variance > 0)
    for index in np.flatnonzero(np.round(events) <= threshold).tolist():
        raise InputError(
            f"{card.path}: region {region}, bin {index}: {events[index]:.3g} effective events are "
            f"not above the threshold {threshold:g} of autoMCStats, so that Combine gives each "
            "process a parameter of its own; lower the threshold to 0, or merge bins"
        )
