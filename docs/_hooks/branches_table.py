"""Write the table of branches into docs/stages/ntuples.md.

.venv/bin/python docs/_hooks/branches_table.py
"""

from pathlib import Path

from fullchain.atomic import write_text
from fullchain.ntuples.branches import COLLECTIONS, RUNS, Branch

PAGE = Path(__file__).resolve().parents[1] / "stages" / "ntuples.md"
BEGIN, END = "<!-- branches: made by docs/_hooks/branches_table.py -->", "<!-- end of branches -->"


def row(name: str, branch: Branch) -> str:
    """One line of a table."""
    kept = {"exact": "", "value": "10 bits", "direction": "12 bits"}[branch.precision]
    text = branch.description.replace("|", "\\|")
    return f"| `{name}` | {branch.dtype} | {branch.unit} | {kept} | {text} |"


def table() -> str:
    """All collections, each with its branches."""
    lines: list[str] = []
    for collection in COLLECTIONS:
        shape = "a list per event" if collection.jagged else "one per event"
        described = collection.branches[0].name and collection.description
        lines += [
            "",
            f"**{collection.name or 'Event'}** ({shape})" + (f": {described}" if described else ""),
        ]
        lines += [
            "",
            "| branch | type | unit | rounded to | meaning |",
            "| --- | --- | --- | --- | --- |",
        ]
        for branch in collection.branches:
            name = "_".join(word for word in (collection.name, branch.name) if word)
            lines.append(row(name, branch))
    lines += ["", "**Tree `Runs`**"]
    lines += [
        "",
        "| branch | type | unit | rounded to | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [row(branch.name, branch) for branch in RUNS]
    return "\n".join(lines)


def page(text: str) -> str:
    """Give the page with a fresh table."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8")))
