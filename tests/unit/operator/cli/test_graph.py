"""A pipeline drawn: for a terminal, and as an SVG."""

import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from eventpipeline_operator.cli.drawing import draw
from eventpipeline_operator.cli.layout import arrange, rank_services
from eventpipeline_operator.cli.picture import Picture, Process, TopicNode, build_picture
from eventpipeline_operator.cli.program import program
from eventpipeline_operator.cli.svg import render_svg
from unit.operator.bodies import build_pipeline

REPOSITORY = Path(__file__).resolve().parents[4]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def circle() -> Picture:
    """a → b → a, b → c; and a topic of somebody else that c reads."""
    return Picture(
        "team/shop",
        (
            Process("a", "out", "", ("x",)),
            Process("a", "back", "", (), ("y",), "g-a"),
            Process("b", "work", "×1…6", ("y", "z"), ("x",), "g-b"),
            Process("c", "end", "", (), ("z", "foreign"), "g-c"),
        ),
        (TopicNode("x", 6), TopicNode("y", 3), TopicNode("z", 1), TopicNode("foreign", 1, True)),
        (("a", "c"),),
        (("/api", "a"),),
        "http://shop",
    )


def test_a_pipeline_s_flows_are_found() -> None:
    picture = build_picture(build_pipeline())
    assert [str(p) for p in picture.processes] == [
        "order/api", "order/relay", "order/consumer", "stock/api",
    ]  # fmt: skip
    assert picture.calls == (("order", "stock"),)
    assert picture.processes[0].about == ":8080 ×2"
    assert picture.processes[2].group == "team.shop.order.consumer"


def test_the_terminal_shows_who_writes_what_to_whom(circle: Picture) -> None:
    lines = [line.split() for line in click.unstyle(draw(circle, {"g-b": 7})).splitlines()]
    assert lines[0] == ["team/shop", "http://shop"]
    assert ["/api", "──▶", "a", "out,", "back", "calls", "c"] in lines
    assert ["a/out", "──▶", "(x", "×6)", "──▶", "b/work", "lag", "7"] in lines
    assert ["(foreign,", "external)", "──▶", "c/end"] in lines


def test_what_flows_back_does_not_push_a_service_to_the_right(circle: Picture) -> None:
    assert rank_services(circle) == {"a": 0, "b": 1, "c": 2}


def test_nothing_lies_upon_anything_else(circle: Picture) -> None:
    layout = arrange(circle)
    boxes = [*layout.services.values(), *layout.topics.values()]
    for n, one in enumerate(boxes):
        assert one.right <= layout.width
        assert one.y + one.height <= layout.height
        for other in boxes[n + 1 :]:
            apart = one.right < other.x or other.right < one.x
            assert apart or one.y + one.height < other.y or other.y + other.height < one.y
    assert layout.services["a"].x < layout.topics["y"].x < layout.services["b"].x
    assert layout.topics["foreign"].x < layout.services["c"].x


def test_the_svg_has_every_part_and_marks_who_lags(circle: Picture) -> None:
    root = ET.fromstring(render_svg(circle, {"g-b": 7, "g-c": 0}))  # noqa: S314 - ours
    texts = {t.text: t.get("class") for t in root.iter(f"{SVG}text")}
    assert {"a", "work ×1…6", "x ×6", "foreign (external)", "/api"} <= set(texts)
    assert texts["lag 7"] == "lag"
    assert texts["lag 0"] == "lag calm"
    classes = [p.get("class") for p in root.iter(f"{SVG}path")]
    assert classes.count("line") == 7
    assert classes.count("call") == 1


def test_the_shop_is_drawn_from_its_file_alone(tmp_path: Path) -> None:
    shop = str(REPOSITORY / "examples" / "shop.yaml")
    drawn = CliRunner().invoke(program, ["graph", "-f", shop])
    assert "stock/relay ──▶ (stock-events ×6)   ──▶ order/consumer" in drawn.output
    target = tmp_path / "shop.svg"
    assert CliRunner().invoke(program, ["graph", "-f", shop, "--svg", str(target)]).exit_code == 0
    assert ET.parse(target).getroot().tag == f"{SVG}svg"  # noqa: S314 - ours


def test_either_a_name_or_a_file_is_drawn() -> None:
    assert "say which" in CliRunner().invoke(program, ["graph"]).output
