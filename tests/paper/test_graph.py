"""The drawing of the DAG."""

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from fullchain.paper.graph import BOX_HEIGHT, BOX_WIDTH, Node, columns, draw, reduced

NODES = [
    Node("ntuples", "generate", "30 jobs, 4 min"),
    Node("ntuples", "measure", "1 job", ("ntuples.generate",)),
    Node("ntuples", "manifest", "1 job", ("ntuples.generate",)),
    Node("jets", "process", "1 job", ("ntuples.generate", "ntuples.manifest")),
    Node("paper", "report <b>", "1 job", ("jets.process", "ntuples.generate", "unknown.step")),
]
SVG = "{http://www.w3.org/2000/svg}"


def boxes(root):
    found = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "box"]
    return [(int(e.get("x")), int(e.get("y"))) for e in found]


def test_depth_is_the_longest_way():
    assert columns(NODES) == {
        "ntuples.generate": 0,
        "ntuples.measure": 1,
        "ntuples.manifest": 1,
        "jets.process": 2,
        "paper.report <b>": 3,
    }


def test_arrows_that_follow_from_others_are_left_out():
    direct = reduced(NODES)
    assert direct["jets.process"] == ["ntuples.manifest"]
    assert direct["paper.report <b>"] == ["jets.process"]


def test_the_drawing_is_xml_with_a_box_for_each_step_and_an_arrow_for_each_edge():
    root = ET.fromstring(draw(NODES, standalone=True))
    assert len(boxes(root)) == len(NODES)
    edges = [e for e in root.iter(f"{SVG}path") if "edge" in (e.get("class") or "")]
    assert len(edges) == sum(len(parents) for parents in reduced(NODES).values())
    texts = {element.text for element in root.iter(f"{SVG}text")}
    assert {"generate", "30 jobs, 4 min", "report <b>", "ntuples", "jets", "paper"} <= texts


def test_boxes_do_not_overlap_and_lie_inside():
    root = ET.fromstring(draw(NODES, standalone=True))
    width, height = map(int, root.get("viewBox").split()[2:])
    places = boxes(root)
    for index, (x, y) in enumerate(places):
        assert 0 <= x <= width - BOX_WIDTH
        assert 0 <= y <= height - BOX_HEIGHT
        for other_x, other_y in places[index + 1 :]:
            assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT


def crossings(root):
    """Boxes whose inside an arrow runs through."""
    places = boxes(root)
    for edge in root.iter(f"{SVG}path"):
        if edge.get("class") != "edge":
            continue
        numbers = [int(n) for n in re.findall(r"-?\d+", edge.get("d"))]
        corners = list(zip(numbers[::2], numbers[1::2], strict=True))
        for (x1, y1), (x2, y2) in itertools.pairwise(corners):
            for part in range(101):
                x, y = x1 + (x2 - x1) * part / 100, y1 + (y2 - y1) * part / 100
                for left, top in places:
                    if left < x < left + BOX_WIDTH and top < y < top + BOX_HEIGHT:
                        yield edge.get("d")


def test_arrows_run_around_boxes():
    long_way = [
        *NODES,
        Node("paper", "figures", "", ("ntuples.measure", "jets.process")),
        Node("paper", "last", "", ("paper.figures", "paper.report <b>", "ntuples.manifest")),
        Node("jets", "back", "", ("paper.last",)),
    ]
    assert not list(crossings(ET.fromstring(draw(long_way, standalone=True))))
    committed = Path(__file__).resolve().parents[2] / "docs/dag.svg"
    assert not list(crossings(ET.parse(committed).getroot()))


def test_it_loads_nothing():
    svg = draw(NODES, standalone=True)
    addresses = re.findall(r"https?://[^\"']+", svg)
    assert addresses == ["http://www.w3.org/2000/svg"]


def test_nothing_to_draw_is_still_a_drawing():
    ET.fromstring(draw([], standalone=True))
