"""Frames in shared memory: a few slots a camera, written by its capture process, read by whoever looks at them.

Only names travel between processes; the pixels stay in a file on a memory file system. There is no lock. Two things
keep a reader from acting on pixels that were changed under it:

- a **generation** a slot, odd while the slot is being written, one step higher after each write (a seqlock). It is
  what the guarantee rests on: ``LeasedFrame.release`` compares it, and says so when the pixels may have changed.
- a **lease** a slot, the time until which a reader asks the writer to leave it alone. It is a courtesy, so that
  the pixels seldom change: a reader that dies or hangs holds a slot for two seconds, not for ever.

Writer and reader each announce first and look second (the writer its odd generation, the reader its lease), with a
fence in between, so at least one of them sees the other (Dekker's argument).

A restarted writer makes a new file under the same name; readers notice and follow. Sequence numbers start at the
microseconds since the machine's start, so they go on rising across writers.
"""

import mmap
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract.ids import Micros

Image = npt.NDArray[np.uint8]
"""``[height, width, 3]``, BGR."""

SLOTS: Final = 4
LEASE_S: Final = 2.0

_MAGIC: Final = 0x5645_4446_524D_0001
_PAGE: Final = mmap.PAGESIZE
_GENERATION, _SEQUENCE, _CAPTURED, _MONOTONIC, _LEASE = range(5)
_FIELDS: Final = 8
"""64-bit words a slot: one cache line each, so that no two slots share one."""

Clock = Callable[[], int]
"""Monotonic nanoseconds, the same clock for every process of the machine."""


class FramesError(OSError):
    """The slots' file cannot be made; the text says why and what to do."""


class FrameSlots:
    """The slots' file, mapped: one page of header, then the pixels of each slot.

    Header, in unsigned 64-bit words: magic, slots, width, height, then at word 8 the slots' own words: generation,
    sequence, time of capture (microseconds since 1970), time of capture (monotonic nanoseconds), lease (monotonic
    nanoseconds). Aligned 64-bit loads and stores are single ones on every machine Vedette runs on.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        words = np.frombuffer(memory, dtype=np.uint64, count=_PAGE // 8)
        if int(words[0]) != _MAGIC or int(words[1]) != SLOTS:
            raise ValueError("not a file of frame slots of this release")
        self.width, self.height = int(words[2]), int(words[3])
        self.table = words[8 : 8 + SLOTS * _FIELDS].reshape(SLOTS, _FIELDS)
        shape = (self.height, self.width, 3)
        size, stride = _slot_size(self.width, self.height)
        self.pixels: list[Image] = [
            np.frombuffer(memory, dtype=np.uint8, count=size, offset=_PAGE + slot * stride).reshape(shape)
            for slot in range(SLOTS)
        ]
        self._held = threading.Lock()
        self._held.acquire()

    def get(self, slot: int, field: int) -> int:
        """One word of a slot."""
        return int(self.table[slot, field])

    def put(self, slot: int, field: int, value: int) -> None:
        """Store one word of a slot."""
        self.table[slot, field] = value

    def fence(self) -> None:
        """Nothing before it in the program is seen by another processor after what follows it.

        Giving up a lock is a release and taking it an acquire; one after the other they are a full fence, which x86
        needs between a store and a load, and ARM everywhere.
        """
        self._held.release()
        self._held.acquire()


class FrameWriter:
    """The capture process's side: makes the file, new under its name, and fills its slots.

    Args:
        path: the file; its folder exists and lies on a memory file system.
        width, height: of every picture, in pixels.
        clock: monotonic nanoseconds.

    Raises:
        FramesError: no room, or the folder cannot be written to.
    """

    def __init__(self, path: Path, width: int, height: int, clock: Clock = time.monotonic_ns) -> None:
        self._clock = clock
        self._slots = FrameSlots(_make(path, width, height))
        self._sequence = clock() // 1000
        self.dropped = 0
        """Frames that found every slot leased."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels."""
        return self._slots.width, self._slots.height

    def write(self, image: Image, captured: Micros) -> bool:
        """Put a frame into the oldest slot that nobody has leased.

        Args:
            image: ``[height, width, 3]``, BGR; copied.
            captured: when the frame reached this machine.

        Returns:
            False where every slot is leased: the frame is dropped and counted.

        Raises:
            ValueError: another size than the writer's.
        """
        slots = self._slots
        if image.shape != slots.pixels[0].shape:
            raise ValueError(f"frame of shape {image.shape} does not fit slots of {slots.pixels[0].shape}")
        for slot in sorted(range(SLOTS), key=lambda slot: slots.get(slot, _SEQUENCE)):
            generation = slots.get(slot, _GENERATION)
            if slots.get(slot, _LEASE) > self._clock():
                continue
            slots.put(slot, _GENERATION, generation + 1)
            slots.fence()
            if slots.get(slot, _LEASE) > self._clock():
                # A reader came in between; nothing has been written yet, so its frame is still whole.
                slots.put(slot, _GENERATION, generation)
                continue
            self._fill(slot, image, captured)
            slots.fence()
            slots.put(slot, _GENERATION, generation + 2)
            return True
        self.dropped += 1
        return False

    def _fill(self, slot: int, image: Image, captured: Micros) -> None:
        self._sequence += 1
        np.copyto(self._slots.pixels[slot], image)
        self._slots.put(slot, _SEQUENCE, self._sequence)
        self._slots.put(slot, _CAPTURED, captured)
        self._slots.put(slot, _MONOTONIC, self._clock())
        self._slots.put(slot, _LEASE, 0)


@dataclass(frozen=True)
class LeasedFrame:
    """A frame as it lies in its slot. Whatever was worked out from it counts only if ``release`` says True."""

    image: Image
    """``[height, width, 3]``, BGR, read-only, not a copy."""
    sequence: int
    """Rises by one with each frame of a writer; a restarted writer goes on higher up."""
    captured: Micros
    monotonic_ns: int
    """When the frame was written, by the monotonic clock all processes share."""
    _slots: FrameSlots
    _slot: int
    _generation: int
    _lease: int

    def release(self) -> bool:
        """Give the slot back.

        Returns:
            False if the lease had run out and the pixels may have changed under the reader: drop the result.
        """
        slots = self._slots
        slots.fence()
        whole = slots.get(self._slot, _GENERATION) == self._generation
        if whole and slots.get(self._slot, _LEASE) == self._lease:
            slots.put(self._slot, _LEASE, 0)
        return whole


class FrameReader:
    """The looking side: finds the newest frame of a camera. Needs no word with the writer, and survives its restart.

    Args:
        path: the slots' file; need not exist yet.
        lease_s: how long a frame may be looked at.
        clock: monotonic nanoseconds.
    """

    def __init__(self, path: Path, lease_s: float = LEASE_S, clock: Clock = time.monotonic_ns) -> None:
        self._path = path
        self._lease_ns = int(lease_s * 1e9)
        self._clock = clock
        self._slots: FrameSlots | None = None
        self._file: tuple[int, int] | None = None

    def latest(self, after_sequence: int = 0) -> LeasedFrame | None:
        """The newest whole frame with a sequence number above ``after_sequence``, leased; None where there is none."""
        slots = self._current()
        if slots is None:
            return None
        for slot in sorted(range(SLOTS), key=lambda slot: slots.get(slot, _SEQUENCE), reverse=True):
            if slots.get(slot, _SEQUENCE) <= after_sequence:
                return None
            frame = self._lease(slots, slot)
            if frame is not None:
                return frame if frame.sequence > after_sequence else None
        return None

    def _lease(self, slots: FrameSlots, slot: int) -> LeasedFrame | None:
        generation = slots.get(slot, _GENERATION)
        if generation % 2 or generation == 0:
            return None
        # Another reader's longer lease stays.
        lease = max(self._clock() + self._lease_ns, slots.get(slot, _LEASE))
        slots.put(slot, _LEASE, lease)
        slots.fence()
        sequence, captured, written = (slots.get(slot, field) for field in (_SEQUENCE, _CAPTURED, _MONOTONIC))
        slots.fence()
        if slots.get(slot, _GENERATION) != generation:
            return None
        image = slots.pixels[slot].view()
        image.flags.writeable = False
        return LeasedFrame(image, sequence, captured, written, slots, slot, generation, lease)

    def _current(self) -> FrameSlots | None:
        """The mapping of the file that has the name now. The old one's inode cannot come again while it is mapped."""
        try:
            found = self._path.stat()
            if (found.st_dev, found.st_ino) != self._file:
                with self._path.open("r+b") as opened:
                    self._slots = FrameSlots(mmap.mmap(opened.fileno(), 0))
                    found = os.fstat(opened.fileno())
                self._file = (found.st_dev, found.st_ino)
        except FileNotFoundError:
            return None
        return self._slots


def _slot_size(width: int, height: int) -> tuple[int, int]:
    """Bytes of a slot's pixels, and from one slot to the next: whole pages."""
    size = width * height * 3
    return size, -(-size // _PAGE) * _PAGE


def _make(path: Path, width: int, height: int) -> mmap.mmap:
    if width < 1 or height < 1:
        raise ValueError(f"frames of {width}x{height} pixels")
    size = _PAGE + SLOTS * _slot_size(width, height)[1]
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w+b") as file:
            # Room is taken now: writing to a hole on a full memory file system would be a SIGBUS later.
            os.posix_fallocate(file.fileno(), 0, size)
            memory = mmap.mmap(file.fileno(), size)
            header: npt.NDArray[Any] = np.frombuffer(memory, dtype=np.uint64, count=4)
            header[:] = (_MAGIC, SLOTS, width, height)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FramesError(
            f"frame slots {path} of {size} bytes cannot be made: {error.strerror}; free its file system"
            " or name another folder with --run-dir"
        ) from error
    return memory
