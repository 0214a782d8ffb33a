"""Formulas: read, rounded, simplified, evaluated, printed; and their search."""

import numpy as np
import pytest

from fullchain.learning import roc
from fullchain.tagging.explanation_settings import FormulaSettings
from fullchain.tagging.formula import Formula
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
