"""Frame slots: what a reader takes for good has not changed under it, and nobody waits for anybody."""

import multiprocessing
import time
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

import numpy as np
import pytest

from edge.sources.frames import SLOTS, FrameReader, FramesError, FrameWriter, Image


def picture(value: int, height: int = 48, width: int = 64) -> Image:
    return np.full((height, width, 3), value % 251, dtype=np.uint8)


class Clock:
    """Monotonic nanoseconds that move when told to."""

    def __init__(self) -> None:
        self.now = 10**12

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lobby"


def test_a_frame_arrives_whole_with_its_time(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    assert reader.latest() is None
    assert writer.write(picture(7), captured=1_700_000_000_000_000)
    frame = reader.latest()
    assert frame is not None
    assert frame.captured == 1_700_000_000_000_000
    assert frame.monotonic_ns == clock.now
    assert (frame.image == 7).all()
    assert frame.release()


def test_a_camera_that_does_not_exist_yet_has_no_frame(path: Path) -> None:
    assert FrameReader(path).latest() is None


def test_only_a_newer_frame_is_news(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    writer.write(picture(1), captured=1)
    first = reader.latest()
    assert first is not None
    assert first.release()
    assert reader.latest(first.sequence) is None
    for value in (2, 3):
        writer.write(picture(value), captured=value)
    newest = reader.latest(first.sequence)
    assert newest is not None
    assert newest.captured == 3
    assert newest.sequence == first.sequence + 2, "the one in between is known to be missed"


def test_a_leased_frame_stays_while_the_writer_goes_on(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    writer.write(picture(1), captured=1)
    frame = reader.latest()
    assert frame is not None
    for value in range(2, 20):
        assert writer.write(picture(value), captured=value)
    assert (frame.image == 1).all()
    assert frame.release()


def test_a_frame_that_finds_every_slot_leased_is_dropped_and_counted(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    held = []
    for value in range(SLOTS):
        assert writer.write(picture(value), captured=value + 1)
        held.append(reader.latest())
    assert not writer.write(picture(99), captured=99)
    assert writer.dropped == 1
    assert held[0] is not None
    assert held[0].release()
    assert writer.write(picture(99), captured=99), "a slot given back is used again"


def test_a_dead_readers_lease_runs_out(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    for value in range(SLOTS):
        writer.write(picture(value), captured=value + 1)
        assert reader.latest() is not None
    assert not writer.write(picture(5), captured=5)
    clock.pass_s(2.1)
    assert writer.write(picture(5), captured=5)


def test_a_reader_that_looked_too_long_is_told(path: Path, clock: Clock) -> None:
    writer, reader = FrameWriter(path, 64, 48, clock), FrameReader(path, clock=clock)
    writer.write(picture(1), captured=1)
    frame = reader.latest()
    assert frame is not None
    clock.pass_s(2.1)
    for value in range(2, 2 + SLOTS):
        assert writer.write(picture(value), captured=value)
    assert not frame.release()


def test_two_readers_do_not_take_each_others_lease_away(path: Path, clock: Clock) -> None:
    writer = FrameWriter(path, 64, 48, clock)
    writer.write(picture(1), captured=1)
    mine, other = FrameReader(path, clock=clock).latest(), FrameReader(path, lease_s=3, clock=clock).latest()
    assert mine is not None
    assert other is not None
    assert mine.release()
    for value in range(2, 20):
        assert writer.write(picture(value), captured=value)
    assert (other.image == 1).all()
    assert other.release()


def test_a_reader_cannot_change_a_frame(path: Path) -> None:
    writer, reader = FrameWriter(path, 64, 48), FrameReader(path)
    writer.write(picture(1), captured=1)
    frame = reader.latest()
    assert frame is not None
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 0


def test_a_reader_follows_a_restarted_writer_and_a_new_size(path: Path) -> None:
    reader = FrameReader(path)
    FrameWriter(path, 64, 48).write(picture(1), captured=1)
    old = reader.latest()
    assert old is not None
    FrameWriter(path, 32, 24).write(picture(2, 24, 32), captured=2)
    new = reader.latest(old.sequence)
    assert new is not None, "the restarted writer's numbers go on above the old one's"
    assert new.image.shape == (24, 32, 3)
    assert (old.image == 1).all(), "the old mapping lives as long as somebody looks at it"
    assert old.release()


def test_a_writer_that_died_in_the_middle_of_a_frame_leaves_the_others_readable(path: Path) -> None:
    writer, reader = FrameWriter(path, 64, 48), FrameReader(path)
    writer.write(picture(1), captured=1)
    writer.write(picture(2), captured=2)
    newest = writer._slots
    slot = max(range(SLOTS), key=lambda slot: newest.get(slot, 1))
    newest.put(slot, 0, newest.get(slot, 0) + 1)
    frame = reader.latest()
    assert frame is not None
    assert frame.captured == 1


def test_a_frame_of_another_size_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        FrameWriter(path, 64, 48).write(picture(1, 24, 32), captured=1)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FramesError, match="--run-dir"):
        FrameWriter(tmp_path / "absent" / "lobby", 64, 48)


def hammer(path: Path, stop: Flag) -> None:
    """Write as fast as can be; every pixel of a frame is its time of capture modulo 251."""
    writer = FrameWriter(path, 320, 180)
    value = 0
    while not stop.is_set():
        value += 1
        writer.write(picture(value, 180, 320), captured=value)


@pytest.mark.parametrize("lease_s", [0.0, 0.0005, 2.0])
def test_a_torn_frame_is_never_taken_for_good(path: Path, lease_s: float) -> None:
    """A writer at full speed against a reader that is slow; with a short lease, or none, pixels do change under it."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=hammer, args=(path, stop))
    process.start()
    try:
        reader, good, refused, sequence = FrameReader(path, lease_s), 0, 0, 0
        end = time.monotonic() + 20
        while time.monotonic() < end and (good < 300 or (lease_s == 0 and refused < 20)):
            frame = reader.latest(sequence)
            if frame is None:
                continue
            sequence = frame.sequence
            # Slow: row by row, and with more of a pause in every third frame than the short lease allows.
            rows = [bytes(frame.image[row]) for row in range(0, 180, 4)]
            if sequence % 3 == 0:
                time.sleep(0.002)
            rows.append(bytes(frame.image[179]))
            if not frame.release():
                refused += 1
                continue
            good += 1
            assert set(b"".join(rows)) == {frame.captured % 251}
        assert good >= 300
        if lease_s == 0:
            assert refused >= 20, "the test must have met torn frames"
        if lease_s == 2.0:
            assert refused == 0, "a lease that is kept keeps the frame"
    finally:
        stop.set()
        process.join(10)
        assert process.exitcode == 0
