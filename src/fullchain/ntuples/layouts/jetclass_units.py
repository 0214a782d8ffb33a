"""What the branches of JetClass mean in our units and numbers; for all who read them."""

MM_TO_CM = 0.1
"""JetClass names no unit; its jets are made with Delphes, whose lengths are in mm."""

LABELS = {
    "label_QCD": 0,
    "label_Wqq": 3,
    "label_Zqq": 4,
    "label_Tbqq": 5,
    "label_Tbl": -1,
    "label_Hbb": 6,
    "label_Hcc": 6,
    "label_Hgg": 6,
    "label_H4q": 6,
    "label_Hqql": -1,
    "label_gluon": 0,
    "label_light": 1,
}
"""Class branches of JetClass in the project's numbering; the flavour of QCD jets is not stored.

Our labels are of decays to hadrons: jets with the lepton of a top quark or Higgs boson have none.
The last two are ours: quark and gluon jets that were converted, see `fullchain.ntuples.convert`.
"""
