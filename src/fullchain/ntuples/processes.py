"""Pythia 8 configuration: hard processes, tunes, showers, and weights of the shower.

Every function gives lines for `Pythia::readString`.
"""

from fullchain.ntuples.generation_settings import BeamSettings, GeneratedSample, PoolSettings, Tune

HADRONIC_W = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
HADRONIC_Z = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")

HARD_PROCESS = {
    "qcd": ("HardQCD:all = on",),
    "tt": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on", *HADRONIC_W),
    "wjet": ("WeakBosonAndParton:qqbar2Wg = on", "WeakBosonAndParton:qg2Wq = on", *HADRONIC_W),
    # Without the photon, which is no resonance that a jet could be labelled with.
    "zjet": (
        "WeakBosonAndParton:qqbar2gmZg = on",
        "WeakBosonAndParton:qg2gmZq = on",
        "WeakZ0:gmZmode = 2",
        *HADRONIC_Z,
    ),
    # PhaseSpace:mHatMin does not cut the mass of the muon pair where there is a jet; 23:mMin does.
    "zmumu": (
        "WeakBosonAndParton:qqbar2gmZg = on",
        "WeakBosonAndParton:qg2gmZq = on",
        "23:onMode = off",
        "23:onIfAny = 13",
        "23:mMin = 60",
        "23:mMax = 120",
    ),
    "zprime": (
        "NewGaugeBoson:ffbar2gmZZprime = on",
        "Zprime:gmZmode = 3",
        "32:onMode = off",
        "32:onIfAny = 6",
        *HADRONIC_W,
    ),
    # The Higgs boson of the standard model with another mass, made by gluons. Its own decays are
    # off; those to light quarks, to each as often, are added by hand (mode 101: ratios as they are
    # given, not as the couplings have them).
    "scalar": (
        "HiggsSM:gg2H = on",
        "25:onMode = off",
        "25:addChannel = 1 0.3333 101 1 -1",
        "25:addChannel = 1 0.3333 101 2 -2",
        "25:addChannel = 1 0.3334 101 3 -3",
    ),
    "minbias": ("SoftQCD:inelastic = on",),
}

TUNE: dict[Tune, tuple[str, ...]] = {
    # Skands, Carrazza, Rojo, arXiv:1404.5630.
    "monash": ("Tune:pp = 14", "Tune:ee = 7"),
    # ATLAS, ATL-PHYS-PUB-2014-021, with NNPDF2.3 LO.
    "a14": ("Tune:pp = 21", "Tune:ee = 7"),
    # CMS, arXiv:1903.12179, with the total cross sections that CMS uses at 13.6 TeV: all as in
    # Configuration/Generator/python/MCTunesRun3ECM13p6TeV/PythiaCP5Settings_cfi.py of CMSSW, but
    # pSet 20 (NNPDF3.1 NNLO with LUXQED), the member that is closest to the tune's
    # NNPDF31_nnlo_as_0118 among those that Pythia brings along.
    "cp5": (
        "Tune:pp = 14",
        "Tune:ee = 7",
        "PDF:pSet = 20",
        "MultipartonInteractions:ecmPow = 0.03344",
        "MultipartonInteractions:bProfile = 2",
        "MultipartonInteractions:pT0Ref = 1.41",
        "MultipartonInteractions:coreRadius = 0.7634",
        "MultipartonInteractions:coreFraction = 0.63",
        "MultipartonInteractions:alphaSvalue = 0.118",
        "MultipartonInteractions:alphaSorder = 2",
        "ColourReconnection:range = 5.176",
        "SpaceShower:alphaSorder = 2",
        "SpaceShower:alphaSvalue = 0.118",
        "TimeShower:alphaSorder = 2",
        "TimeShower:alphaSvalue = 0.118",
        "SigmaProcess:alphaSvalue = 0.118",
        "SigmaProcess:alphaSorder = 2",
        "SigmaTotal:zeroAXB = off",
        "SigmaTotal:mode = 0",
        "SigmaTotal:sigmaEl = 22.08",
        "SigmaTotal:sigmaTot = 101.037",
    ),
}

# The four variations in the order of NanoAOD's PSWeight (isrDefHi, fsrDefHi, isrDefLo, fsrDefLo):
# "up" is more radiation, that is the renormalisation scale divided by the factor. The scale of the
# initial-state shower moves by 2, that of the final-state shower by sqrt(2): with 2 the weights of
# final-state radiation leave 5 to 35 % of the statistics, with sqrt(2) 85 to 91 %.
SHOWER_VARIATIONS = (
    ("isr_up", "isr:murfac=0.5"),
    ("fsr_up", "fsr:murfac=0.7071067811865476"),
    ("isr_down", "isr:murfac=2.0"),
    ("fsr_down", "fsr:murfac=1.4142135623730951"),
)

SHOWER_WEIGHTS = (
    "UncertaintyBands:doVariations = on",
    # Emissions below sqrt(20) times the cut-off of the shower are not reweighted (default 4):
    # they carry most of the spread of the weights and hardly any of the physics.
    "UncertaintyBands:FSRpTmin2Fac = 20",
    # Trial emissions per emission (defaults 3 and 2). Fewer leave the same effective statistics
    # for scales this near to the nominal one (FSR up in QCD jets 83.5 against 83.8 %, ISR up 90
    # against 91 %, errors about 1 %) and take a third off the time of QCD events.
    "UncertaintyBands:overSampleFSR = 2",
    "UncertaintyBands:overSampleISR = 1.5",
    "UncertaintyBands:List = {"
    + ", ".join(f"{label} {variation}" for label, variation in SHOWER_VARIATIONS)
    + "}",
)


def common(beams: BeamSettings, tune: Tune) -> list[str]:
    """Beams, tune, and silence."""
    return [
        f"Beams:eCM = {beams.energy!r}",
        *TUNE[tune],
        "Print:quiet = on",
        "Random:setSeed = on",
        "Random:seed = 1",  # of the initialisation; every block of events is seeded again
    ]


def sample_lines(sample: GeneratedSample, beams: BeamSettings) -> list[str]:
    """Configure a generated sample.

    Multiparton interactions, showers, hadronisation and all decays are on. Particles with long
    lives (K0S, Lambda, ...) decay too, at their place: the detector needs their tracks;
    `fullchain.ntuples.truth` gives the stable particles of the experiments' definition.
    """
    lines = [*common(beams, sample.tune), *HARD_PROCESS[sample.process]]
    if sample.pthat_min is not None:
        lines.append(f"PhaseSpace:pTHatMin = {sample.pthat_min!r}")
    if sample.pthat_max is not None:
        lines.append(f"PhaseSpace:pTHatMax = {sample.pthat_max!r}")
    if sample.top_mass is not None:
        lines.append(f"6:m0 = {sample.top_mass!r}")
    if sample.process == "zprime":
        lines += [
            f"32:m0 = {sample.zprime_mass!r}",
            "32:doForceWidth = on",
            f"32:mWidth = {sample.zprime_width!r}",
        ]
    if sample.process == "scalar":
        lines += [
            f"25:m0 = {sample.scalar_mass!r}",
            "25:doForceWidth = on",
            f"25:mWidth = {sample.scalar_width!r}",
        ]
    if sample.shower == "vincia":
        lines.append("PartonShowers:model = 2")
    if sample.shower_weights:
        lines += SHOWER_WEIGHTS
    return lines


def pool_lines(pool: PoolSettings, beams: BeamSettings) -> list[str]:
    """Configure the minimum-bias pool: inelastic collisions, with the diffractive ones."""
    return [*common(beams, pool.tune), *HARD_PROCESS["minbias"]]


def process_level_lines(lines: list[str]) -> list[str]:
    """Configure the same process without anything after the hard scattering, for its integral."""
    unneeded = ("UncertaintyBands:", "PartonShowers:")
    kept = [line for line in lines if not line.startswith(unneeded)]
    return [*kept, "PartonLevel:all = off", "HadronLevel:all = off"]


def reuse_lines(initialisation: str, write: bool) -> list[str]:
    """Take the initialisation of multiparton interactions from a file, or write it there."""
    return [
        f"MultipartonInteractions:reuseInit = {1 if write else 2}",
        f"MultipartonInteractions:initFile = {initialisation}",
    ]
