"""Formulas: read, rounded, simplified, evaluated, printed; and their search."""

from pathlib import Path

import numpy as np
import pytest

from fullchain.learning import roc, split
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import validate
from fullchain.tagging.explained import Explained
from fullchain.tagging.explained_jets import ExplainedJets
from fullchain.tagging.explanation_settings import ExplanationSettings, FormulaSettings
from fullchain.tagging.formula import Formula
from fullchain.tagging.formula_choice import formula_of
from fullchain.tagging.symbolic_regression import search

NAMES = ["n", "w", "t"]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            "((-0.0518) + (0.995 * (((-0.789) * X3) - ((-3.03) * X1))))",
            "-0.0518 + 3.01 n - 0.785 t",
        ),
        ("(X1 - (X2 * (X3 - (2.0 * X1))))", "n - w (t - 2 n)"),
        ("tanh(((-1.0) * X2)) + tanh(X2)", "0"),
        ("((0.0000012 + X1) / (sqrt(1 + ((-3.0) * X2) ^ 2)))", "n / sqrt(1 + 9 w^2)"),
        ("(2.0 / (X1 + 1.5))", "2 / (1.5 + n)"),
        ("square((0.5 * X1))", "0.25 n^2"),
    ],
)
def test_what_is_printed_is_simplified_and_means_the_same(text: str, printed: str) -> None:
    formula = Formula(text, NAMES)
    terms = {part.strip("-+ ") for part in printed.split(" ")}
    assert {part.strip("-+ ") for part in formula.text.split(" ")} == terms
    x = np.random.default_rng(1).normal(size=(50, 3))
    values = {"X1": x[:, 0], "X2": x[:, 1], "X3": x[:, 2]}
    functions = {"tanh": np.tanh, "sqrt": np.sqrt, "square": np.square}
    wanted = eval(text.replace("^", "**"), {**functions, **values})
    np.testing.assert_allclose(formula(x), wanted, rtol=0.02, atol=0.02)


def test_the_printed_numbers_are_those_that_are_used() -> None:
    formula = Formula("(1.23456 * X1)", NAMES, digits=2)
    assert formula.text == "1.2 n"
    assert formula(np.array([[1.0, 0, 0]])).tolist() == [1.2]


def test_latex_and_length() -> None:
    formula = Formula("((0.5 * X1) / (sqrt(1 + X2 ^ 2)))", NAMES)
    assert formula.latex(["n", "w", r"\tau"]) == r"0.5\,\frac{n}{\sqrt{1 + w^2}}"
    # 0.5, n, w, 1, 2, and a product, a quotient, a root, a sum, a power
    assert formula.length == 10
    assert formula.variables == ["n", "w"]


@pytest.mark.parametrize("text", ["X4", "X1 +", "__import__('os')", "sin(X1)", "X1 if X2 else 1"])
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        Formula(text, NAMES)


def test_a_search_finds_a_planted_formula_and_twice_the_same() -> None:
    generator = np.random.default_rng(4)
    x = generator.normal(size=(600, 3))
    logit = 1.5 * x[:, 0] - x[:, 1] * x[:, 2]
    how = FormulaSettings(population=100, generations=15, max_length=15)
    texts = search(x, logit, how, seed=3)
    assert texts == search(x, logit, how, seed=3)
    is_signal = generator.random(600) < 1 / (1 + np.exp(-logit))

    def area(score: np.ndarray) -> float:
        return roc.area(roc.roc_curve(score, is_signal))

    best = max(area(Formula(text, ["a", "b", "c"])(x)) for text in texts)
    assert best > area(logit) - 0.005
    assert area(x[:, 0]) < area(logit) - 0.03


def quarks_and_gluons(number: int) -> dict[str, Explained]:
    """Jets with three observables, and a network whose log-odds are those they are drawn from."""
    random = np.random.default_rng(8)
    hidden = random.normal(0, 1, number)
    particles = 45 + 20 * hidden
    width = np.exp(0.5 * hidden + 0.4 * random.normal(0, 1, number)) * 0.06
    rest = random.normal(0, 1, number)
    logit = -2.0 * np.tanh(0.9 * hidden) - 8.0 * (width - 0.06) + 0.4 * rest**2 - 0.3
    quark = random.uniform(size=number) < 1 / (1 + np.exp(-logit))
    jets = ExplainedJets(
        arrays={},
        observables={"n_pf": particles, "width": width, "rest": rest},
        filled={},
        target=np.where(quark, 0, 1),
        weight=np.where(quark, 0.5 / quark.mean(), 0.5 / (~quark).mean()),
        event=np.arange(number),
        part=random.choice([split.TRAIN, split.VALIDATION, split.TEST], number, p=[0.5, 0.2, 0.3]),
    )
    # The classes have equal weight, as the log-odds of a tagger are meant.
    everything = Explained(jets, logit - np.log(quark.mean() / (~quark).mean()), None)
    parts = {name: everything.part(name) for name in (split.TRAIN, split.VALIDATION, split.TEST)}
    return parts | {"fitted": everything.part(split.TRAIN, split.VALIDATION)}


def test_a_formula_is_as_good_as_a_network_on_overlapping_classes() -> None:
    how = ExplanationSettings(
        replicas=40, formula=FormulaSettings(population=150, generations=25, jets=800)
    )
    found = formula_of(["n_pf", "width", "rest"], quarks_and_gluons(8000), how, 3, None)
    assert 0.75 < found["network"]["auc"]["value"] < 0.9
    assert found["network"]["calibration"]["error"]["value"] < 0.03
    assert abs(found["difference"]["value"]) < 0.01
    assert 0 < found["difference"]["deviation"] < 0.005
    assert found["scaled"]["calibration"]["error"]["value"] < 0.05
    assert set(found["variables"]) <= {"n_pf", "width", "rest"} and len(found["variables"]) > 1


def test_the_run_on_quarks_and_gluons_is_possible(project: Path) -> None:
    files = [project / "config" / name for name in ("config.yaml", "quark_gluon.yaml")]
    tagging = validate(merge(*(read_yaml(file) for file in files))).tagging
    assert tagging is not None
    kinds = {name: one.architecture.kind for name, one in tagging.taggers.items()}
    assert kinds == {"quark_mlp": "mlp", "quark_pfn": "pfn"}
    assert tagging.explained == ("quark_mlp", "quark_pfn")
    for one in tagging.taggers.values():
        assert one.class_names == ("quark", "gluon") and one.samples == ("qcd",)
        assert tagging.measured_samples(one) == ["qcd", "qcd_a14"]
