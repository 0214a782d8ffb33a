"""A drawing of the DAG as SVG, without any program or library for graphs.

Stages are lanes from top to bottom, in order of data flow; within a lane the steps stand from left
to right by the length of the longest way that leads to them. Arrows run in the free space between
rows and columns, and those with a common end join.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

COLUMN, ROW = 178, 74
BOX_WIDTH, BOX_HEIGHT = 138, 42
LANE_LABEL, PADDING = 96, 8
TRACK = 3

STYLE = """
.lane{fill:#f3f5f7}.lane-name{font-weight:600;fill:#3b4652}
.box{fill:#fff;stroke:#7b8794;stroke-width:1.2}.name{fill:#18212b;font-weight:600}
.detail{fill:#52606d;font-size:11px}.edge{fill:none;stroke:#7b8794;stroke-width:1.2}
.arrow{fill:#7b8794}
@media(prefers-color-scheme:dark){.lane{fill:#1c232b}.lane-name{fill:#c8d1da}
.box{fill:#0f141a;stroke:#8fa0b0}.name{fill:#eef2f6}.detail{fill:#a9b5c1}
.edge{stroke:#8fa0b0}.arrow{fill:#8fa0b0}}
"""


@dataclass(frozen=True)
class Node:
    """A step in the drawing: its stage, its name there, and a line of detail below it."""

    stage: str
    name: str
    detail: str
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How other nodes refer to it."""
        return f"{self.stage}.{self.name}"


@dataclass(frozen=True)
class _Place:
    column: int
    row: int


def columns(nodes: Sequence[Node]) -> dict[str, int]:
    """Give each node the length of the longest way to it; nodes must follow what they depend on."""
    found: dict[str, int] = {}
    for node in nodes:
        found[node.key] = 1 + max((found[k] for k in node.after if k in found), default=-1)
    return found


def reduced(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Give what each node follows directly: without arrows that follow from others."""
    known = {node.key for node in nodes}
    above: dict[str, set[str]] = {}
    direct: dict[str, list[str]] = {}
    for node in nodes:
        parents = [key for key in node.after if key in known]
        behind = set[str]().union(*(above.get(key, set()) for key in parents))
        direct[node.key] = [key for key in parents if key not in behind]
        above[node.key] = behind | set(parents)
    return direct


def _lanes(nodes: Sequence[Node]) -> list[str]:
    lanes: list[str] = []
    for node in nodes:
        if node.stage not in lanes:
            lanes.append(node.stage)
    return lanes


def _squeezed(depth: Mapping[str, int], nodes: Sequence[Node], lane: str) -> dict[str, int]:
    """Columns of one lane, counted from its own first: a lane starts at the left again."""
    own = sorted({depth[node.key] for node in nodes if node.stage == lane})
    return {node.key: own.index(depth[node.key]) for node in nodes if node.stage == lane}


def draw(nodes: Sequence[Node], *, standalone: bool) -> str:
    """Give the SVG text.

    Parameters
    ----------
    nodes
        Steps, each after the steps that it depends on.
    standalone
        Whether to include the colours; a page brings its own.
    """
    depth = columns(nodes)
    places: dict[str, _Place] = {}
    lanes = []
    top = 0
    for lane in _lanes(nodes):
        column = _squeezed(depth, nodes, lane)
        taken: dict[int, int] = {}
        for key, index in column.items():
            places[key] = _Place(index, top + taken.get(index, 0))
            taken[index] = taken.get(index, 0) + 1
        rows = max(taken.values())
        lanes.append((lane, top, rows))
        top += rows
    width = LANE_LABEL + COLUMN * (1 + max((p.column for p in places.values()), default=0))
    gap = {lane: PADDING * index for index, (lane, _, _) in enumerate(lanes)}
    height = ROW * top + PADDING * max(len(lanes) - 1, 0)
    parts = [_rectangle(lane, ROW * start + gap[lane], ROW * rows, width)
             for lane, start, rows in lanes]  # fmt: skip
    corner = {
        node.key: (
            LANE_LABEL + COLUMN * places[node.key].column + (COLUMN - BOX_WIDTH) // 2,
            ROW * places[node.key].row + gap[node.stage] + (ROW - BOX_HEIGHT) // 2,
        )
        for node in nodes
    }
    arrows = [(parent, key) for key, parents in reduced(nodes).items() for parent in parents]
    # Each end has its own tracks, a few pixels apart: arrows to other ends do not lie on them.
    ends = list(dict.fromkeys(key for parent, key in arrows if not _beside(places, parent, key)))
    for parent, key in arrows:
        track = TRACK * (ends.index(key) % 7 - 3) if key in ends else 0
        route = _route(corner[parent], corner[key], track)
        parts.append(f'<path class="edge" d="{_rounded(route)}" marker-end="url(#tip)"/>')
    parts += [_box(node, *corner[node.key]) for node in nodes]
    style = f"<style>{STYLE}</style>" if standalone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dag" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{_description(nodes)}" '
        'font-family="system-ui,sans-serif" font-size="13">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path class="arrow" d="M0 0L8 4L0 8z"/></marker></defs>'
        + style
        + "".join(parts)
        + "</svg>\n"
    )


def _description(nodes: Sequence[Node]) -> str:
    return html.escape("Steps of the workflow: " + ", ".join(node.key for node in nodes))


def _rectangle(lane: str, y: int, height: int, width: int) -> str:
    return (
        f'<rect class="lane" x="0" y="{y}" width="{width}" height="{height}" rx="8"/>'
        f'<text class="lane-name" x="14" y="{y + height // 2 + 5}">{html.escape(lane)}</text>'
    )


def _beside(places: Mapping[str, _Place], start: str, end: str) -> bool:
    """Whether a straight arrow to the right joins the two."""
    one, two = places[start], places[end]
    return one.row == two.row and two.column == one.column + 1


def _route(start: tuple[int, int], end: tuple[int, int], track: int) -> list[tuple[int, int]]:
    """Corners of an arrow between two boxes, given by their upper left corners."""
    (x1, y1), (x2, y2) = start, end
    if y1 == y2 and x2 - x1 == COLUMN:
        middle = y1 + BOX_HEIGHT // 2
        return [(x1 + BOX_WIDTH, middle), (x2, middle)]
    gap = (ROW - BOX_HEIGHT) // 2
    if x1 == x2 and abs(y2 - y1) <= ROW + PADDING:
        ends = (y1 + BOX_HEIGHT, y2) if y2 > y1 else (y1, y2 + BOX_HEIGHT)
        return [(x1 + BOX_WIDTH // 2, y) for y in ends]
    # Beside the middle, where arrows arrive.
    from_x, to_x = x1 + BOX_WIDTH * 5 // 8, x2 + BOX_WIDTH // 2
    if y1 == y2:
        # Over a neighbour: below the row, and up again.
        low = y1 + BOX_HEIGHT + gap + track
        bottom = y1 + BOX_HEIGHT
        return [(from_x, bottom), (from_x, low), (to_x, low), (to_x, bottom)]
    down = y2 > y1
    leave, arrive = (y1 + BOX_HEIGHT, y2) if down else (y1, y2 + BOX_HEIGHT)
    sign = 1 if down else -1
    first, last = leave + sign * gap + track, arrive - sign * gap + track
    if abs(y2 - y1) <= ROW + PADDING:
        return [(from_x, leave), (from_x, first), (to_x, first), (to_x, arrive)]
    # Past other rows: down the channel between two columns, on the side where the arrow comes from.
    side = 1 if x1 >= x2 else -1
    channel = to_x + side * COLUMN // 2 + track
    corners = [(from_x, leave), (from_x, first), (channel, first), (channel, last)]
    return [*corners, (to_x, last), (to_x, arrive)]


def _rounded(corners: Sequence[tuple[int, int]], radius: int = 6) -> str:
    """Give an SVG path along the corners, which are rounded off."""
    path = "M{} {}".format(*corners[0])
    for before, here, after in zip(corners, corners[1:], corners[2:], strict=False):
        into, out = _towards(here, before, radius), _towards(here, after, radius)
        path += "L{} {}Q{} {} {} {}".format(*into, *here, *out)
    return path + "L{} {}".format(*corners[-1])


def _towards(here: tuple[int, int], there: tuple[int, int], length: int) -> tuple[int, int]:
    """Go from `here` straight towards `there`, by `length` at most and half way at most."""
    steps = [max(-length, min(length, (b - a) // 2)) for a, b in zip(here, there, strict=True)]
    return here[0] + steps[0], here[1] + steps[1]


def _box(node: Node, x: int, y: int) -> str:
    middle = x + BOX_WIDTH // 2
    name_y = y + 18 if node.detail else y + BOX_HEIGHT // 2 + 5
    detail = (
        f'<text class="detail" x="{middle}" y="{y + 34}" text-anchor="middle">'
        f"{html.escape(node.detail)}</text>"
    )
    return (
        f'<rect class="box" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
        f'<text class="name" data-stage="{html.escape(node.stage)}" x="{middle}" y="{name_y}" '
        f'text-anchor="middle">{html.escape(node.name)}</text>' + (detail if node.detail else "")
    )
