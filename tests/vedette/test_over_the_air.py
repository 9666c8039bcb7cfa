"""A model over the air: published, assigned, tried on the box, and refused or taken back where it is not right."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.vedette.conftest import REPOSITORY, System, start_system, vedette
from tests.vedette.test_page import CHROMIUM, open_page

ZOO = REPOSITORY / "models" / "zoo" / "fire"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = start_system(tmp_path_factory.mktemp("air"))
    running.wait("the box", lambda: fire_on(running).get("version"), 90)
    yield running
    assert running.stop() == 0, running.tail()


def fire_on(system: System) -> dict[str, Any]:
    """What the demonstration's box says of its fire model."""
    nodes = [node for node in system.json("fleet", "nodes") if node["node"] == "box-1"]
    return next((model for node in nodes for model in node["models"] if model["name"] == "fire"), {})


def release(folder: Path, version: str, change: dict[str, Any] | None = None) -> Path:
    """The zoo's fire model under another version."""
    shutil.copytree(ZOO, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update({"version": version, **(change or {})})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def publish(system: System, folder: Path) -> None:
    vedette("models", "publish", "fire", "--folder", str(folder), "--data-dir", str(system.home))


def assign(system: System, version: str) -> dict[str, Any]:
    """Assign, and what the box reports of it."""
    done = vedette(
        "fleet", "assign", "demo/box-1", "fire", version, "--json", "--data-dir", str(system.home), check=False
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)["report"]
    assert report is not None, system.tail()
    return dict(report)


def test_zoo_model_is_published_and_offered(fleet: System) -> None:
    said = vedette("models", "publish", "fire", "--data-dir", str(fleet.home)).stdout
    assert "published fire" in said
    shipped = json.loads((ZOO / "manifest.json").read_text())["version"]
    assert [r["version"] for r in fleet.json("fleet", "releases") if r["name"] == "fire"] == [shipped]


def test_assigned_release_takes_over_and_the_page_says_so(fleet: System, tmp_path: Path) -> None:
    before = fire_on(fleet)["version"]
    publish(fleet, release(tmp_path / "better", "7.0.1"))
    report = assign(fleet, "7.0.1")
    assert (report["version"], report["state"]) == ("7.0.1", "active")
    assert before != "7.0.1"
    if CHROMIUM is not None:
        with open_page() as page:
            page.goto(fleet.url)
            expect(page.locator("[data-testid=model][data-model=fire]")).to_have_text("fire 7.0.1", timeout=20_000)


def test_changed_byte_is_refused_and_the_old_one_goes_on(fleet: System, tmp_path: Path) -> None:
    publish(fleet, release(tmp_path / "tampered", "7.0.2"))
    manifest = json.loads((tmp_path / "tampered" / "manifest.json").read_text())
    artefact = manifest["artefacts"]["x86-u8s8"]
    stored = [path for path in (fleet.home / "tuf").rglob(f"{artefact['sha256']}.*") if "7.0.2" in str(path)]
    assert stored
    for path in stored:
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    report = assign(fleet, "7.0.2")
    assert (report["version"], report["state"], report["offered"]) == ("7.0.1", "refused", "7.0.2")


def test_release_that_fails_its_golden_samples_is_taken_back(fleet: System, tmp_path: Path) -> None:
    """A model that sees nothing where it must see a fire: its golden samples ask for what it cannot give."""
    golden = json.loads((ZOO / "manifest.json").read_text())["golden"]
    for sample in golden:
        sample["expected"] = [{"label": "fire", "score": 0.99, "box": [0.0, 0.0, 0.05, 0.05], "track": None}]
    publish(fleet, release(tmp_path / "blind", "7.0.3", {"golden": golden}))
    report = assign(fleet, "7.0.3")
    assert (report["version"], report["offered"]) == ("7.0.1", "7.0.3")
    assert report["state"] in ("refused", "rolled-back")
    assert "golden" in report["reason"]


def test_version_that_is_not_published_is_named(fleet: System) -> None:
    done = vedette("fleet", "assign", "demo/box-1", "fire", "9.9.9", "--data-dir", str(fleet.home), check=False)
    assert done.returncode == 2
    assert "9.9.9" in done.stderr
    done = vedette("models", "publish", "fyre", "--data-dir", str(fleet.home), check=False)
    assert done.returncode == 2
    assert "fire" in done.stderr
