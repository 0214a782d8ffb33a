"""The analyses of the default run.

Regions, bins and cuts were chosen by the expected uncertainty alone, on the samples of the default
run and on replicas of them (docs/stages/inference_templates.md).
"""

from fullchain.inference.analysis_settings import Analysis, Data, Sample
from fullchain.inference.hypothesis_settings import Hypothesis
from fullchain.inference.selection_settings import Region, Selection, WorkingPoint
from fullchain.inference.systematic_settings import Systematic, default_systematics

EFFICIENCY = 0.15
"""Fraction of QCD jets that are tagged: as low as the simulated QCD events with two tags allow."""

Edges = tuple[float, ...]

TAGGED_MASS: Edges = (0.0, 140.0, 160.0, 180.0, 200.0, 260.0)
SINGLE_MASS: Edges = (0.0, 60.0, 105.0, 140.0, 160.0, 180.0, 200.0, 260.0)
FAILED_MASS: Edges = (0.0, 20.0, 40.0, 60.0, 80.0, 105.0, 145.0, 220.0)
DIJET_MASSES: Edges = (1000.0, 1150.0, 1250.0, 1350.0, 1500.0, 1700.0, 2500.0)

UNIT_CROSS_SECTION = 1.0
"""Of a hypothesis [pb]: a signal strength is then a cross section in pb."""


def _mass(edges: Edges, tags: int) -> Region:
    """Soft-drop mass in events with this number of tags: that of the tagged jet, if one is."""
    return Region(
        jets="dijet",
        tagged=(tags,),
        observed_jet="highest_score" if tags else "leading",
        edges=edges,
    )


def _dijet(tags: int) -> Region:
    return Region(
        jets="dijet",
        tagged=(tags,),
        delta_eta_max=1.8,
        observable="dijet_mass",
        edges=DIJET_MASSES,
    )


def _selection(**regions: Region) -> Selection:
    return Selection(working_point=WorkingPoint(efficiency=EFFICIENCY), regions=regions)


def default_analyses() -> dict[str, Analysis]:
    """The strength of boosted top pairs, and limits on Z' bosons that decay to them."""
    backgrounds = {"qcd": Sample(ntuples=["qcd"]), "wjet": Sample(ntuples=["wjet"])}
    top = Systematic(kind="normsys", value=0.1, samples=["tt"])
    masses = {1300: "zprime", 1500: "zprime_1500", 1700: "zprime_1700"}
    return {
        "ttbar": Analysis(
            selection=_selection(
                **{"pass": _mass(TAGGED_MASS, 2)},
                single=_mass(SINGLE_MASS, 1),
                fail=_mass(FAILED_MASS, 0),
            ),
            samples={"tt": Sample(ntuples=["tt"], role="signal"), **backgrounds},
        ),
        "zprime": Analysis(
            selection=_selection(two_tags=_dijet(2), one_tag=_dijet(1)),
            samples={
                "zprime": Sample(
                    ntuples=["zprime"], role="signal", cross_section_pb=UNIT_CROSS_SECTION
                ),
                "tt": Sample(ntuples=["tt"]),
                **backgrounds,
            },
            hypotheses={
                f"zprime_{mass}": Hypothesis(
                    ntuples=[sample], mass=mass, cross_section_pb=UNIT_CROSS_SECTION
                )
                for mass, sample in masses.items()
            },
            systematics={**default_systematics(), "tt_normalisation": top},
            data=Data(mu=0.0),
        ),
    }
