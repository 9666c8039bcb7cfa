"""Which library runs a release on this box, and which of its artefacts.

ONNX Runtime is on every box. OpenVINO runs the same artefacts and is taken where ``node.yaml`` asks for it. A neural or
graphics processor is taken by itself where the release has an artefact for it and its maker's library is installed.
"""

import importlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contract.manifest import Artefact
from edge.vision.engine import EngineError

FALLBACK: Final = "onnx-fp32"
TARGETS: Final = {"x86_64": "x86-u8s8", "AMD64": "x86-u8s8", "aarch64": "arm64-s8s8", "arm64": "arm64-s8s8"}
"""The artefact for a machine, by ``platform.machine()``; one INT8 file cannot serve all."""
AUTO: Final = "auto"


@dataclass(frozen=True)
class Kind:
    """A library that can run a release."""

    name: str
    package: str
    """What is imported."""
    install: str
    """How an installer gets it."""
    hardware: bool = False
    """Takes the artefact named after it alone, at the manifest's one shape; untested until a board has run it."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("onnxruntime", "onnxruntime", "pip install 'vedette[edge]'"),
        Kind("openvino", "openvino", "pip install 'vedette[openvino]'"),
        Kind(
            "tensorrt", "tensorrt", "it comes with JetPack; elsewhere pip install tensorrt cuda-python", hardware=True
        ),
        Kind("rknn", "rknnlite.api", "Rockchip's rknn-toolkit-lite2, a wheel for the board", hardware=True),
        Kind("hailo", "hailo_platform", "the HailoRT package of Hailo's developer zone", hardware=True),
    )
}
"""By the name that ``engine`` of ``node.yaml`` has; of hardware the first that fits is taken."""


@dataclass(frozen=True)
class Choice:
    """What runs, and on which artefact."""

    engine: str
    target: str

    @property
    def hardware(self) -> bool:
        """Whether it is a neural or graphics processor: one shape, and untested until a board has run it."""
        return KINDS[self.engine].hardware

    def __str__(self) -> str:
        return f"{self.target} on {self.engine}{' (untested adapter)' if self.hardware else ''}"


def choose(
    artefacts: Mapping[str, Artefact], engine: str = AUTO, target: str | None = None, machine: str | None = None
) -> Choice:
    """What shall run a release.

    Args:
        artefacts: of the release, by target.
        engine: a key of ``KINDS``, or ``auto``: the first hardware with an artefact and a library, else ONNX Runtime.
        target: the artefact, where it is not to be chosen.
        machine: as ``platform.machine()`` names it; this one when left out.

    Raises:
        EngineError: no such engine; no artefact for it; its library is not installed.
    """
    if engine != AUTO and engine not in KINDS:
        raise EngineError(f"no engine {engine!r}; there are {AUTO}, {', '.join(KINDS)}")
    if target is not None and target not in artefacts:
        raise EngineError(f"there is no artefact {target!r}; the release has {sorted(artefacts)}")
    kind = KINDS[engine] if engine != AUTO else _by_itself(artefacts, target)
    wanted = _wanted(kind, machine or platform.machine())
    if target is not None and (target != kind.name if kind.hardware else _is_hardware(target)):
        raise EngineError(f"engine {kind.name!r} does not run the artefact {target!r}; it runs {' or '.join(wanted)}")
    found = target or next((name for name in wanted if name in artefacts), None)
    if found is None:
        needed = " or ".join(repr(name) for name in wanted)
        where = kind.name if kind.hardware else f"{machine or platform.machine()} ({kind.name})"
        raise EngineError(f"no artefact for {where}: needed is {needed}, found {sorted(artefacts)}")
    return Choice(kind.name, found)


def require(kind: Kind, artefacts: Mapping[str, Artefact]) -> None:
    """See that an engine's library is there.

    Raises:
        EngineError: it is not; says how to get it and which other engine would do for these artefacts.
    """
    try:
        importlib.import_module(kind.package)
    except (ImportError, OSError) as error:
        instead = [other.name for other in KINDS.values() if other != kind and _serves(other, artefacts)]
        raise EngineError(
            f"engine {kind.name!r} cannot be used: {error}. Install it ({kind.install}), or set engine in node.yaml to "
            f"{' or '.join(instead) or 'one that is installed'}"
        ) from error


def is_installed(kind: Kind) -> bool:
    """Whether an engine's library can be imported."""
    try:
        importlib.import_module(kind.package)
    except (ImportError, OSError):
        return False
    return True


def _by_itself(artefacts: Mapping[str, Artefact], target: str | None) -> Kind:
    """Hardware whose artefact was asked for, or is there with its library; else ONNX Runtime."""
    for kind in KINDS.values():
        if kind.hardware and (
            kind.name == target or (target is None and kind.name in artefacts and is_installed(kind))
        ):
            return kind
    return KINDS["onnxruntime"]


def _wanted(kind: Kind, machine: str) -> tuple[str, ...]:
    """The artefacts that suit an engine, best first."""
    if kind.hardware:
        return (kind.name,)
    processor = tuple(dict.fromkeys((TARGETS.get(machine, FALLBACK), FALLBACK)))
    return ("openvino", *processor) if kind.name == "openvino" else processor


def _serves(kind: Kind, artefacts: Mapping[str, Artefact]) -> bool:
    return any(name in artefacts for name in _wanted(kind, platform.machine())) and is_installed(kind)


def _is_hardware(target: str) -> bool:
    return target in KINDS and KINDS[target].hardware
