"""From a release's folder to an engine: the artefact is read and checked, then the chosen library loads it."""

from pathlib import Path

import msgspec
import structlog

from contract.manifest import Manifest
from edge.vision.choice import KINDS, Choice, require
from edge.vision.count_engine import CountEngine
from edge.vision.engine import Engine, EngineError
from edge.vision.release_engine import ReleaseEngine
from edge.vision.runtimes.file import ModelFile, Runtime, check_spec, read_file

log = structlog.get_logger()


def load(manifest: Manifest, folder: Path, choice: Choice, threads: int, limit_s: float) -> Engine:
    """The release in ``folder``, run as chosen; see ``load_engine``.

    Raises:
        EngineError: no library for it; file missing, another hash, not what the library reads, another input or output
            than the manifest's.
    """
    artefact = manifest.artefacts[choice.target]
    path = folder / artefact.file
    # Hardware is compiled for one shape, so there a picture is letterboxed into the manifest's.
    spec = msgspec.structs.replace(manifest.input, shape="fixed") if choice.hardware else manifest.input
    check_spec(path, spec)
    require(KINDS[choice.engine], manifest.artefacts)
    raw = read_file(path, artefact)
    if choice.hardware:
        log.warning(
            "untested engine",
            engine=choice.engine,
            model=manifest.name,
            reason="written from its maker's documentation; no board has run it yet. engine: onnxruntime is tested",
        )
    file = ModelFile(path, raw, manifest, spec, threads, limit_s)
    kind = ReleaseEngine if manifest.counting is None else CountEngine
    engine = kind(file, _open(choice.engine, file), artefact.sha256)
    log.debug("engine loaded", engine=choice.engine, target=choice.target, model=manifest.name)
    return engine


def _open(engine: str, file: ModelFile) -> Runtime:
    """Each library is imported only here, and only when it is the one."""
    if engine == "onnxruntime":
        from edge.vision.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(file)
    if engine == "openvino":
        from edge.vision.runtimes.openvino import OpenVinoRuntime

        return OpenVinoRuntime(file)
    if engine == "tensorrt":
        from edge.vision.runtimes.tensorrt import TensorRtRuntime

        return TensorRtRuntime(file)
    if engine == "rknn":
        from edge.vision.runtimes.rknn import RknnRuntime

        return RknnRuntime(file)
    if engine == "hailo":
        from edge.vision.runtimes.hailo import HailoRuntime

        return HailoRuntime(file)
    raise EngineError(f"no engine {engine!r}; there are {', '.join(KINDS)}")
