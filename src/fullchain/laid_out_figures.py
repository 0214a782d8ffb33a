"""Figures whose layout is found once, and titles from captions."""

from matplotlib.figure import Figure

from fullchain.plotting import FigureSet


class LaidOutFigureSet(FigureSet):
    """Figures whose layout is found once, and not again for each of their files.

    It is a good part of the time of a figure.
    """

    def save(self, fig: Figure, name: str, title: str, caption: str) -> None:
        """Write the files of a figure as `FigureSet.save`."""
        engine = fig.get_layout_engine()
        if engine is not None:
            engine.execute(fig)
            fig.set_layout_engine("none")
        super().save(fig, name, title, caption)


def title_of(caption: str) -> str:
    """First clause of a caption.

    Examples
    --------
    >>> title_of("Uncertainty of s, over seeds: medians. Lines are published.")
    'Uncertainty of s, over seeds'
    """
    ends = [place for mark in (". ", ": ", "; ") if (place := caption.find(mark)) > 0]
    return caption[: min(ends, default=len(caption))].rstrip(".:; ")
