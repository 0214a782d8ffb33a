"""Numbers with their uncertainty and, where one exists, a reference value.

A `metrics.json` is ``{"stage": ..., "metrics": [...]}``; a metric has the fields of `Metric`.
It holds no times, hosts or paths: two runs of one configuration give the same bytes.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from fullchain.atomic import write_text
from fullchain.errors import InputError


@dataclass(frozen=True)
class Metric:
    """One number.

    Parameters
    ----------
    name
        Dotted and unique within the stage, for example ``pfn.auc``.
    value, uncertainty
        The number and one standard deviation, in `unit`.
    uncertainty_kind
        Where the uncertainty comes from: ``bootstrap``, ``counting``, ``seeds``, ``fit``...
    label
        How a table names it.
    published, published_uncertainty, source
        The value beside which ours is set, as a rule that of the literature, its uncertainty and
        where it stands; never one without source.
    note
        What the reader must know to compare the two.
    limit
        `lower` or `upper` where `value` is a limit: it is then shown as > or < and without an
        uncertainty; None for a measurement.
    """

    name: str
    value: float
    uncertainty: float
    uncertainty_kind: str
    label: str
    unit: str = ""
    published: float | None = None
    published_uncertainty: float | None = None
    source: str | None = None
    note: str | None = None
    limit: Literal["lower", "upper"] | None = None

    def __post_init__(self) -> None:
        if self.published is not None and not self.source:
            raise ValueError(f"metric {self.name}: a published value needs its source")
        if not self.uncertainty_kind:
            raise ValueError(f"metric {self.name}: say where the uncertainty comes from")
        if self.limit not in (None, "lower", "upper"):
            raise ValueError(f"metric {self.name}: a limit is lower or upper, not {self.limit}")


def write_metrics(path: Path, stage: str, metrics: Iterable[Metric]) -> None:
    """Write a `metrics.json`.

    Raises
    ------
    ValueError
        A name stands twice, or a value or an uncertainty is not a finite number.
    """
    rows = list(metrics)
    seen: set[str] = set()
    for metric in rows:
        if metric.name in seen:
            raise ValueError(f"metric {metric.name} of stage {stage} stands twice")
        seen.add(metric.name)
        for field in ("value", "uncertainty"):
            if not math.isfinite(getattr(metric, field)):
                raise ValueError(f"metric {metric.name} of stage {stage}: {field} is not finite")
    content = {"stage": stage, "metrics": [asdict(metric) for metric in rows]}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_metrics(path: Path) -> tuple[str, list[Metric]]:
    """Read a `metrics.json`: the stage and its metrics.

    Raises
    ------
    InputError
        The file is missing or is not a metrics file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return content["stage"], [Metric(**row) for row in content["metrics"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such metrics file; rerun the stage that writes it") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"{path}: not a metrics file ({problem})") from None
