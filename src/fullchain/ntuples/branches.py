"""The branches of a generated ntuple: names, types, units, meaning and precision.

Names follow NanoAOD, and PFNano for what NanoAOD lacks. This table is the only place that lists
them: the writer, the titles in the file and docs/stages/ntuples.md are made from it.
"""

from dataclasses import dataclass
from typing import Literal

# How a float is rounded: not at all, to the bits of the setting `mantissa_bits`, or to two bits
# more, for directions, of which substructure takes small differences.
Precision = Literal["exact", "value", "direction"]


@dataclass(frozen=True)
class Branch:
    """One branch; `name` is without that of its collection."""

    name: str
    dtype: str
    unit: str
    description: str
    precision: Precision = "exact"

    @property
    def title(self) -> str:
        """Meaning and unit, as the branch title in the file says it."""
        return f"{self.description} [{self.unit}]" if self.unit else self.description


@dataclass(frozen=True)
class Collection:
    """A group of branches with a common prefix; `jagged`: any number of entries per event."""

    name: str
    description: str
    jagged: bool
    branches: tuple[Branch, ...]


def _float(name: str, unit: str, description: str, precision: Precision = "value") -> Branch:
    return Branch(name, "float32", unit, description, precision)


def _int(name: str, description: str, dtype: str = "int32") -> Branch:
    return Branch(name, dtype, "", description)


def _momentum(what: str) -> tuple[Branch, ...]:
    return (
        _float("pt", "GeV", f"transverse momentum of the {what}"),
        _float("eta", "", f"pseudorapidity of the {what}", "direction"),
        _float("phi", "rad", f"azimuth of the {what}", "direction"),
        _float("mass", "GeV", f"mass of the {what}"),
    )


def _links(of: str, to: str) -> tuple[Branch, ...]:
    return (
        _int("jetIdx", f"position in {of}"),
        _int("pFCandsIdx", f"position in {to}"),
    )


_PS_WEIGHT = (
    "weight of a varied shower over the nominal one; [0] ISR up: renormalisation scale of "
    "initial-state radiation times 0.5, which NanoAOD calls ISR=2 FSR=1; [1] FSR up: that of "
    "final-state radiation times 1/sqrt(2) (NanoAOD: 1/2); [2] ISR down: times 2; [3] FSR down: "
    "times sqrt(2) (NanoAOD: 2). One entry of 1 where the sample has no shower weights"
)
_STATUS_FLAGS = (
    "bits: 0 isPrompt, 1 isDecayedLeptonHadron, 2 isTauDecayProduct, 3 isPromptTauDecayProduct, "
    "4 isDirectTauDecayProduct, 5 isDirectPromptTauDecayProduct, 6 isDirectHadronDecayProduct, "
    "7 isHardProcess, 8 fromHardProcess, 11 fromHardProcessBeforeFSR (here: isHardProcess), "
    "12 isFirstCopy, 13 isLastCopy; bits 9, 10 and 14 are not filled"
)
_FLAVOUR = "5 if a b hadron, 4 if a c hadron and no b hadron lies within the radius, else 0"
_FRACTIONS = (
    ("chHEF", "charged hadrons"),
    ("neHEF", "neutral hadrons, those of the forward calorimeter too"),
    ("chEmEF", "electrons"),
    ("neEmEF", "photons, those of the forward calorimeter too"),
    ("muEF", "muons"),
)

COLLECTIONS: tuple[Collection, ...] = (
    Collection(
        "",
        "event",
        False,
        (
            _int("run", "run number, 1 in simulation", "uint32"),
            _int("luminosityBlock", "number of the block of 100 events, from 1", "uint32"),
            _int("event", "number of the event in the sample, from 1", "uint64"),
            Branch("genWeight", "float32", "", "weight of the event"),
            _float("fixedGridRhoFastjetAll", "GeV", "median pT density of all candidates"),
        ),
    ),
    Collection("PSWeight", _PS_WEIGHT, True, (Branch("", "float32", "", _PS_WEIGHT, "value"),)),
    Collection(
        "Generator",
        "hard process",
        False,
        (
            Branch("weight", "float32", "", "weight of the event"),
            _float("scalePDF", "GeV", "factorisation scale"),
            _float("x1", "", "momentum fraction of the first parton"),
            _float("x2", "", "momentum fraction of the second parton"),
            _float("xpdf1", "", "x times parton density of the first parton"),
            _float("xpdf2", "", "x times parton density of the second parton"),
            _int("id1", "PDG code of the first parton"),
            _int("id2", "PDG code of the second parton"),
            _float("binvar", "GeV", "pTHat"),
        ),
    ),
    Collection(
        "Pileup",
        "pile-up",
        False,
        (
            _float("nTrueInt", "", "mean of the Poisson number of pile-up interactions", "exact"),
            _int("nPU", "number of pile-up interactions"),
        ),
    ),
    Collection("GenVtx", "collision", False, (_float("z", "cm", "place along the beam", "exact"),)),
    Collection(
        "PV",
        "leading vertex",
        False,
        (
            _int("npvs", "number of reconstructed vertices"),
            _int("npvsGood", "number of reconstructed vertices with |z| < 24 cm"),
            _float("x", "cm", "position; the beam line is at 0", "exact"),
            _float("y", "cm", "position; the beam line is at 0", "exact"),
            _float("z", "cm", "position along the beam", "exact"),
            _float("score", "GeV2", "sum of pT squared of the tracks"),
        ),
    ),
    Collection(
        "OtherPV",
        "other reconstructed vertices, by falling sum of pT squared",
        True,
        (_float("z", "cm", "position along the beam", "exact"),),
    ),
    Collection(
        "PFCands",
        "particle-flow candidates, by falling pT",
        True,
        (
            *_momentum("candidate"),
            _int("charge", "electric charge"),
            _int(
                "pdgId",
                "species: 211 charged hadron, 11 electron, 13 muon (with sign of the charge), 22 "
                "photon, 130 neutral hadron, 1 and 2 hadron and photon of the forward calorimeter",
            ),
            _float("d0", "cm", "transverse impact parameter to the leading vertex; -1: no track"),
            _float("d0Err", "cm", "standard deviation of d0; -1: no track"),
            _float("dz", "cm", "longitudinal impact parameter to the leading vertex; -1: no track"),
            _float("dzErr", "cm", "standard deviation of dz; -1: no track"),
            _int(
                "fromPV",
                "3 used in the fit of the leading vertex, 2 nearest to it, 1 nearest to another "
                "one, 0 used in the fit of another one; neutral: 3",
            ),
            _int(
                "pvAssocQuality",
                "7 used in the fit of its vertex, 5 nearest to the leading vertex, 1 nearest to "
                "another one; neutral: 7",
            ),
            _int("vtxIdx", "vertex it belongs to: 0 the leading one, i OtherPV[i-1]; neutral: 0"),
            _float("hardFraction", "", "true part of the energy that is from the hard collision"),
        ),
    ),
    Collection(
        "FatJet",
        "anti-kT R = 0.8 jets of candidates without fromPV = 0 (CHS), uncorrected, by falling pT",
        True,
        (
            *_momentum("jet"),
            _float("msoftdrop", "GeV", "mass after soft drop (z > 0.1, beta = 0)"),
            _float("tau1", "", "1-subjettiness"),
            _float("tau2", "", "2-subjettiness"),
            _float("tau3", "", "3-subjettiness"),
            _float("tau4", "", "4-subjettiness"),
            _int("nConstituents", "number of constituents"),
            _int("genJetAK8Idx", "nearest GenJetAK8 within 0.8, or -1"),
        ),
    ),
    Collection("FatJetPFCands", "constituents of FatJet", True, _links("FatJet", "PFCands")),
    Collection(
        "Jet",
        "anti-kT R = 0.4 jets of candidates without fromPV = 0 (CHS), uncorrected, by falling pT",
        True,
        (
            *_momentum("jet"),
            *(_float(name, "", f"energy fraction of {what}") for name, what in _FRACTIONS),
            _int("nConstituents", "number of constituents"),
            _int("genJetIdx", "nearest GenJet within 0.4, or -1"),
        ),
    ),
    Collection("JetPFCands", "constituents of Jet", True, _links("Jet", "PFCands")),
    Collection(
        "MET",
        "missing transverse momentum of all candidates",
        False,
        (
            _float("pt", "GeV", "magnitude"),
            _float("phi", "rad", "azimuth", "direction"),
            _float("sumEt", "GeV", "sum of pT of the candidates"),
        ),
    ),
    Collection(
        "ChsMET",
        "missing transverse momentum of candidates without fromPV = 0",
        False,
        (
            _float("pt", "GeV", "magnitude"),
            _float("phi", "rad", "azimuth", "direction"),
            _float("sumEt", "GeV", "sum of pT of the candidates"),
        ),
    ),
    Collection(
        "GenPart",
        "pruned history of the hard collision; mothers stand before daughters",
        True,
        (
            *_momentum("particle"),
            _int("pdgId", "PDG code"),
            _int("status", "status code of Pythia 8, without sign; 1: final"),
            _int("statusFlags", _STATUS_FLAGS, "uint16"),
            _int("genPartIdxMother", "nearest kept ancestor, or -1"),
        ),
    ),
    Collection(
        "GenCands",
        "particles with c tau > 10 mm but neutrinos",
        True,
        (
            *_momentum("particle"),
            _int("charge", "electric charge"),
            _int("pdgId", "PDG code"),
        ),
    ),
    Collection(
        "GenJetAK8",
        "anti-kT R = 0.8 jets of GenCands, by falling pT",
        True,
        (*_momentum("jet"), _int("hadronFlavour", _FLAVOUR, "uint8")),
    ),
    Collection(
        "GenFatJetCands", "constituents of GenJetAK8", True, _links("GenJetAK8", "GenCands")
    ),
    Collection(
        "GenJet",
        "anti-kT R = 0.4 jets of GenCands, by falling pT",
        True,
        (*_momentum("jet"), _int("hadronFlavour", _FLAVOUR, "uint8")),
    ),
    Collection(
        "GenMET",
        "missing transverse momentum of neutrinos",
        False,
        (_float("pt", "GeV", "magnitude"), _float("phi", "rad", "azimuth", "direction")),
    ),
)

RUNS: tuple[Branch, ...] = (
    _int("run", "run number, 1 in simulation", "uint32"),
    _int("genEventCount", "number of generated events", "int64"),
    Branch("genEventSumw", "float64", "", "sum of genWeight"),
    Branch("genEventSumw2", "float64", "", "sum of genWeight squared"),
    Branch("genCrossSection", "float64", "pb", "cross section of the generator"),
    Branch("genCrossSectionError", "float64", "pb", "its Monte Carlo error"),
)
