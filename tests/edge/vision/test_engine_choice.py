"""Which library runs a release, on which artefact, and what is said where it cannot."""

import sys
from types import ModuleType

import msgspec
import pytest

from contract.manifest import Artefact
from edge.config import NodeConfig
from edge.probes.models import try_model
from edge.vision.choice import AUTO, KINDS, Choice, choose
from edge.vision.engine import EngineError, choose_target, load_engine

from .kinds import OPENVINO
from .orange import write_orange_model

ONE = Artefact(file="a.onnx", sha256="0" * 64, bytes=1, precision="int8")
PLAIN = {"x86-u8s8": ONE, "arm64-s8s8": ONE, "onnx-fp32": ONE}
HARDWARE = ["tensorrt", "rknn", "hailo"]


@pytest.fixture
def no_makers(monkeypatch):
    """None of the makers' libraries is there."""
    for name in ("tensorrt", "rknnlite", "rknnlite.api", "hailo_platform"):
        monkeypatch.setitem(sys.modules, name, None)


def test_each_machine_gets_its_own_artefact():
    assert choose_target(PLAIN, "x86_64") == "x86-u8s8"
    assert choose_target(PLAIN, "aarch64") == "arm64-s8s8"
    assert choose_target(PLAIN, "riscv64") == "onnx-fp32"
    with pytest.raises(EngineError, match=r"no artefact for aarch64.*x86-u8s8"):
        choose_target({"x86-u8s8": ONE}, "aarch64")


def test_openvino_prefers_its_own_artefact_and_takes_the_machine_s():
    assert choose(PLAIN, "openvino", machine="x86_64").target == "x86-u8s8"
    assert choose(PLAIN | {"openvino": ONE}, "openvino", machine="x86_64").target == "openvino"
    assert choose(PLAIN | {"openvino": ONE}, AUTO, machine="x86_64") == Choice("onnxruntime", "x86-u8s8")


def test_without_hardware_onnx_runtime_is_taken(no_makers):
    every = PLAIN | dict.fromkeys(HARDWARE, ONE)
    assert choose(every, AUTO, machine="aarch64") == Choice("onnxruntime", "arm64-s8s8")


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_is_taken_where_artefact_and_library_are_there(no_makers, monkeypatch, name):
    package = KINDS[name].package
    if "." in package:
        monkeypatch.setitem(sys.modules, package.split(".")[0], ModuleType(package.split(".")[0]))
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    assert choose(PLAIN | {name: ONE}, machine="aarch64") == Choice(name, name)
    assert choose(PLAIN, machine="aarch64") == Choice("onnxruntime", "arm64-s8s8")
    assert choose(PLAIN | {name: ONE}, "onnxruntime", machine="aarch64").engine == "onnxruntime"
    assert "untested" in str(choose(PLAIN | {name: ONE}, machine="aarch64"))


def test_an_artefact_that_was_asked_for_brings_its_engine():
    every = PLAIN | {"rknn": ONE, "openvino": ONE}
    assert choose(every, target="rknn") == Choice("rknn", "rknn")
    assert choose(every, target="onnx-fp32") == Choice("onnxruntime", "onnx-fp32")
    assert choose(every, "openvino", "onnx-fp32") == Choice("openvino", "onnx-fp32")
    assert choose(every, "onnxruntime", "openvino") == Choice("onnxruntime", "openvino")


@pytest.mark.parametrize(
    ("engine", "target", "message"),
    [
        ("onxruntime", None, r"no engine 'onxruntime'; there are auto, onnxruntime, openvino"),
        ("hailo", None, r"no artefact for hailo: needed is 'hailo', found"),
        ("hailo", "onnx-fp32", r"engine 'hailo' does not run the artefact 'onnx-fp32'; it runs hailo"),
        ("onnxruntime", "rknn", r"engine 'onnxruntime' does not run the artefact 'rknn'"),
        (AUTO, "int4", r"there is no artefact 'int4'; the release has"),
    ],
)
def test_what_does_not_go_together_is_refused(engine, target, message):
    with pytest.raises(EngineError, match=message):
        choose(PLAIN | {"rknn": ONE}, engine, target)


@pytest.mark.parametrize("name", HARDWARE)
def test_a_missing_library_says_how_to_get_it_and_what_would_do(no_makers, tmp_path, name):
    manifest = write_orange_model(tmp_path)
    artefacts = manifest.artefacts | {name: manifest.artefacts["onnx-fp32"]}
    manifest = msgspec.structs.replace(manifest, artefacts=artefacts)
    with pytest.raises(EngineError, match=rf"'{name}' cannot be used.*[Ii]nstall.*set engine in node.yaml to onnxrun"):
        load_engine(manifest, tmp_path, 1, engine=name)


def test_openvino_that_is_not_installed_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match=r"pip install 'vedette\[openvino\]'.*to onnxruntime"):
        load_engine(write_orange_model(tmp_path), tmp_path, 1, engine="openvino")


@OPENVINO
def test_the_check_says_what_runs_a_model(tmp_path):
    write_orange_model(tmp_path / "fire")
    for engine, said in (("auto", "onnx-fp32 on onnxruntime"), ("openvino", "onnx-fp32 on openvino")):
        found = try_model(config(tmp_path, engine), "fire")
        assert found.ok
        assert said in found.detail
        assert "untested" not in found.detail


def test_a_setting_that_no_engine_has_is_refused(tmp_path):
    with pytest.raises(ValueError, match="engine"):
        config(tmp_path, "tensorflow")


def config(models, engine: str) -> NodeConfig:
    return NodeConfig.model_validate(
        {
            "node": "n",
            "site": "s",
            "uplink": {"broker": "mqtt://h:1883", "cloud": "https://h"},
            "models": str(models),
            "engine": engine,
        },
        context={"folder": models},
    )
