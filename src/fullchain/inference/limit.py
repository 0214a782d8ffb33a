"""Set upper limits on the signal strength of each hypothesis."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from fullchain.atomic import write_text
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.hypotest import Asymptotic, UpperLimits, poi_of, q0
from fullchain.inference.hypotheses import Hypothesis, hypotheses
from fullchain.inference.likelihood import load_model
from fullchain.inference.limit_settings import LimitSettings
from fullchain.inference.template_file import read_json
from fullchain.inference.toy_tests import Share, check_failures, cls_by_toys, crossing
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    workspace: Annotated[Path, Input("pyhf workspace of the first hypothesis")],
    report: Annotated[Path, Input("what the workspace was built from")],
    analysis: Annotated[str, Option("name of the analysis")],
    limits: Annotated[Path, Output("limits, CLs scans and significances of each hypothesis")],
    settings: Given,
    patchset: Annotated[
        list[Path], Input("pyhf patchset of the other hypotheses, if any: one file")
    ] = [],  # noqa: B006
) -> None:
    """Test each hypothesis; a blind analysis has expected limits alone."""
    chosen = settings.model("inference.limits", LimitSettings)
    about = read_json(report)
    patches = read_json(patchset[0]) if patchset else None
    found = [
        _limits(
            one,
            chosen,
            with_toys=bool(chosen.toys) and (number == 0 or chosen.toy_hypotheses == "all"),
            blind=bool(about.get("blind")),
            random=stream(settings.seed, "inference", analysis, "limit", one.name),
        )
        for number, one in enumerate(hypotheses(read_json(workspace), patches, about))
    ]
    content = {
        "poi": found[0].pop("poi"),
        "level": chosen.level,
        "statistic": chosen.statistic,
        "analysis": analysis,
        "blind": bool(about.get("blind")),
        "hypotheses": [{k: v for k, v in one.items() if k != "poi"} for one in found],
    }
    write_text(limits, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _limits(
    hypothesis: Hypothesis,
    chosen: LimitSettings,
    *,
    with_toys: bool,
    blind: bool,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Limits of one hypothesis, as they are written."""
    made, observations = load_model(hypothesis.workspace)
    model = HistFactory(made)
    poi = poi_of(model)
    signal = model.init.clone()
    signal[poi] = 1.0
    nothing = signal.clone()
    nothing[poi] = 0.0
    data = model.expected_data(nothing) if blind else torch.as_tensor(observations)
    test = Asymptotic(model, data, chosen.statistic)
    limit = test.upper_limits(chosen.level)
    # Data, and the expectation for a signal strength of one.
    discovered = q0(model, torch.stack([data, model.expected_data(signal)]))
    names = ["data", "expectation"]
    for name, converged in zip(names, discovered.converged.tolist(), strict=True):
        check_failures(int(not converged), 1, 0.0, f"{hypothesis.name}: discovery in the {name}")
    significance = discovered.value.sqrt().tolist()
    toys = None
    if with_toys:
        toys = _toys(model, data, limit, chosen, random, blind=blind)
    return {
        "poi": model.names[poi],
        "name": hypothesis.name,
        "mass": hypothesis.mass,
        "cross_section_pb": hypothesis.cross_section_pb,
        "observed": None if blind else limit.observed,
        "expected": list(limit.expected),
        "best_fit": None if blind else float(test.best.values[0, poi]),
        "cls_scan": _scan(test, limit, chosen.scan_points, blind=blind),
        "toys": toys,
        "discovery": None if blind else significance[0],
        "discovery_expected": significance[1],
    }


def _scan(test: Asymptotic, limit: UpperLimits, points: int, *, blind: bool) -> dict[str, Any]:
    """CLs from small signal strengths to beyond all limits."""
    last = 1.2 * max(limit.observed, limit.expected[-1])
    mu = torch.linspace(last / points, last, points, dtype=torch.float64)
    found = test.cls(mu)
    return {
        "mu": mu.tolist(),
        "observed": None if blind else found.observed.tolist(),
        "expected": found.expected.tolist(),
    }


def _toys(
    model: HistFactory,
    data: Tensor,
    limit: UpperLimits,
    chosen: LimitSettings,
    random: np.random.Generator,
    *,
    blind: bool,
) -> dict[str, Any]:
    """CLs and limits from toys, at points that surround the asymptotic limits."""
    centres = [limit.expected[2]] if blind else [limit.expected[2], limit.observed]
    strengths = sorted(factor * centre for factor in chosen.toy_points for centre in centres)
    found = [
        cls_by_toys(
            model,
            data,
            mu,
            chosen.toys,
            random,
            statistic=chosen.statistic,
            most_failed=chosen.most_failed,
        )
        for mu in strengths
    ]
    observed = crossing(strengths, [one.cls for one in found], chosen.level)
    band = [
        crossing(strengths, [one.expected[place] for one in found], chosen.level)
        for place in range(len(limit.expected))
    ]
    return {
        "toys": chosen.toys,
        "failed": sum(one.failed for one in found),
        "fits": 2 * chosen.toys * len(found),
        "observed": None if blind else _share(observed),
        "expected": [_share(one) for one in band],
        "points": [
            {
                "mu": one.mu,
                "cls": None if blind else _share(one.cls),
                "with_signal": None if blind else _share(one.with_signal),
                "background": None if blind else _share(one.background),
                "expected": [_share(each) for each in one.expected],
            }
            for one in found
        ],
    }


def _share(share: Share | None) -> dict[str, float] | None:
    return None if share is None else {"value": share.value, "error": share.error}
