"""The observables of the default measurements, and their bins."""

from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.toy_settings import OBSERVABLE, X


def default_observables() -> dict[str, ObservableSettings]:
    """Give the six of the OmniFold paper (1911.09107), the mass of large jets, and x of the toys.

    Published bins are a few times wider than the resolution.
    """
    return {
        "mass": ObservableSettings(
            label="jet mass",
            unit="GeV",
            low=0.0,
            high=75.0,
            edges=(0.0, 6.0, 9.0, 12.0, 15.0, 18.0, 22.0, 27.0, 33.0, 40.0, 50.0, 75.0),
        ),
        "multiplicity": ObservableSettings(
            label="constituents",
            low=-0.5,
            high=79.5,
            bins=80,
            edges=(-0.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 34.5, 39.5, 46.5, 79.5),
            kind="integer",
        ),
        "width": ObservableSettings(
            label="jet width",
            low=0.0,
            high=0.4,
            edges=(0.0, 0.02, 0.035, 0.05, 0.07, 0.09, 0.12, 0.15, 0.2, 0.26, 0.4),
        ),
        "ln_rho": ObservableSettings(
            label=r"$\ln\rho$",
            low=-14.0,
            high=-2.0,
            edges=(-14.0, -11.0, -9.5, -8.5, -7.5, -6.5, -5.75, -5.0, -4.25, -3.5, -2.0),
            kind="groomed",
        ),
        "tau21": ObservableSettings(
            label=r"$\tau_{21}$",
            low=0.0,
            high=1.0,
            edges=(0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        ),
        "z_g": ObservableSettings(
            label=r"$z_g$",
            low=0.0,
            high=0.5,
            edges=(0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5),
            kind="groomed",
        ),
        "jet_mass": ObservableSettings(
            label="jet mass",
            unit="GeV",
            low=120.0,
            high=240.0,
            bins=40,
            edges=(120.0, 140.0, 155.0, 165.0, 175.0, 185.0, 195.0, 210.0, 240.0),
        ),
        OBSERVABLE: X,
    }
