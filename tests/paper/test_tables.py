"""LaTeX tables and macros."""

from fullchain.metrics import Metric
from fullchain.paper.tables import metrics_table, number_macros


def metric(name="pfn.auc", value=0.98, uncertainty=0.001, **more):
    return Metric(name, value, uncertainty, "bootstrap", more.pop("label", name), **more)


def rows(table):
    return [line.strip() for line in table.splitlines() if line.endswith(r"\\")]


def test_each_metric_is_a_row_with_its_uncertainty():
    table = metrics_table([metric(label="AUC"), metric("b", 55.13, 0.41, label="n", unit="GeV")])
    assert rows(table)[1:] == [
        r"AUC & $0.9800 \pm 0.0010$ & -- \\",
        r"n [GeV] & $55.1 \pm 0.4$ & -- \\",
    ]


def test_published_values_stand_beside_with_their_source():
    with_error = metric(published=888.0, published_uncertainty=17.0, source="PRD 1 & 2")
    without = metric("b", published=0.9819, source="PRD")
    table = metrics_table([with_error, without])
    assert r"& $888 \pm 17$\textsuperscript{a} \\" in table
    assert r"& $0.9819$\textsuperscript{b} \\" in table
    assert r"\textsuperscript{a} PRD 1 \& 2}" in table
    assert r"\textsuperscript{b} PRD}" in table


def test_a_published_value_keeps_the_digits_of_its_publication():
    quoted = metric(published=247.0, published_uncertainty=3.0, source="PRD")
    computed = metric("b", published=0.0421387, published_uncertainty=0.0012345, source="ours")
    table = metrics_table([quoted, computed])
    assert r"& $247 \pm 3$\textsuperscript{a}" in table
    assert r"& $0.0421 \pm 0.0012$\textsuperscript{b}" in table
    assert "Quantity & Value & Reference" in table


def test_an_upper_limit_has_no_uncertainty():
    table = metrics_table([metric("xs", 0.05312, 0.01, label="xs", limit="upper")])
    assert r"xs & $< 0.053$ & -- \\" in table


def test_notes_are_marked_and_a_shared_note_stands_once():
    table = metrics_table(
        [metric("a", note="50 % of it"), metric("b", note="other"), metric("c", note="50 % of it")]
    )
    assert table.count(r"\textsuperscript{a}") == 3
    assert table.count(r"50 \% of it") == 1
    assert table.count(r"\textsuperscript{b}") == 2


def test_large_numbers_have_a_power_of_ten():
    assert r"$(1.235 \pm 0.005) \times 10^{6}$" in metrics_table([metric("n", 1234567, 4600)])


def test_every_number_has_a_macro():
    text = number_macros([metric("tagging.pfn.auc"), metric("fit.m", 173.2, 0.6, unit="GeV")])
    assert r"fullchain@tagging.pfn.auc\endcsname{\ensuremath{0.9800 \pm 0.0010}}" in text
    assert r"fullchain@fit.m\endcsname{\ensuremath{173.2 \pm 0.6}\,GeV}" in text


def test_long_tables_break_over_pages():
    short = metrics_table([metric(f"n{index}") for index in range(40)])
    long = metrics_table([metric(f"n{index}") for index in range(41)])
    assert r"\begin{tabular}{p{0.52\linewidth}rr}" in short and r"\end{tabular}" in short
    assert r"\begin{longtable}{p{0.52\linewidth}rr}" in long and r"\end{longtable}" in long
    assert r"\endhead" in long and "longtable}" in long.splitlines()[0]


def test_tables_have_three_columns_and_balanced_braces():
    table = metrics_table([metric("a_b", label="{odd} & _label_", note="{")])
    bare = table.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    for row in rows(table)[:2]:
        assert row.replace(r"\&", "").count("&") == 2
