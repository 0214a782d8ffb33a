"""What responses and quantities of the comparison of events are called."""

RESPONSES = {"resolution": "resolution formula", "parameterised": "full parameterisation"}


def response_words(name: str) -> str:
    """Name of a response, for legends and tables; a model keeps its own."""
    return RESPONSES.get(name, name.replace("_", " "))


_JETS = {"ak8": "AK8 jets", "ak4": "AK4 jets"}

QUANTITIES: dict[str, tuple[str, str]] = {
    **{
        f"{radius}_{what}": (f"{words}, {jets}", unit)
        for radius, jets in _JETS.items()
        for what, words, unit in (
            ("response", "median response in pT", ""),
            ("resolution", "relative width of the response in pT", ""),
            ("mass", "mean mass", "GeV"),
            ("mass_response", "median response in mass", ""),
            ("mass_resolution", "relative width of the response in mass", ""),
            ("photons", "mean number of photons", ""),
            ("photon_fraction", "mean part of the energy in photons", ""),
            ("matched", "part of generated jets that are found", ""),
        )
    },
    "met": ("mean missing transverse momentum", "GeV"),
    "met_resolution": ("width of missing momentum along x and y", "GeV"),
    "photons": ("mean number of photons in an event", ""),
}
"""Words and unit of each."""
