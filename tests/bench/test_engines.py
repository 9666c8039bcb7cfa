"""OpenVINO beside ONNX Runtime, measured."""

import sys

import pytest

from bench import engines
from bench.frame import BENCHMARKS, BenchError
from models import zoo
from tests.edge.vision.kinds import OPENVINO


def test_it_is_listed():
    assert BENCHMARKS["engines"] == "bench.engines"


def test_without_openvino_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BenchError, match=r"pip install 'vedette\[openvino\]'"):
        engines.run()


@OPENVINO
def test_every_figure_has_both_and_names_its_artefact(monkeypatch):
    monkeypatch.setattr(engines, "NAMES", ("fire",))
    monkeypatch.setattr(engines, "WARM", 0)
    figures = engines.run(zoo.load("fire")[1].parent, repeats=2)
    # Two shapes of picture, twice each.
    assert {figure.conditions["target"] for figure in figures} >= {"onnx-fp32"}
    for figure in figures:
        assert figure.repeats == 4
        assert figure.ours > 0
        assert figure.reference
