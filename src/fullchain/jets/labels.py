"""Numbers and names of the truth labels; `fullchain.jets.truth` says which jet gets which."""

GLUON, LIGHT, BOTTOM, W, Z, TOP, HIGGS, UNMATCHED = 0, 1, 2, 3, 4, 5, 6, -1
NAMES = {
    GLUON: "gluon",
    LIGHT: "light",
    BOTTOM: "bottom",
    W: "w",
    Z: "z",
    TOP: "top",
    HIGGS: "higgs",
    UNMATCHED: "unmatched",
}
