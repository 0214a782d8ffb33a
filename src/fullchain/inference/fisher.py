"""Write what is known of the synthetic benchmark of INFERNO without training, by integration."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.inference import fisher_integration
from fullchain.inference.synthetic_settings import SyntheticSettings
from fullchain.step import Given, Output


def main(
    *,
    numbers: Annotated[Path, Output("expected uncertainties of s of each case, JSON")],
    settings: Given,
) -> None:
    """Integrate the Fisher information, and the best classifier in uniform bins."""
    how = settings.model("inference.synthetic", SyntheticSettings)
    content = {
        "bins": how.bins,
        "likelihood": fisher_integration.unbinned_uncertainties(),
        "best_classifier": fisher_integration.best_classifier_uncertainties(how.bins),
    }
    write_text(numbers, json.dumps(content, indent=1, allow_nan=False) + "\n")
