"""Learning-rate schedules: the factor on the nominal rate at each optimiser step."""

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "flat_then_decay", "one_cycle"]


def factor(schedule: Schedule, step: int, steps: int, warmup: float, final: float) -> float:
    """Fraction of the nominal learning rate at `step` out of `steps`.

    * constant: one;
    * cosine: half a cosine from one to `final` (Loshchilov, Hutter 1608.03983);
    * flat_then_decay: one, then an exponential fall to `final` over the last 30 % of the steps
      (as ParticleNet and ParT are trained in 2202.03772, where the fall is in stairs);
    * one_cycle: cosine up from `final` over 30 % of the steps, cosine down to `final`
      (Smith, Topin 1708.07120; torch's OneCycleLR with div_factor = 1 / final and
      final_div_factor = 1).

    Over the first `warmup` part of the steps the factor also rises linearly from zero.
    """
    progress = min(step / max(steps, 1), 1.0)
    rise = min((step + 1) / (warmup * steps), 1.0) if warmup * steps >= 1 else 1.0
    return rise * _shape(schedule, progress, final)


def _shape(schedule: Schedule, progress: float, final: float) -> float:
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _fall(progress, final)
    if schedule == "flat_then_decay":
        return final ** max(0.0, (progress - 0.7) / 0.3)
    if progress < 0.3:
        return _fall(1 - progress / 0.3, final)
    return _fall((progress - 0.3) / 0.7, final)


def _fall(progress: float, final: float) -> float:
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))
