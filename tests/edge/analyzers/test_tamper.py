"""A covered, blackened, defocused or frozen camera says so; a living scene does not."""

import cv2
import numpy as np
import pytest

from contract.records import Phase
from edge.analyzers.tamper import TamperAnalyzer, judge_picture
from edge.vision.motion import to_luma

from ..vision.clips import clip, frames
from .life import at, check_lives, names


class Camera:
    """A street with some noise, or what is made of it."""

    def __init__(self, opened=None) -> None:
        self.analyzer = TamperAnalyzer("gate", names(), opened)
        self.random = np.random.default_rng(1)
        self.before = None
        self.now = 0.0
        blocks = self.random.integers(40, 220, (12, 16), np.uint8)
        self.street = cv2.resize(blocks, (640, 360), interpolation=cv2.INTER_NEAREST)

    def show(self, seconds: float, change=lambda image: image, noise: int = 12) -> list:
        events = []
        for _ in range(round(seconds)):
            self.now += 1.0
            grain = self.random.integers(0, noise, self.street.shape, np.uint8) if noise else np.uint8(0)
            image = change(cv2.add(self.street, np.broadcast_to(grain, self.street.shape)))
            luma = to_luma(np.repeat(image[..., None], 3, axis=2))
            events += self.analyzer.observe(judge_picture(luma, self.before), at(self.now))
            self.before = luma
        return events


WRONG = {
    "dark": lambda image: image // 60,
    "covered": lambda image: image // 40 + 90,
    "defocused": lambda image: cv2.GaussianBlur(image, (0, 0), 20),
}


@pytest.mark.parametrize("reason", WRONG)
def test_it_tells_what_is_wrong_and_when_it_is_over(reason):
    camera = Camera()
    assert camera.show(30) == []
    (event,) = camera.show(20, WRONG[reason])
    assert (event.kind, event.phase, event.attrs["reason"]) == ("tamper", Phase.OPEN, reason)
    assert event.started == at(31)
    (closed,) = camera.show(10)
    assert (closed.id, closed.phase) == (event.id, Phase.CLOSE)


def test_a_frozen_picture_is_told_after_a_minute():
    camera = Camera()
    camera.show(10)
    assert camera.show(60, noise=0) == []
    (event,) = camera.show(5, noise=0)
    assert event.attrs["reason"] == "frozen"
    assert camera.show(10)[0].phase is Phase.CLOSE


def test_a_hand_before_the_lens_for_a_moment_is_nothing():
    camera = Camera()
    camera.show(20)
    assert camera.show(8, WRONG["covered"]) == []
    assert camera.show(20) == []


def test_after_a_restart_the_same_event_goes_on():
    camera = Camera()
    camera.show(20)
    (opened,) = camera.show(20, WRONG["dark"])
    again = Camera(opened)
    again.now = camera.now
    assert again.show(20, WRONG["dark"]) == []
    (closed,) = again.show(10)
    assert (closed.id, closed.revision) == (opened.id, 2)


@pytest.mark.parametrize(
    "name", ["house6.mp4", "one-by-one-person-detection.mp4", "car-detection.mp4", "traffic_camera.mp4"]
)
def test_real_scenes_are_left_alone(name):
    analyzer, before, events = TamperAnalyzer("gate", names()), None, []
    for now, image in frames(clip(name), 1.0):
        luma = to_luma(image)
        events += analyzer.observe(judge_picture(luma, before), at(now))
        before = luma
    assert check_lives(events) == []
