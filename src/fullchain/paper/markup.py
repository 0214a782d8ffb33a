r"""Text with simple maths between dollar signs, turned into HTML and into LaTeX.

Captions and labels are plain Unicode text in which ``$...$`` may hold Greek letters, sub- and
superscripts, accents and a few symbols, as matplotlib draws them. ``\$`` is a dollar sign. A
browser needs no library for that much, so the report stays one file.
"""

import html
import re

_SPLIT = re.compile(r"(?<!\\)\$")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)

_SYMBOLS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε",
    "zeta": "ζ", "eta": "η", "theta": "θ", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "ell": "ℓ",
    "to": "→", "rightarrow": "→", "times": "×", "cdot": "·", "pm": "±", "mp": "∓",
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "approx": "≈", "sim": "∼",
    "propto": "∝", "infty": "∞", "langle": "⟨", "rangle": "⟩", "sum": "∑", "int": "∫",
    "partial": "∂", "prime": "′", "ll": "≪", "gg": "≫", "in": "∈", "circ": "°", "dagger": "†",
    "sqrt": "√", "quad": "\u2003", "log": "log", "ln": "ln", "exp": "exp", "min": "min",
    "max": "max",
}  # fmt: skip
_SPACES = {"\\,": "\u2009", "\\;": "\u2005", "\\:": "\u2005", "\\ ": " ", "\\!": ""}
_ACCENTS = {"bar": "\u0304", "overline": "\u0305", "hat": "\u0302", "tilde": "\u0303"}
_ACCENTS |= {"vec": "\u20d7", "dot": "\u0307"}
_UPRIGHT = {"mathrm", "text", "textrm", "mathsf", "operatorname", "mathbf"}
_OPERATORS = {"-": "−", "*": "∗", "'": "′"}


def to_html(text: str) -> str:
    """Give escaped HTML; maths becomes ``<i>``, ``<sub>`` and ``<sup>``."""
    pieces = _SPLIT.split(text)
    if len(pieces) % 2 == 0:
        # An odd number of dollar signs: the last one is money, not maths.
        pieces[-2:] = ["$".join(pieces[-2:])]
    return "".join(
        f'<span class="maths">{_Maths(piece).html()}</span>'
        if index % 2
        else html.escape(piece.replace("\\$", "$"))
        for index, piece in enumerate(pieces)
    )


def to_plain(text: str) -> str:
    """Give text without maths markup, for places where HTML cannot stand."""
    return html.unescape(re.sub(r"<[^>]*>", "", to_html(text)))


class _Maths:
    """A reader of one formula, by recursive descent."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.upright = 0

    def html(self) -> str:
        parts = []
        while self.tokens:
            parts.append(self._one())
        return "".join(parts)

    def _one(self) -> str:
        token = self.tokens.pop(0)
        if token in "_^":
            tag = "sub" if token == "_" else "sup"
            return f"<{tag}>{self._argument()}</{tag}>"
        if token == "{":
            return self._group()
        if token == "}":
            return ""
        if token in _SPACES:
            return _SPACES[token]
        if token.startswith("\\"):
            return self._command(token[1:])
        if token.isalpha() and not self.upright:
            return f"<i>{html.escape(token)}</i>"
        return html.escape(_OPERATORS.get(token, token))

    def _command(self, name: str) -> str:
        if name in _ACCENTS:
            argument = self._argument()
            # The accent combines with the letter before it: inside the tag, not after it.
            end = argument.find("<", 1)
            end = len(argument) if end < 0 else end
            return argument[:end] + _ACCENTS[name] + argument[end:]
        if name in _UPRIGHT:
            self.upright += 1
            argument = self._argument()
            self.upright -= 1
            return argument
        if name == "sqrt":
            return f"√({self._argument()})"
        if name == "frac":
            return f"{self._argument()}/{self._argument()}"
        return html.escape(_SYMBOLS.get(name, name))

    def _argument(self) -> str:
        while self.tokens and self.tokens[0] == " ":
            self.tokens.pop(0)
        return self._one() if self.tokens else ""

    def _group(self) -> str:
        parts = []
        while self.tokens and self.tokens[0] != "}":
            parts.append(self._one())
        if self.tokens:
            self.tokens.pop(0)
        return "".join(parts)


_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
_LATEX_UNICODE = {symbol: rf"\ensuremath{{\{name}}}" for name, symbol in _SYMBOLS.items()
                  if len(symbol) == 1 and not symbol.isspace()}  # fmt: skip
_LATEX_UNICODE |= {
    "ε": r"\ensuremath{\epsilon}", "φ": r"\ensuremath{\phi}", "→": r"\ensuremath{\to}",
    "≤": r"\ensuremath{\leq}", "≥": r"\ensuremath{\geq}", "°": r"\ensuremath{^\circ}",
    "√": r"\ensuremath{\surd}", "µ": r"\ensuremath{\mu}", "′": r"\ensuremath{'}",
    "−": r"\ensuremath{-}", "–": "--", "—": "---", "…": r"\ldots{}", "\u00a0": "~",
    "\u2009": r"\,", "\u202f": r"\,", "²": r"\ensuremath{^2}", "³": r"\ensuremath{^3}",
    "⁻": r"\ensuremath{^-}", "¹": r"\ensuremath{^1}",
}  # fmt: skip


def to_latex(text: str) -> str:
    """Give LaTeX for text mode; what stands between dollar signs is kept as it is."""
    pieces = _SPLIT.split(text)
    if len(pieces) % 2 == 0:
        pieces[-2:] = ["$".join(pieces[-2:])]
    return "".join(
        f"${_latex_maths(piece)}$" if index % 2 else escape_latex(piece.replace("\\$", "$"))
        for index, piece in enumerate(pieces)
    )


def _latex_maths(formula: str) -> str:
    # A bare % would turn the rest of the line into a comment.
    formula = re.sub(r"(?<!\\)[%&#]", r"\\\g<0>", formula)
    return "".join(_LATEX_UNICODE.get(character, character) for character in formula)


def escape_latex(text: str) -> str:
    """Escape what LaTeX takes for a command, and name the symbols that its fonts lack."""
    symbols = _LATEX_SPECIAL | _LATEX_UNICODE
    return "".join(symbols.get(character, character) for character in text)
