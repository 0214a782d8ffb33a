"""What was decided while a statistical model was built; listed in model.json."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """One decision about a systematic uncertainty or a sample."""

    region: str
    sample: str
    systematic: str
    part: str
    """``normalisation``, ``shape``, ``sample``, ``up``, ``down`` or ``systematic``."""
    action: str
    """Such as ``pruned``, ``mirrored``, ``smoothed``, ``averaged``, ``clipped``, ``dropped``."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What it was decided by: relative changes, bins, p-values."""
