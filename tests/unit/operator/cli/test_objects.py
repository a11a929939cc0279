from pathlib import Path

import click
import pytest

from eventpipeline_operator.cli.objects import read_object

TEXT = """kind: Namespace
---
apiVersion: eventpipeline.dev/v1alpha1
kind: EventPipeline
metadata:
  name: shop
spec:
  topics:
    - name: orders
    - name: prices
      partitions: 0
  services:
    - {name: order, image: "order:1"}
    - name: stock
      workers:
        - name: relay
          produces: [nothing]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("complaint", "line"),
    [
        ("spec.topics[prices].partitions must be at least 1", 11),
        ("spec.services[stock].workers[relay].produces: 'nothing' is not in spec.topics", 17),
        ("spec.services[order].image: wrong", 13),
        ("spec.services[stock].image: is needed", 14),
        ("spec.vault is needed by spec.secrets", 7),
        ("the object is wrong", 3),
    ],
)
def test_a_complaint_gets_the_line_of_its_field(file: Path, complaint: str, line: int) -> None:
    assert read_object(str(file)).locate(complaint) == f"{file}:{line}: {complaint}"


def test_the_namespace_is_the_file_s_or_the_one_asked_for(file: Path) -> None:
    assert read_object(str(file), "team").body["metadata"] == {"name": "shop", "namespace": "team"}
    file.write_text(TEXT.replace("name: shop", "name: shop\n  namespace: other"))
    with pytest.raises(click.ClickException, match="of namespace other, not of team"):
        read_object(str(file), "team")


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [\n")
    with pytest.raises(click.ClickException, match=r"broken.yaml:3: "):
        read_object(str(path))


def test_a_file_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("kind: Namespace\n")
    with pytest.raises(click.ClickException, match="no EventPipelines in it"):
        read_object(str(path))
