"""Which pairs of samples top tagging is measured on."""

from collections.abc import Collection, Mapping
from typing import Any

from fullchain.pileup.discrimination_settings import PairSettings

_SIGNAL, _BACKGROUND = "tt", "qcd"


def pairs(
    given: Mapping[str, PairSettings] | None,
    samples: Mapping[str, Any],
    trained_on: Collection[str],
) -> dict[str, PairSettings]:
    """Give the pairs by name: those of the configuration, or those that are there.

    Parameters
    ----------
    given
        `pileup.discrimination.pairs`; None asks for all pairs that are there.
    samples
        `ntuples.samples`.
    trained_on
        Names of samples that train learned weights.

    Raises
    ------
    ValueError
        A sample of a pair is not generated, has no pile-up or another than its partner, or trains
        learned weights.
    """
    if given is not None:
        for name, pair in given.items():
            _check(f"discrimination.pairs.{name}", pair, samples, trained_on)
        return dict(given)
    found = {}
    for signal in samples:
        process, _, name = signal.partition("_")
        pair = PairSettings(signal=signal, background=f"{_BACKGROUND}_{name}")
        if process == _SIGNAL and name and pair.background in samples:
            try:
                _check(name, pair, samples, trained_on)
            except ValueError:
                continue
            found[name] = pair
    return found


def _check(
    where: str, pair: PairSettings, samples: Mapping[str, Any], trained_on: Collection[str]
) -> None:
    chosen = {name: samples[name] for name in (pair.signal, pair.background)}
    for name, sample in chosen.items():
        if sample.kind != "generated":
            raise ValueError(
                f"{where}: sample {name!r} is not generated, so nothing tells what of its "
                "candidates is pile-up; take generated samples"
            )
        if not sample.has_pileup:
            raise ValueError(f"{where}: sample {name!r} has no pile-up; give it `pileup`")
        if name in trained_on:
            raise ValueError(
                f"{where}: sample {name!r} trains learned weights, which are to be measured on "
                "other events; train on a sample of its own"
            )
    if len({_densities(sample) for sample in chosen.values()}) > 1:
        raise ValueError(
            f"{where}: {pair.signal} and {pair.background} have different pile-up, which would "
            "tell their jets apart; give both the same `pileup` or `pileup_profile`"
        )


def _densities(sample: Any) -> tuple[tuple[int | float, float], ...]:
    """Mean numbers of interactions and the probability of each."""
    if not sample.pileup_profile:
        return ((sample.pileup, 1.0),)
    total = sum(sample.pileup_profile.values())
    return tuple(
        (mean, round(probability / total, 9))
        for mean, probability in sorted(sample.pileup_profile.items())
        if probability > 0
    )
