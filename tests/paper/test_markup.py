"""Text with simple maths: HTML and LaTeX."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.paper.markup import escape_latex, to_html, to_latex, to_plain


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"$1/\epsilon_B$ at 30 %", "1/εB at 30 %"),
        (r"$t\bar{t}$", "tt̄"),
        (r"$\sqrt{s} = 13.6$ TeV", "√(s) = 13.6 TeV"),
        (r"$\frac{a}{b}$", "a/b"),
        (r"costs \$5", "costs $5"),
        ("costs $5", "costs $5"),
        ("a < b & c", "a < b & c"),
        (r"$-\mu$", "−μ"),
    ],
)
def test_plain_text(text, plain):
    assert to_plain(text) == plain


def test_sub_and_superscripts_are_marked():
    assert to_html(r"$p_\mathrm{T}^2$") == (
        '<span class="maths"><i>p</i><sub>T</sub><sup>2</sup></span>'
    )


def test_an_accent_stays_with_its_letter():
    assert "<i>t\u0304</i>" in to_html(r"$t\bar{t}$")


class _Balance(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


PIECES = (*"ab$\\{}_^<>&\"' /", r"\bar", r"\mathrm", r"\mu", "<script>")


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_gives_whole_and_harmless_html(text):
    reader = _Balance()
    reader.feed(to_html(text))
    reader.close()
    assert reader.open == []
    assert reader.seen <= {"span", "i", "sub", "sup"}


def test_latex_special_characters_are_escaped():
    assert escape_latex(r"50 % & more_of #1 {x} ~ ^ \ $") == (
        r"50 \% \& more\_of \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$"
    )
    assert escape_latex("ε ≤ 5 ± 1 → μ") == (
        r"\ensuremath{\epsilon} \ensuremath{\leq} 5 \ensuremath{\pm} 1"
        r" \ensuremath{\to} \ensuremath{\mu}"
    )


def test_maths_reaches_latex_as_it_is():
    assert to_latex(r"$1/\epsilon_B$ at 30 %") == r"$1/\epsilon_B$ at 30 \%"
    assert to_latex(r"$50 %$ of \$5") == r"$50 \%$ of \$5"


@given(st.text(alphabet=st.sampled_from("ab&%$#_{}~^\\<> ")))
def test_nothing_special_is_left_in_latex_text(text):
    rest = re.sub(r"\\[&%$#_{}]", "", escape_latex(text))
    rest = re.sub(r"\\text[a-z]+\{\}", "", rest)
    assert not set(rest) & set("&%$#_{}~^\\")
