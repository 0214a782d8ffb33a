"""Numbers of the explanation of a tagger for the table of the stage."""

from typing import Any

import numpy as np

from fullchain.metrics import Metric

Numbers = dict[str, Any]


def metrics(explained: Numbers) -> list[Metric]:
    """Rows of one tagger from the content of its explanation.json."""
    rows = []
    if explained["components"] is not None:
        rows += _components(explained) + _disentangled(explained)
    return rows + _attribution(explained) + _formula(explained)


def _row(tagger: str, name: str, value: Numbers, text: str, note: str | None = None) -> Metric:
    return Metric(
        f"{tagger}.explanation.{name}",
        value["value"],
        value["deviation"],
        "bootstrap",
        f"{tagger}: {text}",
        note=note,
    )


def _at(table: Numbers, *place: int) -> Numbers:
    value, deviation = table["value"], table["deviation"]
    for index in place:
        value, deviation = value[index], deviation[index]
    return {"value": value, "deviation": deviation or 0.0}


def _components(explained: Numbers) -> list[Metric]:
    tagger, found = explained["tagger"], explained["components"]
    names = [one["name"] for one in explained["observables"]]
    size = np.abs(np.nan_to_num(np.array(found["spearman"]["value"][0], dtype=float)))
    closest = int(np.argmax(size))
    return [
        _row(
            tagger,
            "first_component_variance",
            _at(found["variance"], 0),
            "part of the latent variance in the first principal component",
        ),
        _row(
            tagger,
            "first_component_auc",
            found["auc"][0],
            "AUC of the first principal component alone",
        ),
        _row(
            tagger,
            "first_component_correlation",
            _at(found["spearman"], 0, closest),
            f"rank correlation of the first principal component with {names[closest]}",
            "the observable that is closest to it",
        ),
    ]


def _disentangled(explained: Numbers) -> list[Metric]:
    tagger, found = explained["tagger"], explained["disentangled"]
    number = len(found["with"]["dimensions"])
    rows = [
        _row(
            tagger,
            "disentangled_auc",
            found["with"]["auc"],
            f"AUC of the disentangled classifier on {number} latent dimensions",
        )
    ]
    for key, text in (("with", ""), ("without", ", without the term for it")):
        pairs = found[key]["pairs"]
        rows.append(
            _row(
                tagger,
                f"latent_dependence{'' if key == 'with' else '_without'}",
                pairs,
                f"distance correlation of two of these dimensions{text}",
                f"independent ones would have {pairs['if_independent']:.2g}",
            )
        )
    return rows


def _attribution(explained: Numbers) -> list[Metric]:
    tagger, found = explained["tagger"], explained["attribution"]
    first = int(np.argmax(found["single"]["value"]))
    largest = int(np.argmax(found["group"]["value"]))
    members = ", ".join(found["groups"][largest])
    return [
        _row(
            tagger,
            "largest_shap",
            _at(found["single"], first),
            f"mean size of the Shapley values of {found['names'][first]}",
            "the largest of a single observable; correlated ones share what they know",
        ),
        _row(
            tagger,
            "largest_group_shap",
            _at(found["group"], largest),
            f"mean size of the Shapley values of {members} together",
            f"the sum of the members' own is {found['sum_of_sizes']['value'][largest]:.3g}",
        ),
    ]


def _formula(explained: Numbers) -> list[Metric]:
    tagger, found = explained["tagger"], explained["formula"]
    used = found["front"][found["chosen"]]["variables"]
    scales = ", ".join(
        f"{one['name']} standing for ({one['name']} - {one['shift']:g}) / {one['width']:g}"
        for one in found["inputs"]
        if one["name"] in used
    )
    before = found["network"]["calibration"]["error"]["value"]
    rows = []
    if "surrogate" in found:
        rows.append(
            _row(
                tagger,
                "surrogate_auc",
                found["surrogate"]["auc"],
                "AUC of a network on observables that learned the score",
            )
        )
    return [
        *rows,
        _row(
            tagger,
            "formula_auc",
            found["formula"]["auc"],
            "AUC of the formula for the score",
            f"log-odds = {found['text']}, with {scales}",
        ),
        _row(
            tagger,
            "formula_auc_difference",
            found["difference"],
            "AUC of the formula, less that of the tagger on the same jets",
        ),
        _row(
            tagger,
            "formula_calibration_error",
            found["formula"]["calibration"]["error"],
            "mean distance of the formula's score and part of signal",
            f"of the tagger on the same jets {before:.3f}",
        ),
    ]
