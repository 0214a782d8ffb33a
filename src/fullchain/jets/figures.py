"""Which control plots there are: known to the workflow before anything is drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fullchain.jets.settings import FigureSettings

LABELS = {0: "gluon", 1: "light", 2: "bottom", 3: "w", 4: "z", 5: "top", 6: "higgs"}
ALL = "all"

SHAPES = ("mass", "msoftdrop", "tau21", "tau32", "d2", "n2", "n_constituents", "response")
"""Observables in which samples are compared with each other."""

SHIFTED = ("pt", "msoftdrop")
"""Observables in which variations are compared with the nominal jets."""

ALTERNATIVE = ("msoftdrop", "n_constituents")
"""Observables in which a sample is compared with an alternative."""

TITLES = {
    "pt": "transverse momentum",
    "mass": "jet mass",
    "msoftdrop": "soft-drop mass",
    "tau21": "$\\tau_{21}$",
    "tau32": "$\\tau_{32}$",
    "d2": "$D_2$",
    "n2": "$N_2$",
    "n_constituents": "number of constituents",
    "response": "response in $p_T$",
}


@dataclass(frozen=True)
class Line:
    """One histogram of a comparison: folder in the file, name in the legend, look."""

    path: str
    text: str
    colour: int = 0
    style: str = "-"


@dataclass(frozen=True)
class Comparison:
    """A figure with several histograms of one observable; ratios are to the first.

    With `same_events` all lines are normalised as the first, so that what enters or leaves the
    selection shows, and only the first has a band. `merge` bins are taken together.
    """

    name: str
    observable: str
    title: str
    caption: str
    lines: tuple[Line, ...]
    ratio_range: tuple[float, float]
    by_sample: bool = False
    same_events: bool = False
    merge: int = 1


def label_name(code: int) -> str:
    """Give the name of a label's folder; all jets for a code that is no label."""
    return LABELS.get(code, ALL)


def sample_text(sample: str) -> str:
    """Name a sample in captions."""
    return sample.replace("_", " ")


def comparisons(
    settings: FigureSettings, samples: Sequence[str], variations: Sequence[str]
) -> Iterator[Comparison]:
    """Give all comparisons of the samples that exist."""
    shown = {name: code for name, code in settings.shifted.items() if name in samples}
    if shown:
        for observable in SHAPES:
            yield _shapes(observable, shown)
    if variations:
        for sample, code in shown.items():
            for observable in SHIFTED:
                yield _shifts(observable, sample, code, variations)
    for alternative, reference in settings.alternatives.items():
        if alternative in samples and reference in samples:
            for observable in ALTERNATIVE:
                yield _alternative(observable, alternative, reference)


def names(settings: FigureSettings, samples: Sequence[str], variations: Sequence[str]) -> list[str]:
    """Give the names of all figures of the stage, Lund planes among them."""
    found = [c.name for c in comparisons(settings, samples, variations)]
    return found + [f"lund_{sample}" for sample in settings.lund if sample in samples]


def _shapes(observable: str, shown: dict[str, int]) -> Comparison:
    lines = tuple(
        Line(f"{sample}/nominal/{label_name(code)}", f"{sample_text(sample)}, {label_name(code)}")
        for sample, code in shown.items()
    )
    meaning = (
        "It is relative to the matched particle-level jet. " if observable == "response" else ""
    )
    return Comparison(
        f"shape_{observable}",
        observable,
        f"Jets: {TITLES[observable]}",
        f"Distribution of the {TITLES[observable]} of AK8 jets, normalised to unit area, with "
        "statistical uncertainties (bands). "
        f"{meaning}Jets of heavy particles are those that contain all decay quarks.",
        lines,
        (0.0, 4.0),
        by_sample=True,
    )


def _shifts(observable: str, sample: str, code: int, variations: Sequence[str]) -> Comparison:
    label = label_name(code)
    lines = [Line(f"{sample}/nominal/{label}", "nominal", 7)]
    for name in variations:
        path, text = f"{sample}/{name}/{label}", name.replace("_", " ")
        lines.append(Line(path, text, _colour_of(name, variations), _style_of(name)))
    return Comparison(
        f"shifts_{sample}_{observable}",
        observable,
        f"Object shifts: {TITLES[observable]}, {sample_text(sample)}",
        f"Distribution of the {TITLES[observable]} of {label} jets of {sample_text(sample)} with "
        "each object shift, all in units of the number of nominal jets, and the ratio to these. "
        "The band is the statistical uncertainty of the nominal jets; the shifted ones come from "
        "the same events and share most of it.",
        tuple(lines),
        (0.7, 1.3),
        same_events=True,
        merge=2,
    )


def _alternative(observable: str, alternative: str, reference: str) -> Comparison:
    return Comparison(
        f"{alternative}_{observable}",
        observable,
        f"{sample_text(alternative)} and {sample_text(reference)}: {TITLES[observable]}",
        f"Distribution of the {TITLES[observable]} of all jets of {sample_text(alternative)} and "
        f"of {sample_text(reference)}, normalised to unit area, with statistical uncertainties.",
        (
            Line(f"{reference}/nominal/{ALL}", sample_text(reference), 0),
            Line(f"{alternative}/nominal/{ALL}", sample_text(alternative), 2),
        ),
        (0.5, 1.5),
        merge=2,
    )


def _style_of(variation: str) -> str:
    return "--" if variation.endswith("_down") else "-"


def _colour_of(variation: str, variations: Sequence[str]) -> int:
    """Give up and down of one shift the same colour."""
    stems = list(dict.fromkeys(_stem(name) for name in variations))
    return stems.index(_stem(variation)) % 7


def _stem(variation: str) -> str:
    return variation.removesuffix("_up").removesuffix("_down")
