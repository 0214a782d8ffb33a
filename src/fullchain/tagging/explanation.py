"""What observables, latent features and attributions say of a tagger, as numbers for JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fullchain.learning import split
from fullchain.seeds import derive
from fullchain.tagging import association, attribution, disentangled
from fullchain.tagging.association import Array, Integers, correlations
from fullchain.tagging.explained import Explained, log_odds
from fullchain.tagging.explanation_settings import ExplanationSettings
from fullchain.tagging.latent_components import principal_components, variance_shares

DISTANCE_REPLICAS = 25
"""Replicas of distance correlations, each of which takes all pairs of jets."""


def observables_of(test: Explained, how: ExplanationSettings, seed: int) -> list[dict[str, Any]]:
    """What each observable tells on its own, and how it goes with the score."""
    table = test.jets.table(how.observables)
    with_logit = correlations(
        test.logit[:, None], table, test.weight, test.jets.event, replicas=how.replicas, seed=seed
    )
    return [
        {
            "name": name,
            "not_defined": test.jets.filled[name],
            "auc": test.separation(table[:, place], how.replicas, seed),
            "spearman_with_score": {
                key: with_logit["spearman"][key][0][place] for key in ("value", "deviation")
            },
        }
        for place, name in enumerate(how.observables)
    ]


def components_of(
    fitted: Explained, test: Explained, how: ExplanationSettings, seed: int
) -> dict[str, Any]:
    """Principal components of the activations, found on other jets than they are measured on."""
    assert fitted.latent is not None and test.latent is not None
    found = principal_components(fitted.latent, fitted.weight, how.components, fitted.logit)
    values = found.of(test.latent)
    small = test.drawn(how.distance_jets, derive(seed, "distance"))
    assert small.latent is not None
    return {
        "width": int(test.latent.shape[1]),
        "variance": variance_shares(
            fitted.latent,
            fitted.weight,
            fitted.jets.event,
            len(found.share),
            replicas=how.replicas,
            seed=seed,
        ),
        "auc": [test.separation(column, how.replicas, seed) for column in values.T],
        **correlations(
            values,
            test.jets.table(how.observables),
            test.weight,
            test.jets.event,
            replicas=how.replicas,
            seed=seed,
        ),
        "distance": {
            "jets": len(small.logit),
            **association.distance_correlation_table(
                found.of(small.latent),
                small.jets.table(how.observables),
                small.jets.event,
                replicas=DISTANCE_REPLICAS,
                seed=seed,
            ),
        },
    }


def disentangled_of(
    parts: dict[str, Explained], classes: int, how: ExplanationSettings, seed: int
) -> dict[str, Any]:
    """Disentangled classifier with and without the term that disentangles."""
    test = parts[split.TEST]
    small = test.drawn(how.distance_jets, derive(seed, "distance"))
    pieces = [
        disentangled.Part(_latent(parts[name]), parts[name].jets.target, parts[name].jets.weight)
        for name in (split.TRAIN, split.VALIDATION)
    ]
    result: dict[str, Any] = {
        "settings": how.disentangled.model_dump(mode="json"),
        "network_auc": test.separation(test.logit, how.replicas, seed),
        "distance_jets": len(small.logit),
    }
    for name, factor in (("with", how.disentangled.decorrelation), ("without", 0.0)):
        model = disentangled.fit(
            pieces[0],
            pieces[1],
            classes,
            how.disentangled,
            decorrelation=factor,
            threads=how.threads,
            seed=seed,
        )
        z, logits, unexplained = disentangled.apply(model, _latent(test))
        own = log_odds(logits)
        result[name] = {
            "auc": test.separation(own, how.replicas, seed),
            "unexplained_variance": unexplained,
            "pairs": pair_distance(
                disentangled.apply(model, _latent(small))[0], small.jets.event, seed
            ),
            "dimensions": [
                test.separation(column, how.replicas, seed) for column in oriented(z, test).T
            ],
            **correlations(
                oriented(z, test),
                test.jets.table(how.observables),
                test.weight,
                test.jets.event,
                replicas=how.replicas,
                seed=seed,
            ),
        }
    return result


def _latent(part: Explained) -> Array:
    assert part.latent is not None
    return part.latent


def oriented(values: Array, jets: Explained) -> Array:
    """Columns (jets, n) with the signs with which they rise with the log-odds."""
    part = jets.weight / jets.weight.sum()
    slope = (part * (jets.logit - part @ jets.logit)) @ values
    return np.asarray(values * np.where(slope < 0, -1.0, 1.0))


def pair_distance(z: Array, event: Integers, seed: int) -> dict[str, Any]:
    """Mean distance correlation of the pairs of columns, for JSON."""
    table = association.distance_correlation_table(
        z, z, event, replicas=DISTANCE_REPLICAS, seed=seed
    )
    number = z.shape[1]
    pairs = [(a, b) for a in range(number) for b in range(a)]
    return {
        "value": float(np.mean([table["value"][a][b] for a, b in pairs])) if pairs else 0.0,
        # The errors of pairs that share a dimension are not independent: no division by a root.
        "deviation": float(np.mean([table["deviation"][a][b] for a, b in pairs])) if pairs else 0.0,
        "if_independent": table["if_independent"],
        "table": table["value"],
    }


def attribution_of(
    function: attribution.Function,
    names: Sequence[str],
    fitted: Explained,
    test: Explained,
    how: ExplanationSettings,
    seed: int,
) -> dict[str, Any]:
    """Shapley values of observables, one by one and in groups, and what permuting them costs."""
    chosen = how.attribution
    few = test.drawn(chosen.jets, derive(seed, "shap"))
    background = fitted.drawn(chosen.background, derive(seed, "background")).jets.table(names)
    features = few.jets.table(names)
    table = test.jets.table(names)
    within = correlations(table, table, test.weight, test.jets.event, replicas=2, seed=seed)
    spearman = np.array(within["spearman"]["value"], dtype=float)
    groups = attribution.correlated_groups(spearman, chosen.group_correlation, chosen.max_groups)
    values, base = attribution.shapley_values(
        function, features, background, coalitions=chosen.coalitions, seed=seed
    )
    grouped = attribution.grouped_values(function, features, background, groups)
    sums = np.stack([values[:, list(group)].sum(axis=1) for group in groups], axis=1)
    sizes = np.stack([np.abs(values[:, list(group)]).sum(axis=1) for group in groups], axis=1)
    once = {"replicas": how.replicas, "seed": seed}
    event = few.jets.event
    everything = {
        "features": table,
        "is_signal": test.is_signal,
        "weight": test.weight,
        "event": test.jets.event,
    }
    single = [(place,) for place in range(len(names))]
    return {
        "names": list(names),
        "jets": len(few.logit),
        "background": len(background),
        "largest_gap": float(np.abs(base + values.sum(axis=1) - function(features)).max()),
        "spearman": within["spearman"]["value"],
        "single": attribution.mean_size(values, event, **once),
        "groups": [[names[place] for place in group] for group in groups],
        "group": attribution.mean_size(grouped, event, **once),
        "sum_of_singles": attribution.mean_size(sums, event, **once),
        "sum_of_sizes": attribution.mean_size(sizes, event, **once),
        "permuted_single": attribution.permutation_losses(function, everything, single, **once),
        "permuted_group": attribution.permutation_losses(function, everything, groups, **once),
    }
