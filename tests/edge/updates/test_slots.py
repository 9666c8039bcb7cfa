"""A release that passes takes over on trial; one that does not leaves what runs alone; a bad one is taken back."""

from pathlib import Path

import pytest

from contract.detections import Detection
from contract.manifest import Manifest
from contract.records import ModelRef
from edge.updates.release import hash_file
from edge.updates.slots import STARTS, Accepted, ModelSlots, Refused
from edge.updates.state import Notes, Offer, Record, Slot
from edge.updates.watch import FAILURES, FRAMES, Verdict, Watch
from edge.vision.engine import Engine, EngineError, load_engine
from edge.vision.picture import Bgr
from tests.edge.updates.releases import SPOT, rewrite_manifest, write_release


def build(manifest: Manifest, folder: Path) -> Engine:
    """The real engine."""
    return load_engine(manifest, folder, threads=1)


@pytest.fixture
def slots(tmp_path: Path) -> ModelSlots:
    """An empty box."""
    return ModelSlots(tmp_path)


def staged(slots: ModelSlots, version: str, **changes: object) -> Slot:
    """A release as the update client leaves it."""
    folder = slots.folder("fire", Slot(version, ""))
    write_release(folder, version)
    if changes:
        rewrite_manifest(folder, **changes)
    sha256 = hash_file(folder / "manifest.json")
    Notes(folder.parent.parent).write_offer("fire", Offer(version=version, sha256=sha256))
    return Slot(version, sha256)


def run(slots: ModelSlots, version: str) -> Slot:
    """A release that was tried and runs, past its trial."""
    slot = staged(slots, version)
    accept(slots, slot)
    slots.commit("fire", slot)
    slots.keep("fire")
    return slot


def accept(slots: ModelSlots, slot: Slot) -> None:
    """Try a release that must pass."""
    outcome = slots.try_release("fire", slot, build)
    assert isinstance(outcome, Accepted), outcome
    outcome.engine.close()


def test_release_that_passes_runs_and_the_one_before_is_kept(slots: ModelSlots) -> None:
    first = run(slots, "1.0.0")
    second = staged(slots, "1.1.0")
    accept(slots, second)
    assert slots.active("fire") == first
    slots.commit("fire", second, before_ms=4.5)

    assert slots.record("fire") == Record(active=second, previous=first, trial=True, before_ms=4.5)
    assert slots.active("fire") == second
    assert slots.waiting() == []


def test_two_slots_are_kept_and_older_ones_deleted(slots: ModelSlots) -> None:
    first, second, third = (run(slots, version) for version in ("1.0.0", "1.1.0", "1.2.0"))
    assert not slots.folder("fire", first).exists()
    assert slots.folder("fire", second).exists()
    assert slots.folder("fire", third).exists()


def test_failed_golden_sample_is_refused_once_and_what_runs_goes_on(slots: ModelSlots) -> None:
    first = run(slots, "1.0.0")
    folder = slots.folder("fire", Slot("1.1.0", ""))
    write_release(folder, "1.1.0", expected=(Detection("fire", SPOT.score, (0.6, 0.6, 0.9, 0.9)),))
    bad = Slot("1.1.0", hash_file(folder / "manifest.json"))
    Notes(folder.parent.parent).write_offer("fire", Offer(version="1.1.0", sha256=bad.sha256))

    outcome = slots.try_release("fire", bad, build)
    assert isinstance(outcome, Refused)
    assert "golden sample golden/spot.png: expected fire 0.96 at (0.60, 0.60, 0.90, 0.90); found fire" in outcome.reason
    assert slots.active("fire") == first
    assert slots.waiting() == []
    health = slots.health("fire", ModelRef(name="fire", version="1.0.0"))
    assert (health.version, health.state, health.offered) == ("1.0.0", "refused", "1.1.0")
    assert health.reason == outcome.reason

    run(slots, "1.2.0")
    assert slots.health("fire", ModelRef(name="fire", version="1.2.0")).state == "active"


def test_file_changed_after_staging_is_refused(slots: ModelSlots) -> None:
    slot = staged(slots, "1.0.0")
    model = slots.folder("fire", slot) / "orange.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    outcome = slots.try_release("fire", slot, build)
    assert isinstance(outcome, Refused)
    assert "orange.onnx was changed" in outcome.reason


def test_release_that_was_never_offered_is_refused(slots: ModelSlots) -> None:
    slot = staged(slots, "1.0.0")
    assert isinstance(slots.try_release("fire", Slot("1.0.0", "0" * 64), build), Refused)
    assert isinstance(slots.try_release("fire", slot, build), Accepted)


def test_model_that_cannot_be_loaded_is_refused(slots: ModelSlots) -> None:
    slot = staged(slots, "1.0.0", labels=(), thresholds={})
    outcome = slots.try_release("fire", slot, build)
    assert isinstance(outcome, Refused)


def test_roll_back_returns_to_the_one_before_and_does_not_try_again(slots: ModelSlots) -> None:
    first = run(slots, "1.0.0")
    second = staged(slots, "1.1.0")
    slots.commit("fire", second)
    assert slots.roll_back("fire", "takes 90 ms") == first
    assert slots.waiting() == []
    health = slots.health("fire", ModelRef(name="fire", version="1.0.0"))
    assert (health.state, health.offered, health.reason) == ("rolled-back", "1.1.0", "takes 90 ms")


def test_first_release_over_the_air_goes_back_to_what_the_box_came_with(slots: ModelSlots) -> None:
    slots.commit("fire", staged(slots, "1.0.0"))
    assert slots.roll_back("fire", "bad") is None


def test_deaths_of_vision_in_a_trial_take_the_release_back(slots: ModelSlots) -> None:
    first = run(slots, "1.0.0")
    second = staged(slots, "1.1.0")
    slots.commit("fire", second)
    starts = [slots.start("fire") for _ in range(STARTS)]
    assert starts == [second] * (STARTS - 1) + [first]
    assert slots.record("fire").reason == f"vision ended {STARTS} times in the trial of 1.1.0"


def test_clean_stops_and_deaths_after_the_trial_take_nothing_back(slots: ModelSlots) -> None:
    slot = staged(slots, "1.0.0")
    slots.commit("fire", slot)
    for _ in range(2 * STARTS):
        assert slots.start("fire") == slot
        slots.stopped("fire")
    slots.keep("fire")
    assert [slots.start("fire") for _ in range(2 * STARTS)] == [slot] * 2 * STARTS


def test_deaths_of_vision_while_a_release_is_tried_refuse_it(slots: ModelSlots) -> None:
    class PowerCutError(BaseException):
        pass

    def die(manifest: Manifest, folder: Path) -> Engine:
        raise PowerCutError

    slot = staged(slots, "1.0.0")
    for _ in range(STARTS):
        assert slots.waiting() == [("fire", slot)]
        with pytest.raises(PowerCutError):
            slots.try_release("fire", slot, die)
    outcome = slots.try_release("fire", slot, build)
    assert outcome == Refused(f"vision ended {STARTS} times while 1.0.0 was tried")
    assert slots.waiting() == []


@pytest.mark.parametrize("file", ["orange.onnx", "manifest.json", "golden/spot.png"])
def test_damaged_release_gives_way_to_the_one_before(slots: ModelSlots, file: str) -> None:
    first, second = run(slots, "1.0.0"), run(slots, "1.1.0")
    (slots.folder("fire", second) / file).write_bytes(b"rot")
    assert slots.active("fire") == first
    assert slots.start("fire") == first
    assert slots.record("fire").turned_down == ()
    (slots.folder("fire", first) / file).unlink()
    assert slots.start("fire") is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"active": 3}', b"\x00" * 100])
def test_unreadable_record_falls_back_to_what_the_box_came_with(slots: ModelSlots, raw: bytes) -> None:
    slot = run(slots, "1.0.0")
    (slots.folder("fire", slot).parent / "active").write_bytes(raw)
    assert slots.start("fire") is None
    assert slots.waiting() == [("fire", slot)]


def test_engine_that_fails_on_a_golden_sample_is_closed(slots: ModelSlots) -> None:
    class Broken:
        closed = False

        @property
        def model(self) -> ModelRef:
            return ModelRef(name="fire", version="1.0.0")

        @property
        def thresholds(self) -> dict[str, float]:
            return {"fire": 0.5}

        def detect(self, image: Bgr, slack: float = 1.0) -> list[Detection]:
            raise EngineError("no")

        def warm_up(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    engine = Broken()
    outcome = slots.try_release("fire", staged(slots, "1.0.0"), lambda *_: engine)
    assert outcome == Refused("golden sample golden/spot.png: no")
    assert engine.closed


def test_trial_passes_after_its_frames() -> None:
    watch = Watch(before_ms=10.0)
    verdicts = [watch.saw(12.0) for _ in range(FRAMES)]
    assert verdicts == [Verdict.OPEN] * (FRAMES - 1) + [Verdict.PASSED]


def test_slow_release_fails_its_trial_though_one_slow_frame_does_not() -> None:
    watch = Watch(before_ms=10.0)
    assert watch.saw(500.0) is Verdict.OPEN
    while watch.saw(31.0) is Verdict.OPEN:
        pass
    assert watch.verdict is Verdict.FAILED
    assert watch.reason == "takes 31 ms a frame; the one before took 10 ms"


def test_release_that_throws_fails_its_trial() -> None:
    watch = Watch(before_ms=10.0)
    assert [watch.failed("no") for _ in range(FAILURES)][-1] is Verdict.FAILED
    assert "failed 3 times within 3 frames, last: no" in watch.reason


def test_noise_of_a_tiny_model_is_no_reason() -> None:
    watch = Watch(before_ms=0.5)
    assert [watch.saw(5.0) for _ in range(FRAMES)][-1] is Verdict.PASSED
