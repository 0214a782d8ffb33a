"""The steps of the paper stage on a small run."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from fullchain.errors import InputError
from fullchain.metrics import Metric, read_metrics, write_metrics
from fullchain.paper.markup import to_html
from fullchain.plotting import figure, figure_set

STAGES = ("ntuples", "jets", "tagging")


class Page(HTMLParser):
    """Text and attributes of a page."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture
def page(run):
    run.collect()
    run.figures()
    return Page(run.report())


def test_nothing_is_loaded_from_elsewhere(run):
    run.collect()
    run.figures()
    html = run.report()
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        if tag in ("img", "script", "source", "video", "audio"):
            assert attributes.get("src", "data:").startswith("data:")
        assert "srcset" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", html)
    policy = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policy and policy[0].startswith("default-src 'none'; img-src data:")


def test_links_lead_to_files_that_are_there(run, page):
    for attributes in page.all("a"):
        target = attributes["href"]
        if target.startswith("#"):
            assert any(a.get("id") == target[1:] for _, a in page.tags), target
        elif not target.startswith("data:"):
            assert run.paper(target).is_file(), target


def test_identifiers_are_unique(page):
    identifiers = [a["id"] for _, a in page.tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_every_figure_stands_with_number_caption_picture_and_pdf(run, page):
    pictures = {a["src"] for a in page.all("img")}
    links = {a["href"] for a in page.all("a")}
    for number, stage in enumerate(STAGES, 1):
        png = (run.folder / stage / "figures/mass.png").read_bytes()
        assert "data:image/png;base64," + base64.b64encode(png).decode() in pictures
        assert f"figures/{stage}_mass.pdf" in links
        assert f"Figure {number}. Mass in {stage}. Jet mass mSD in {stage} <raw>." in page.words
    assert all(a["alt"] for a in page.all("img"))


def test_wide_figures_have_a_row_of_their_own(run):
    drawn = figure_set(run.indexes[0], "ntuples")
    drawn.save(figure(6.0, 3.0)[0], "broad", "Broad", "Twice as wide as high.")
    drawn.save(figure(3.0, 3.0)[0], "square", "Square", "As wide as high.")
    drawn.write()
    run.collect()
    run.figures()
    page = Page(run.report())
    assert [a.get("class") for a in page.all("figure") if "id" in a][:2] == ["wide", None]
    broad = page.all("img")[0]
    assert int(broad["width"]) == 2 * int(broad["height"])


def test_every_number_stands_with_its_uncertainty(run, page):
    rows = [a["id"] for a in page.all("tr") if a.get("id", "").startswith("metric-")]
    for name in ("ntuples.tt.mass", "jets.qcd.multiplicity", "tagging.pfn.auc"):
        assert f"metric-{name}" in rows
    for text in ("180.2 ± 0.9", "55.1 ± 0.4", "0.9764 ± 0.0011", "710 ± 100"):
        assert text in page.words
    assert "888 ± 17" in page.words
    assert "other jets: 1.2M of the reference data set" in page.words


def test_what_is_not_published_is_a_dash(run):
    run.collect()
    run.figures()
    html = run.report()
    row = re.search(r'<tr id="metric-tagging.pfn.jets">.*?</tr>', html, re.DOTALL).group()
    assert row.count('class="none"') == 1
    assert "None" not in row


def test_long_tables_are_folded_and_can_be_filtered(run):
    numbers = [Metric(f"n{i}", i, 0.5, "counting", f"number {i}") for i in range(21)]
    write_metrics(run.metrics[0], "ntuples", numbers)
    run.collect()
    run.figures()
    page = Page(run.report())
    assert "All 21 numbers" in page.words
    assert any("filtered" in a.get("class", "") for a in page.all("table"))
    assert all(f"metric-ntuples.n{i}" in {a.get("id") for a in page.all("tr")} for i in range(21))


def test_labels_are_escaped(run):
    run.collect()
    run.figures()
    html = run.report(title="<script>alert(1)</script> & $x_1$", authors=["<b>Me</b>"])
    assert "<script>alert" not in html
    assert "<b>Me</b>" not in html
    assert "constituents &amp; &lt;friends&gt;" in html
    assert to_html("$x_1$") in html


def test_configuration_samples_and_cutflows_are_there(run, page):
    [link] = [a for a in page.all("a") if "download" in a]
    configuration = yaml.safe_load(base64.b64decode(link["href"].split(",")[1]))
    assert configuration["run"] == "small"
    assert configuration["jets"] == {"pt": [500, 700]}
    cells = [text.strip() for text in page.text if text.strip()]
    start = cells.index("all")
    assert cells[start : start + 4] == ["all", "2\u202f000", "2000", "100.0 %"]
    assert cells[start + 4 : start + 8] == ["one jet", "1\u202f350", "1350", "67.5 %"]
    assert "After all cuts, shifted: jes down −2.0 %" in page.words
    assert "4.21" in page.words


def test_provenance_tells_steps_hosts_and_checksums(run, page):
    assert "jets process" in page.words
    assert "tagging old" not in page.words, "a record that nothing here comes from"
    assert "node-seven" in page.words
    assert "sha256 abababababababab…" in page.words
    assert "numpy 2.4.0" in page.words
    assert "3 min 10 s" in page.words
    assert "it is not recorded how they were made" not in page.words


def test_files_without_a_record_are_named(run):
    run.collect()
    run.figures()
    (run.folder / "tagging/metrics.json.provenance.json").unlink()
    words = Page(run.report()).words
    assert "it is not recorded how they were made: tagging/metrics.json" in words


def test_a_run_without_any_record_still_has_a_report(run):
    run.collect()
    run.figures()
    for path in run.folder.rglob("*.provenance.json"):
        path.unlink()
    assert "No record of the jobs" in Page(run.report()).words


def test_long_lists_of_jobs_are_cut(run):
    run.collect()
    run.figures()
    words = Page(run.report(jobs_listed=1)).words
    assert "jets process 2 jobs" in words
    assert "and 1 more, in their *.provenance.json" in words


def test_a_moved_folder_gives_the_same_report(run, tmp_path):
    run.collect()
    run.figures()
    before = Page(run.report()).words
    moved = shutil.copytree(run.folder, tmp_path / "else" / "where")
    run.folder = moved
    after = Page(run.report()).words
    stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    assert stamp.sub("", before) == stamp.sub("", after)


def test_the_headline_must_exist(run):
    run.collect()
    run.figures()
    with pytest.raises(InputError, match=r"paper\.headline: no number is called 'pfn\.auc'"):
        run.report(headline=["pfn.auc"])


def test_the_headline_of_a_stage_that_is_left_out_is_left_out(run):
    run.collect()
    run.figures()
    words = Page(run.report(headline=["inference.fit.mu", "tagging.pfn.auc"])).words
    assert "PFN, area under the ROC curve 0.9764 ± 0.0011 reference 0.9819" in words
    with pytest.raises(InputError, match=r"no number is called 'infrence\.fit\.mu'"):
        run.report(headline=["infrence.fit.mu"])


def test_the_headline_says_what_differs_from_its_reference(run):
    run.collect()
    run.figures()
    html = run.report()
    head = html.partition('<dl class="headline">')[2].partition("</header>")[0]
    assert "reference" in head and "0.9819" in head
    assert "other jets: 1.2M of the reference data set" in head
    assert 'href="#headline-note-a"' in head and 'id="headline-note-a"' in head


def test_limits_stand_as_limits(run):
    none_left = Metric("tau32.rejection_30", 129.84, 0.0, "limit", "limit", limit="lower")
    write_metrics(run.metrics[0], "ntuples", [none_left])
    run.collect()
    run.figures()
    page = Page(run.report(headline=["ntuples.tau32.rejection_30"]))
    assert page.words.count("> 130") == 2
    assert "129.84" not in page.words
    table = run.paper("tables/ntuples.tex").read_text()
    assert "limit & $> 130$ & -- " in table
    macro = r"fullchain@ntuples.tau32.rejection_30\endcsname{\ensuremath{> 130}}"
    assert macro in run.paper("tables/numbers.tex").read_text()


def test_numbers_of_all_stages_come_together(run):
    run.collect()
    stage, metrics = read_metrics(run.paper("metrics.json"))
    assert stage == "paper"
    assert [metric.name for metric in metrics] == [
        "ntuples.tt.mass",
        "jets.qcd.multiplicity",
        "tagging.pfn.auc",
        "tagging.pfn.rejection_30",
        "tagging.pfn.jets",
    ]
    assert "fullchain@jets.qcd.multiplicity" in run.paper("tables/numbers.tex").read_text()


def test_two_runs_give_the_same_files(run, make_run, tmp_path):
    other = make_run(tmp_path / "again" / "small")
    for one in (run, other):
        one.collect()
        one.figures()
        one.report()
    for path in sorted((run.folder / "paper").rglob("*")):
        if path.is_file() and path.name != "index.html":
            twin = other.folder / "paper" / path.relative_to(run.folder / "paper")
            assert path.read_bytes() == twin.read_bytes(), path.name


@pytest.mark.parametrize("stage", STAGES)
def test_missing_metrics_are_named(run, stage):
    path = run.folder / stage / "metrics.json"
    path.unlink()
    with pytest.raises(InputError, match=re.escape(str(path))):
        run.collect()


def test_a_stage_cannot_come_twice(run):
    shutil.copy(run.metrics[0], run.metrics[1])
    with pytest.raises(InputError, match="already in"):
        run.collect()


@pytest.mark.parametrize("suffix", [".pdf", ".png"])
def test_missing_figures_are_named(run, suffix):
    path = run.folder / f"jets/figures/mass{suffix}"
    path.unlink()
    with pytest.raises(InputError, match=re.escape(str(path))):
        run.figures()


def test_a_missing_or_broken_index_is_named(run):
    path = run.indexes[1]
    path.write_text('[{"name": "mass"}]')
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: not a figure index"):
        run.figures()
    path.unlink()
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: no such figure index"):
        run.figures()


def test_a_figure_that_is_not_the_indexed_one_is_refused(run):
    png = run.folder / "jets/figures/mass.png"
    png.write_bytes(png.read_bytes() + b"\0")
    with pytest.raises(InputError, match=f"{re.escape(str(png))}: is not the figure"):
        run.figures()


def test_figures_that_nobody_draws_any_more_disappear(run):
    run.figures()
    stranger = run.paper("figures/jets_gone.pdf")
    stranger.write_bytes(b"")
    run.figures()
    assert not stranger.exists()
    entries = json.loads(run.paper("figures/index.json").read_text())
    assert [entry["file"] for entry in entries] == [f"{stage}_mass" for stage in STAGES]
    for entry in entries:
        png = run.paper(f"figures/{entry['file']}.png").read_bytes()
        assert hashlib.sha256(png).hexdigest() == entry["sha256"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ntuples/tt/manifest.json", "not a sample manifest"),
        ("jets/tt/0001.json", "not a part summary"),
    ],
)
def test_broken_manifests_are_named(run, name, message):
    run.collect()
    run.figures()
    (run.folder / name).write_text("{}")
    with pytest.raises(InputError, match=f"{name}: {message}"):
        run.report()


def test_parts_with_other_cuts_are_not_added(run):
    run.collect()
    run.figures()
    path: Path = run.folder / "jets/tt/0001.json"
    content = json.loads(path.read_text())
    del content["cutflow"]["jes_down"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="its cuts are not those of the other parts of tt"):
        run.report()


def test_a_broken_record_is_named(run):
    run.collect()
    run.figures()
    path = run.folder / "jets/metrics.json.provenance.json"
    path.write_text("{")
    with pytest.raises(InputError, match=re.escape(str(path))):
        run.report()


def test_accounts_are_shown_with_reasons(run, page):
    assert not any(tag["id"] == "accounts" for tag in page.all("h3") if "id" in tag)
    row = {
        "step": "jets cluster", "sample": "tt", "part": "", "what": "events", "read": 2000,
        "written": 1350, "rejected": {"no identified jet": 50, "no jet <in> the window": 600},
        "sum_read": 2000.0, "sum_written": 1350.0,
    }  # fmt: skip
    unweighted = row | {"step": "tagging scores, pfn", "sum_read": None, "sum_written": None}
    path = run.paper("accounts.json")
    path.write_text(json.dumps({"samples": [row, unweighted], "parts": [], "files_skipped": {}}))
    run.accounts = [path]
    words = Page(run.report()).words
    assert "All 2 accounts" in words
    assert "no jet <in> the window 600; no identified jet 50" in words
    assert "tagging scores, pfn" in words


def test_a_file_that_holds_no_accounts_is_named(run, page):
    path = run.paper("accounts.json")
    path.write_text(json.dumps({"samples": [{"step": "jets cluster"}]}))
    run.accounts = [path]
    with pytest.raises(InputError, match=r"accounts\.json: not a file of accounts"):
        run.report()
