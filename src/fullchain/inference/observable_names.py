"""What may be histogrammed: names only, so that settings are read without the stage jets."""

SCORE = "score"
"""The observable that is not a column of the jets, but of the scores."""

DIJET_MASS = "dijet_mass"
"""The observable that is made of two jets."""

COLUMNS = (
    "npu",
    "npv",
    "met_pt",
    "met_phi",
    "n_ak4",
    "ht",
    "pt",
    "eta",
    "phi",
    "mass",
    "msoftdrop",
    "tau1",
    "tau2",
    "tau3",
    "tau4",
    "tau21",
    "tau32",
    "d2",
    "n2",
    "n_constituents",
    "chf",
    "nhf",
    "phf",
    "elf",
    "muf",
    "gen_pt",
    "gen_mass",
    "gen_msoftdrop",
)
"""Columns of the jets that hold one measured number (a test compares with the stage jets)."""

OBSERVABLES = (*COLUMNS, SCORE, DIJET_MASS)
