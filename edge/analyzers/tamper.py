"""Tampering: a camera that still gives pictures, but none worth looking at.

Judged from a small grey copy of each frame: black (``dark``), one flat grey (``covered``), gone soft against its own
past (``defocused``), or the very same picture over and over (``frozen``).
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from contract.ids import Micros
from contract.records import Event, Phase, Scalar
from edge.analyzers.events import SECOND, EventIds, revise

Luma = NDArray[np.uint8]
"""``[h, w]``, a frame's brightness at a small size, 0 to 255."""


@dataclass(frozen=True)
class TamperSettings:
    """Limits in grey levels (0 to 255) and seconds. Chosen on this project's own clips."""

    dark: float = 12.0
    """The brightest hundredth of the picture is darker than this."""
    flat: float = 4.0
    """Standard deviation below which a picture shows nothing."""
    soft: float = 0.3
    """Sharpness below this share of what the camera usually has."""
    hold_s: float = 10.0
    frozen_s: float = 60.0
    """Compressed pictures of a still scene may repeat for a while."""
    clear_s: float = 5.0
    learn_s: float = 60.0
    """How slowly the usual sharpness follows."""


@dataclass(frozen=True)
class PictureState:
    """What one small grey picture tells: grey levels, and sharpness as the variance of its Laplacian."""

    bright: float
    spread: float
    sharpness: float
    same: bool
    """Not one pixel differs from the picture before."""


REASONS: Final = ("dark", "covered", "frozen", "defocused")


def judge_picture(luma: Luma, before: Luma | None) -> PictureState:
    """Measure one frame, and compare it with the one before."""
    return PictureState(
        bright=float(np.percentile(luma, 99)),
        spread=float(luma.std()),
        sharpness=float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        same=before is not None and before.shape == luma.shape and bool(np.array_equal(luma, before)),
    )


class TamperAnalyzer:
    """One camera; attrs of its events: ``reason`` and ``sharpness_share`` (of what is usual).

    Args:
        source: the camera.
        ids: names for events.
        opened: the event that an earlier run left open.
    """

    def __init__(
        self, source: str, ids: EventIds, opened: Event | None = None, settings: TamperSettings = TamperSettings()
    ) -> None:
        self._source, self._ids, self._settings = source, ids, settings
        self._usual: float | None = None
        self._known_s = 0.0
        self._since: dict[str, Micros] = {}
        self._fine: Micros | None = None
        self._last: Micros | None = None
        self.event = opened
        """The open event, in its last revision."""

    @property
    def suspicious(self) -> bool:
        """Something is wrong with the picture now."""
        return bool(self._since)

    def observe(self, state: PictureState, captured: Micros) -> list[Event]:
        """One frame; returns the revision it gave rise to, if any."""
        wrong = self._wrong(state)
        self._learn(state, captured, wrong)
        self._since = {reason: min(self._since.get(reason, captured), captured) for reason in wrong}
        rules = self._settings
        reason = next((r for r in REASONS if self._lasted(r, captured)), None)
        if self.event is None:
            return [self._open(reason, state, captured)] if reason is not None else []
        serious = wrong - {"frozen"} or ("frozen" in wrong and self.event.attrs.get("reason") == "frozen")
        if serious:
            self._fine = None
            return []
        self._fine = captured if self._fine is None else min(self._fine, captured)
        if captured - self._fine < rules.clear_s * SECOND:
            return []
        closed = revise(self.event, Phase.CLOSE, captured)
        self.event, self._fine = None, None
        return [closed]

    def _wrong(self, state: PictureState) -> set[str]:
        rules = self._settings
        wrong: set[str] = set()
        if state.bright < rules.dark:
            wrong.add("dark")
        elif state.spread < rules.flat:
            wrong.add("covered")
        elif self._known_s >= rules.hold_s and state.sharpness < rules.soft * (self._usual or 0.0):
            wrong.add("defocused")
        if state.same:
            wrong.add("frozen")
        return wrong

    def _learn(self, state: PictureState, captured: Micros, wrong: set[str]) -> None:
        """The usual sharpness follows slowly, and not at all while something is wrong."""
        step = 0.0 if self._last is None else min(5.0, max(0.0, (captured - self._last) / SECOND))
        self._last = captured
        if wrong:
            return
        self._known_s += step
        share = min(1.0, step / min(self._settings.learn_s, max(self._known_s, 1e-3)))
        self._usual = state.sharpness if self._usual is None else self._usual + share * (state.sharpness - self._usual)

    def _lasted(self, reason: str, now: Micros) -> bool:
        hold = self._settings.frozen_s if reason == "frozen" else self._settings.hold_s
        return reason in self._since and now - self._since[reason] >= hold * SECOND

    def _open(self, reason: str, state: PictureState, captured: Micros) -> Event:
        attrs: dict[str, Scalar] = {"reason": reason}
        if self._usual:
            attrs["sharpness_share"] = round(state.sharpness / self._usual, 3)
        self._fine = None
        self.event = Event(
            id=self._ids(),
            kind="tamper",
            phase=Phase.OPEN,
            revision=1,
            time=captured,
            started=self._since[reason],
            source=self._source,
            attrs=attrs,
            detected=captured,
        )
        return self.event
