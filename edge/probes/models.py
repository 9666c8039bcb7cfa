"""Models: each loaded and run once, as the vision process would."""

import time

from edge.config import NodeConfig
from edge.probes.finding import Finding, Probe


def model_probes(config: NodeConfig) -> list[Probe]:
    """A probe for each detector that a camera asks for."""
    names = dict.fromkeys(name for camera in config.cameras.values() for name in camera.detectors)
    return [
        Probe("model", name, lambda name=name: try_model(config, name), 60.0)  # type: ignore[misc]
        for name in names
    ]


def try_model(config: NodeConfig, name: str) -> Finding:
    """Load the release the box came with and look at one empty picture."""
    from edge.vision.choice import choose
    from edge.vision.engine import EngineError, load_engine, read_release
    from edge.vision.zoo import shipped_release

    try:
        folder = shipped_release(config.models, name)
        manifest = read_release(folder)
        choice = choose(manifest.artefacts, config.engine)
        engine = load_engine(manifest, folder, config.threads, engine=choice.engine, target=choice.target)
        try:
            engine.warm_up()
            began = time.monotonic()
            engine.warm_up()
            took = (time.monotonic() - began) * 1000
        finally:
            engine.close()
    except EngineError as error:
        return Finding("model", name, ok=False, detail=str(error))
    size = f"{manifest.input.width}x{manifest.input.height}"
    detail = f"{manifest.version}, {choice}, {size}, {took:.0f} ms a picture; sees {', '.join(manifest.labels)}"
    return Finding("model", name, ok=True, detail=detail)
