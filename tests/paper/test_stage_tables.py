"""Tables of a stage, from its step to the report and to LaTeX."""

import pytest

from fullchain.errors import InputError
from fullchain.paper.tables import stage_table
from fullchain.stage_tables import Number, Table, read_tables, write_tables

TABLE = Table(
    "landscape",
    r"Taggers at $\epsilon_S$ = 50 %",
    "Ours <here> & published",
    ("Tagger", "AUC", r"$1/\epsilon_B$", "Source"),
    [
        ["pfn", Number(0.97642, 0.00113), Number(129.84, 0.0, limit="lower"), "ours"],
        ["LorentzNet", Number(0.9870, None, decimals=4), Number(2195.0, 173.0, decimals=0), None],
        ["none", None, Number(12.3), "50 %"],
    ],
    (0,),
)


def test_a_table_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "tables.json"
    write_tables(path, "tagging", [TABLE])
    stage, (found,) = read_tables(path)
    assert stage == "tagging"
    assert found.rows == TABLE.rows and list(found.marked) == [0]
    assert (found.title, list(found.columns)) == (TABLE.title, list(TABLE.columns))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Table("a b", "t", "c", ["x"], []), "table name"),
        (Table("a", "t", "c", ["x", "y"], [["one"]]), "1 cells for 2 columns"),
        (Table("a", "t", "c", ["x"], [[Number(float("nan"))]]), "not finite"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        write_tables(tmp_path / "tables.json", "tagging", [table])
    with pytest.raises(ValueError, match="stands twice"):
        write_tables(tmp_path / "tables.json", "tagging", [TABLE, TABLE])


def test_files_that_are_none_are_named(tmp_path):
    path = tmp_path / "tables.json"
    with pytest.raises(InputError, match="no such file of tables"):
        read_tables(path)
    for text in ("{", "{}", '{"stage": "a", "tables": [{"name": 1}]}'):
        path.write_text(text)
        with pytest.raises(InputError, match="not a file of tables"):
            read_tables(path)


def test_numbers_are_rounded_in_latex_and_quoted_ones_keep_their_digits():
    text = stage_table(TABLE)
    assert r"pfn & $0.9764 \pm 0.0011$ & $> 130$ & ours \\" in text
    assert r"LorentzNet & $0.9870$ & $2195 \pm 173$ & -- \\" in text
    assert r"none & -- & $12.3$ & 50 \% \\" in text
    assert r"here\textgreater{} \& published" in text


def test_the_report_shows_the_table_and_links_its_latex(run):
    path = run.folder / "tagging/tables.json"
    write_tables(path, "tagging", [TABLE])
    run.stage_tables = [path]
    run.collect()
    run.figures()
    page = run.report()
    assert '<h3 id="table-tagging-landscape">' in page
    assert "Ours &lt;here&gt; &amp; published" in page
    assert '<tr class="marked"><th scope="row">pfn</th>' in page
    assert '<span class="number">2195<span class="pm"> ± </span>173</span>' in page
    assert "&gt; <span" in page
    assert 'href="tables/composed.tex"' in page
    assert r"\begin{table}" in run.paper("tables/composed.tex").read_text()


def test_each_file_of_tables_needs_a_latex_file(run):
    from fullchain.paper import collect
    from fullchain.step import Given

    with pytest.raises(InputError, match="1 files of tables for 0 LaTeX files"):
        collect.main(
            metrics=[],
            collected=run.paper("metrics.json"),
            tables=[],
            numbers=run.paper("n.tex"),
            stage_tables=[run.folder / "tables.json"],
            settings=Given({}),
        )
