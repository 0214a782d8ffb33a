"""Formulas: read from text, evaluated on arrays, counted and printed.

A formula is the text that pyoperon prints: +, -, *, /, ^, some functions, numbers and the variables
X1, X2, ... It is evaluated here, from the rounded text that a reader sees, so that what is quoted
of a formula is true of it as printed.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
}
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: r"\,"}
_PRECEDENCE: dict[type[ast.operator], int] = {
    ast.Add: 1,
    ast.Sub: 1,
    ast.Mult: 2,
    ast.Div: 2,
    ast.Pow: 4,
}


class Formula:
    """One formula.

    Parameters
    ----------
    text
        As pyoperon prints it; ^ and ** are powers.
    names
        What X1, X2, ... stand for, in order.
    digits
        Significant digits that are kept of numbers.

    Raises
    ------
    ValueError
        The text has something else than arithmetic, known functions and these variables.

    Examples
    --------
    >>> formula = Formula("((0.51 * X1) + tanh(((-1.0) * X2) ^ 2))", ["n", "w"])
    >>> formula.text
    '0.51 n + tanh((-w)^2)'
    >>> float(formula(np.array([[2.0, 0.0]]))[0]), formula.length
    (1.02, 6)
    """

    def __init__(self, text: str, names: Sequence[str], digits: int = 3) -> None:
        self.names = list(names)
        self.digits = digits
        try:
            tree = ast.parse(text.replace("^", "**"), mode="eval").body
        except SyntaxError as problem:
            raise ValueError(f"{text!r} is no formula: {problem}") from None
        self.tree = self._tree(self._sum(tree))

    def __call__(self, values: Array) -> Array:
        """Evaluate on (jets, variables); NaN or infinite where the formula has no value."""
        with np.errstate(all="ignore"):
            found = self._value(self.tree, np.asarray(values, dtype=float))
        return np.broadcast_to(np.asarray(found, dtype=float), (len(values),)).copy()

    @property
    def length(self) -> int:
        """Numbers, variables and operations of the formula as printed."""
        kept = (ast.Constant, ast.Name, ast.BinOp, ast.Call)
        names = sum(isinstance(node, ast.Call) for node in ast.walk(self.tree))
        return sum(isinstance(node, kept) for node in ast.walk(self.tree)) - names

    @property
    def variables(self) -> list[str]:
        """Names of the variables that occur, in the order of the variables."""
        used = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return [name for number, name in enumerate(self.names, 1) if f"X{number}" in used]

    @property
    def text(self) -> str:
        """The formula for a reader of plain text."""
        return self._printed(self.tree, self.names, False)

    def latex(self, symbols: Sequence[str]) -> str:
        """Give the formula in LaTeX, `symbols` standing for the variables."""
        return self._printed(self.tree, symbols, True)

    def _sum(self, node: ast.AST) -> "_Sum":
        """Read an expression as a sum of multiples of what is no sum."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return _Sum(float(node.value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self._sum(node.operand).times(-1.0)
        if isinstance(node, ast.Name) and node.id in self._indices():
            return _Sum.of(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            if node.func.id == "square":
                return self._power(self._sum(node.args[0]), _Sum(2.0))
            if node.func.id in _FUNCTIONS:
                total = self._sum(node.args[0])
                odd = -1.0 if node.func.id == "tanh" and total.begins_negative else 1.0
                inside = self._tree(total.times(odd))
                return _folded(ast.Call(node.func, [inside], [])).times(odd)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            left, right = self._sum(node.left), self._sum(node.right)
            if isinstance(node.op, ast.Add):
                return left.plus(right)
            if isinstance(node.op, ast.Sub):
                return left.plus(right.times(-1.0))
            if isinstance(node.op, ast.Pow):
                return self._power(left, right)
            return self._product(left, right, node.op)
        raise ValueError(f"a formula cannot have {ast.unparse(node)!r}")

    def _product(self, left: "_Sum", right: "_Sum", operation: ast.operator) -> "_Sum":
        """Product or quotient: numbers go to the front."""
        quotient = isinstance(operation, ast.Div)
        if right.is_number and not (quotient and right.number == 0):
            return left.times(1 / right.number if quotient else right.number)
        if left.is_number and not quotient:
            return right.times(left.number)
        first, left = left.split()
        second, right = right.split()
        factor = first / second if quotient else first * second
        made = _folded(ast.BinOp(self._tree(left), operation, self._tree(right)))
        return made.times(factor)

    def _power(self, base: "_Sum", exponent: "_Sum") -> "_Sum":
        factor = 1.0
        if exponent.is_number and exponent.number == 2.0:
            factor, base = base.split()
            base = base.times(-1.0 if base.begins_negative else 1.0)
        made = _folded(ast.BinOp(self._tree(base), ast.Pow(), self._tree(exponent)))
        return made.times(factor**2)

    def _tree(self, total: "_Sum") -> ast.expr:
        """Write a sum as an expression, with rounded numbers and without what is negligible.

        Not relative to the largest: what stands below a root keeps its one beside large numbers.
        """
        least = 10.0 ** -(self.digits + 1)
        parts: list[tuple[float, ast.expr | None]] = [(total.number, None)]
        parts += list(total.terms.values())
        result: ast.expr | None = None
        for factor, term in parts:
            rounded = float(f"{factor:.{self.digits}g}")
            if abs(factor) < least or rounded == 0:
                continue
            size = rounded if result is None else abs(rounded)
            number = ast.Constant(size)
            one = number if term is None else _multiple(number, term)
            if result is None:
                result = one
            else:
                result = ast.BinOp(result, ast.Add() if rounded > 0 else ast.Sub(), one)
        return ast.Constant(0.0) if result is None else result

    def _indices(self) -> dict[str, int]:
        return {f"X{number + 1}": number for number in range(len(self.names))}

    def _value(self, node: ast.expr, values: Array) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return values[:, self._indices()[node.id]]
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return _FUNCTIONS[node.func.id](self._value(node.args[0], values))
        assert isinstance(node, ast.BinOp)
        operation = _OPERATIONS[type(node.op)]
        return operation(self._value(node.left, values), self._value(node.right, values))

    def _printed(self, node: ast.expr, names: Sequence[str], tex: bool) -> str:
        if isinstance(node, ast.Constant):
            return _number(float(str(node.value)), self.digits, tex)
        if isinstance(node, ast.Name):
            return names[self._indices()[node.id]]
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            inside = self._printed(node.args[0], names, tex)
            if not tex:
                return f"{node.func.id}({inside})"
            if node.func.id == "sqrt":
                return rf"\sqrt{{{inside}}}"
            return rf"\{node.func.id}\left({inside}\right)"
        assert isinstance(node, ast.BinOp)
        left = self._printed(node.left, names, tex)
        right = self._printed(node.right, names, tex)
        if tex and isinstance(node.op, ast.Div):
            return rf"\frac{{{left}}}{{{right}}}"
        if isinstance(node.op, ast.Pow):
            return f"{self._bracketed(node.left, left, 5, tex)}^{right}"
        if isinstance(node.op, ast.Mult) and _is_minus_one(node.left):
            return f"-{self._bracketed(node.right, right, 2, tex)}"
        own = _PRECEDENCE[type(node.op)]
        left = self._bracketed(node.left, left, own, tex)
        # What follows a minus or a quotient belongs together, and a sign there needs brackets.
        after = own + (not isinstance(node.op, ast.Add | ast.Mult))
        right = self._bracketed(node.right, right, after, tex)
        if right.startswith("-"):
            right = rf"\left({right}\right)" if tex else f"({right})"
        if isinstance(node.op, ast.Mult):
            return rf"{left}\,{right}" if tex else f"{left} {right}"
        sign = "/" if isinstance(node.op, ast.Div) else _SIGNS[type(node.op)]
        return f"{left} {sign} {right}"

    def _bracketed(self, node: ast.expr, printed: str, above: int, tex: bool) -> str:
        binds = 9
        if isinstance(node, ast.BinOp):
            binds = _PRECEDENCE[type(node.op)]
        elif printed.startswith("-"):
            binds = 2
        if binds >= above:
            return printed
        return rf"\left({printed}\right)" if tex else f"({printed})"


@dataclass(frozen=True)
class _Sum:
    """A number and multiples of terms that are no sums, by how they are written."""

    number: float = 0.0
    terms: dict[str, tuple[float, ast.expr]] = field(default_factory=dict)

    @staticmethod
    def of(term: ast.expr) -> "_Sum":
        return _Sum(0.0, {ast.dump(term): (1.0, term)})

    @property
    def is_number(self) -> bool:
        return not self.terms

    @property
    def begins_negative(self) -> bool:
        """Whether the number, or without one the first factor, is negative."""
        factors = [self.number, *(factor for factor, _ in self.terms.values())]
        return next((factor for factor in factors if factor), 0.0) < 0

    def plus(self, other: "_Sum") -> "_Sum":
        joined = dict(self.terms)
        for key, (factor, term) in other.terms.items():
            joined[key] = (factor + joined.get(key, (0.0, term))[0], term)
        return _Sum(self.number + other.number, joined)

    def times(self, factor: float) -> "_Sum":
        terms = {key: (factor * own, term) for key, (own, term) in self.terms.items()}
        return _Sum(factor * self.number, terms)

    def split(self) -> tuple[float, "_Sum"]:
        """Give the factor of a sum of one term, and that term."""
        if self.is_number and self.number:
            return self.number, _Sum(1.0)
        if self.number or len(self.terms) != 1:
            return 1.0, self
        ((factor, term),) = self.terms.values()
        return (factor, _Sum.of(term)) if factor else (1.0, self)


def _multiple(factor: ast.Constant, term: ast.expr) -> ast.expr:
    """Write a number times a term; one over something takes it as numerator."""
    if factor.value == 1.0:
        return term
    inverse = isinstance(term, ast.BinOp) and isinstance(term.op, ast.Div)
    if inverse and isinstance(term.left, ast.Constant) and term.left.value == 1.0:  # type: ignore[attr-defined]
        return ast.BinOp(factor, ast.Div(), term.right)  # type: ignore[attr-defined]
    return ast.BinOp(factor, ast.Mult(), term)


def _folded(node: ast.expr) -> _Sum:
    """Give a term, or the number that a term of numbers is."""
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        inside = node.args[0]
        if not isinstance(inside, ast.Constant):
            return _Sum.of(node)
        with np.errstate(all="ignore"):
            return _Sum(float(_FUNCTIONS[node.func.id](_as_number(inside))))
    assert isinstance(node, ast.BinOp)
    if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
        with np.errstate(all="ignore"):
            operation = _OPERATIONS[type(node.op)]
            return _Sum(float(operation(_as_number(node.left), _as_number(node.right))))
    return _Sum.of(node)


def _as_number(node: ast.Constant) -> np.float64:
    return np.float64(str(node.value))


def _is_minus_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == -1.0


def _number(value: float, digits: int, tex: bool) -> str:
    printed = f"{value:.{digits}g}"
    if tex and "e" in printed:
        mantissa, exponent = printed.split("e")
        return rf"{mantissa} \times 10^{{{int(exponent)}}}"
    return printed
