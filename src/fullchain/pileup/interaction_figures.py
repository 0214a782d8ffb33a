"""Figures of all quantities against the number of pile-up interactions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.pileup.figures import OVER_PUPPI
from fullchain.pileup.interaction_panels import Panel, Value, draw
from fullchain.pileup.method_look import drawn, learned
from fullchain.plotting import FigureSet, process_label

_TRUE_WEIGHTS = (
    "True weights: each candidate with the part of its energy that is from the hard collision, the "
    "best that weights can do."
)
_MARKS = "Points of the methods are shifted sideways; bars are bootstrap uncertainties over events."
_WITHOUT_REFERENCE = ("truth",)


def _statistic(quantity: str, name: str, label: str, **more: Any) -> Panel:
    return Panel(
        lambda entries: entries.get(quantity, {}).get("bins", []),
        lambda one: one.get(name),
        label,
        **more,
    )


def _response(quantity: str, text: str) -> Panel:
    return _statistic(quantity, "response", f"median response of {text}", line=1.0)


def _resolution(quantity: str, text: str) -> Panel:
    return _statistic(quantity, "resolution", f"resolution of {text}")


def _kept(category: str, origin: str) -> Panel:
    what = "hard collision" if origin == "hard" else "pile-up"
    return Panel(
        lambda entries: entries.get("kept_bins", []),
        lambda one: one["kept"].get(category, {}).get(origin),
        f"kept $p_T$, {category}, {what}",
        left_out=("none", "truth"),
    )


def draw_against_interactions(
    figures: FigureSet, sample: str, content: dict[str, Any], energy: str
) -> None:
    """Draw all figures of a sample.

    Parameters
    ----------
    content
        Its numbers, as 'pileup evaluate' writes them.
    energy
        Of the collisions, as it stands above the axes.
    """
    kind = content["jets"]
    texts = {
        "jet_mass": f"{kind} jet mass",
        "dijet_mass": f"mass of two {kind} jets",
        "jet_pt": rf"{kind} jet $p_T$",
        "n95": "$N_{95}$",
        "ecf2": r"$\mathrm{ECF}_2$",
        "ecf3": r"$\mathrm{ECF}_3$",
    }

    def save(name: str, rows: list[list[Panel]], title: str, caption: str) -> None:
        fig = draw(rows, content, energy)
        in_sample = (
            f"{content['events']} events of {sample} with {content['interactions']:.1f} "
            "interactions on average"
        )
        figures.save(
            fig,
            f"{name}_{sample}",
            f"{title} against pile-up, {process_label(sample)}",
            f"{caption} Against the number of pile-up interactions, in {in_sample}. "
            f"{_MARKS}{_beyond(content)}",
        )

    spread = "interquartile range over 1.349 (of the ratio, over the median, too)"
    for quantity in ("jet_pt", "jet_mass", "dijet_mass"):
        text = texts[quantity]
        save(
            quantity,
            [[_response(quantity, text), _resolution(quantity, text)]],
            text[0].upper() + text[1:],
            f"Median of the ratio to the particle-level jet, and {spread}. {_TRUE_WEIGHTS}",
        )
    save(
        "met",
        [
            [
                _statistic("met", "resolution", "resolution of a component [GeV]"),
                _response("met_along", "missing $p_T$"),
                _resolution("met_along", "missing $p_T$"),
            ]
        ],
        "Missing $p_T$",
        "Interquartile range over 1.349 of the components minus those of the neutrinos; median of "
        f"the component along the neutrinos over their pT, and {spread}, where there are "
        f"enough events with neutrinos. {_TRUE_WEIGHTS}",
    )
    save(
        "small_jets",
        [
            [
                make(f"{place}_jet_pt", rf"{place} AK4 jet $p_T$")
                for make in (_response, _resolution)
            ]
            for place in ("central", "forward")
        ],
        "AK4 jets within and beyond the tracker",
        f"Median of the ratio of pT to that of the particle-level jet, and {spread}. "
        f"{_TRUE_WEIGHTS}",
    )
    names = list(texts)
    for statistic, title, words in (
        (
            "error_iqr",
            "Error against true weights",
            "Interquartile range of the error in percent against the same jets with true weights, "
            "as in PUMML (arXiv:1707.08600)",
        ),
        (
            "correlation",
            "Correlation with true weights",
            "Pearson correlation with the same jets with true weights, as in PUMML "
            "(arXiv:1707.08600)",
        ),
    ):
        logarithmic = statistic == "error_iqr"
        before = "IQR of error [%], " if logarithmic else "correlation, "
        save(
            statistic,
            [
                [
                    _statistic(
                        name, statistic, before + texts[name], logarithmic=logarithmic,
                        line=None if logarithmic else 1.0,
                        left_out=_WITHOUT_REFERENCE,
                    )
                    for name in row
                ]
                for row in (names[:3], names[3:])
            ],
            title,
            f"{words}, of the two leading {kind} jets: their masses, pT, the pixels that hold 95 % "
            "of the pT, and energy correlation functions.",
        )  # fmt: skip
    save(
        "kept_against",
        [
            [_kept(category, origin) for category in ("charged", "neutral", "central", "forward")]
            for origin in ("hard", "pileup")
        ],
        "Kept $p_T$",
        "Part of the scalar sum of pT that each method keeps, of the hard collision (above, best "
        "1) and of pile-up (below, best 0): of charged and of neutral candidates, and of all "
        "candidates within and beyond the tracker.",
    )
    if learned(content):
        save(
            OVER_PUPPI,
            _over_puppi(content, texts),
            "Learned weights and PUPPI",
            "Interquartile range of the error of jet mass and of the mass of two jets, against "
            "those with true weights, over that of PUPPI; same events resampled for both. The line "
            "is at 0.8: a fifth better than PUPPI. Where there are several trainings, above: the "
            "mean weights of all; below: the mean over single ones, bars with their standard "
            "deviation.",
        )


def _over_puppi(content: dict[str, Any], texts: Mapping[str, str]) -> list[list[Panel]]:
    """Give the panels of learned weights against PUPPI: of all trainings, and of single ones."""
    methods = learned(content)
    others = tuple(name for name in drawn(content) if name not in methods)
    quantities = ("jet_mass", "dijet_mass")

    def row(before: str, value: Value) -> list[Panel]:
        return [
            Panel(
                lambda entries, name=quantity: entries.get(name, {}).get("bins", []),  # type: ignore[misc]
                value,
                f"{before}, {texts[quantity]}",
                line=0.8,
                from_zero=True,
                left_out=others,
            )
            for quantity in quantities
        ]

    found = [row("IQR over PUPPI's", lambda one: one.get("iqr_over_puppi"))]
    several = "iqr_over_puppi_by_seed"
    if any(several in one.get(name, {}) for one in methods.values() for name in quantities):
        found.append(row("single trainings", lambda one: _of_seeds(one.get(several))))
    return found


def _of_seeds(found: dict[str, Any] | None) -> list[float] | None:
    """Give the mean over trainings, with the uncertainty of the events and their spread."""
    if found is None:
        return None
    return [found["mean"][0], float(np.hypot(found["mean"][1], found["spread"]))]


def _beyond(content: dict[str, Any]) -> str:
    if not any("trained" in one for one in learned(content).values()):
        return ""
    return (
        " Shaded: densities that some learned weights were not trained on (more than two standard "
        "deviations beyond the means of their training samples); points of those weights are open "
        "there."
    )
