"""Which figures the stage draws: known to the workflow before anything is drawn.

Nothing is imported that draws, so that the rules read it quickly.
"""

from fullchain.calorimetry.classifier_figure_names import classifier_figure_names
from fullchain.calorimetry.control_figure_names import control_figure_names
from fullchain.calorimetry.downstream_figure_names import downstream_figure_names
from fullchain.calorimetry.evaluation_figure_names import evaluation_figure_names
from fullchain.calorimetry.matching_figure_names import matching_figure_names
from fullchain.calorimetry.quality_figure_names import quality_figure_names
from fullchain.calorimetry.refinement_figure_names import refinement_figure_names
from fullchain.calorimetry.settings import CalorimetrySettings
from fullchain.calorimetry.showers_figure_names import showers_figure_names
from fullchain.calorimetry.variation_figure_names import variation_figure_names


def names(calorimetry: CalorimetrySettings) -> list[str]:
    """Give the names of all figures."""
    sets = calorimetry.judged_sets()
    return [
        *showers_figure_names(calorimetry.showers),
        *evaluation_figure_names(sets),
        *classifier_figure_names(sets),
        *quality_figure_names(sets),
        *control_figure_names(calorimetry.controlled),
        *matching_figure_names(calorimetry.solvers if calorimetry.matching_models() else None),
        *variation_figure_names(calorimetry.models),
        *refinement_figure_names(calorimetry.refinement),
        *downstream_figure_names(calorimetry.downstream),
    ]
