"""How observables are written in formulas and figures."""

SYMBOLS = {
    "n_pf": r"n_\mathrm{PF}",
    "width": r"w",
    "ptd": r"p_T D",
    "c_beta": r"C_\beta",
    "s_pid": r"S_\mathrm{PID}",
    "s_frag": r"S_\mathrm{frag}",
    "e_q": r"E_Q",
    "jet_charge": r"Q",
    "pt": r"p_T",
    "mass": r"m",
    "mass_over_pt": r"m/p_T",
    "msoftdrop": r"m_\mathrm{SD}",
    "msoftdrop_over_pt": r"m_\mathrm{SD}/p_T",
    "tau1": r"\tau_1",
    "tau2": r"\tau_2",
    "tau3": r"\tau_3",
    "tau4": r"\tau_4",
    "tau21": r"\tau_{21}",
    "tau32": r"\tau_{32}",
    "tau43": r"\tau_{43}",
    "d2": r"D_2",
    "n2": r"N_2",
    "n_constituents": r"n",
    "chf": r"f_\mathrm{CH}",
    "nhf": r"f_\mathrm{NH}",
    "phf": r"f_\gamma",
    "elf": r"f_e",
    "muf": r"f_\mu",
}
"""LaTeX of observables, without dollar signs; also what matplotlib's own maths understands."""


def symbol(name: str) -> str:
    r"""LaTeX of an observable; of a column of a file that has no symbol here, its name.

    Examples
    --------
    >>> print(symbol("d2"), symbol("jet_width"))
    D_2 \mathrm{jet\_width}
    """
    return SYMBOLS.get(name) or r"\mathrm{" + name.replace("_", r"\_") + "}"


def standardised(name: str) -> str:
    """LaTeX of an observable that is shifted and scaled."""
    return rf"\hat{{{symbol(name)}}}" if len(symbol(name)) == 1 else rf"[{symbol(name)}]"
