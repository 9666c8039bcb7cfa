"""A drawn scene over time: what a camera would see, and where in it people, fire and smoke are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.backdrop import Backdrop, Lamp, glow, room, street
from vedette.drawn.flame import Box, Flame
from vedette.drawn.people import Walker, paint, walker
from vedette.drawn.smoke import Smoke

Kind = Literal["fire", "quiet", "people"]
KINDS: tuple[Kind, ...] = get_args(Kind)
GROWTH = 14.0  # seconds from the first flame to the full fire
WORD = "DRAWN"
NOISE_ROOM = 64  # pixels by which the field of noise is larger than the picture


@dataclass(frozen=True)
class Mark:
    """Something in a frame: `person`, `vehicle`, `fire` or `smoke`, and its box x1, y1, x2, y2 in pixels."""

    label: str
    box: Box


@dataclass(frozen=True)
class Frame:
    """A drawn picture (HxWx3 BGR uint8) and what is in it."""

    image: NDArray[np.uint8]
    marks: tuple[Mark, ...]


class Scene:
    """A scene of `kind`, all of it decided by `seed`.

    `fire` is quiet until `ignition` seconds, then a flame grows and smoke rises. `quiet` has lamps, cars, perhaps
    someone passing. `people` has several. `frame(t)` depends on nothing but the scene and `t`, so frames may be asked
    for in any order.

    Raises `ValueError` for an unknown kind or a picture under 64x64.
    """

    def __init__(
        self,
        kind: Kind,
        seed: int,
        width: int = 640,
        height: int = 360,
        ignition: float = 6.0,
        place: str | None = None,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"scene kind '{kind}' is not one of {', '.join(KINDS)}")
        if min(width, height) < 64:
            raise ValueError(f"a scene of {width}x{height} pixels is too small; 64x64 is the least")
        rng = np.random.default_rng([seed, KINDS.index(kind)])
        self.kind, self.seed, self.width, self.height, self.ignition = kind, seed, width, height, ignition
        where = place or str(rng.choice(["street", "room"], p=[0.62, 0.38]))
        self.backdrop: Backdrop = (street if where == "street" else room)(rng, width, height)
        count = {"fire": rng.integers(0, 3), "quiet": rng.integers(0, 2), "people": rng.integers(2, 7)}[kind]
        crowd = [walker(rng, width, height, self.backdrop.floors) for _ in range(int(count))]
        self.walkers: tuple[Walker, ...] = tuple(sorted(crowd, key=lambda who: who.foot))
        floors = self.backdrop.floors
        foot = float(rng.uniform(*floors[int(rng.integers(len(floors)))]))
        self.flame = Flame(rng, float(rng.uniform(0.2, 0.8)) * width, foot)
        self.tall = height * float(rng.uniform(0.22, 0.52))
        self.wide = self.tall * float(rng.uniform(0.55, 0.95))
        self.smoke = Smoke(rng, self.flame.x, foot - self.tall * 0.4, self.tall * 0.72)
        self.smoke_strength = float(rng.uniform(0.45, 1.0))
        self.flicker = float(rng.uniform(0, 0.03))
        field = (height + NOISE_ROOM, width + NOISE_ROOM)
        self.grain = rng.standard_normal((*field, 1), np.float32) + 0.5 * rng.standard_normal((*field, 3), np.float32)
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        self.vignette = (1 - 0.16 * (x * x + y * y)).astype(np.float32)[..., None]

    def grown(self, t: float) -> float:
        """How far the fire has grown at time `t`, 0 to 1."""
        if self.kind != "fire" or t < self.ignition:
            return 0.0
        return float(min(1.0, 0.12 + 0.88 * ((t - self.ignition) / GROWTH) ** 0.8))

    def frame(self, t: float) -> Frame:
        """The picture at time `t` (seconds, 0 or later) and the boxes in it."""
        rng = np.random.default_rng([self.seed, 7, round(t * 1000)])
        size = self.grown(t)
        canvas = self.backdrop.picture.copy()
        marks: list[Mark] = [Mark("vehicle", box) for box in self.backdrop.cars]
        high, wide = self.tall * size, self.wide * size
        fire: Lamp | None = None
        if size > 0:
            flicker = self.flame.flicker(t)
            reach = (0.5 + 1.6 * high / self.height) * self.height * 0.62
            fire = Lamp(self.flame.x, self.flame.y - high * 0.45, reach, (0.10, 0.42, 0.95), 0.62 * flicker)
            shine(canvas, fire)
        walkers = [who for who in self.walkers if who.foot < self.flame.y or size == 0]
        marks += self._walk(canvas, walkers, t, fire)
        if fire is not None:
            self._burn(canvas, marks, t, wide, high, fire)
            marks += self._walk(canvas, [who for who in self.walkers if who.foot >= self.flame.y], t, fire)
        return Frame(self._expose(canvas, rng), tuple(m for m in marks if inside(m, self.width, self.height)))

    def _walk(self, canvas: NDArray[np.float32], walkers: list[Walker], t: float, fire: Lamp | None) -> list[Mark]:
        marks = []
        for who in walkers:
            light = self.backdrop.ambient
            if fire is not None:
                near = abs(who.x(t) - fire.x) / fire.radius
                light += 0.5 * fire.strength / (1 + 3 * near**2)
            box = paint(canvas, loop(who, t, self.width), t, min(light, 1.1))
            if box is not None:
                marks.append(Mark("person", box))
        return marks

    def _burn(
        self, canvas: NDArray[np.float32], marks: list[Mark], t: float, wide: float, high: float, fire: Lamp
    ) -> None:
        char(canvas, self.flame.x, self.flame.y, wide)
        shape = (self.height, self.width)
        cover = self.smoke.cover(t, self.ignition + 0.8, self.smoke_strength, shape)
        y, x = np.ogrid[: self.height, : self.width]
        away = ((x - fire.x) ** 2 + (y - fire.y) ** 2) / np.float32((high * 0.9 + 8) ** 2)
        lit = (0.55 * np.exp(-away)).astype(np.float32)
        light = np.array([1.0, 1.0, 1.0], np.float32) * (0.25 + 0.75 * self.backdrop.ambient)
        # Half of the smoke is behind the flames, half in front and higher up.
        smoke = self.smoke.paint(canvas, cover, light, lit)
        box = self.flame.paint(canvas, t, wide, high)
        if box is not None:
            marks.append(Mark("fire", box))
        if smoke is not None and (smoke[2] - smoke[0]) > 0.04 * self.width:
            marks.append(Mark("smoke", smoke))

    def _expose(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Light to pixels: gain, a soft shoulder, vignette, noise of the sensor, the word."""
        h, w = canvas.shape[:2]
        light = canvas * (self.vignette * np.float32(1 + self.flicker * rng.standard_normal()))
        bright = light > 0.8
        light[bright] = 0.8 + 0.2 * np.tanh((light[bright] - 0.8) / 0.2)
        dark = 1 - self.backdrop.ambient
        # The sensor's noise: one large field, laid at another place for every frame.
        y0, x0 = rng.integers(0, NOISE_ROOM, 2)
        grain = self.grain[y0 : y0 + h, x0 : x0 + w] * np.float32(0.008 + 0.013 * dark)
        image = np.clip((light + grain * np.sqrt(np.clip(light, 0.05, 1))) * 255, 0, 255).astype(np.uint8)
        return label(image)


def shine(canvas: NDArray[np.float32], fire: Lamp) -> None:
    """A fire's light on what stands around it."""
    h, w = canvas.shape[:2]
    y, x = np.ogrid[:h, :w]
    away = ((x - fire.x) ** 2 + ((y - fire.y) * 1.15) ** 2).astype(np.float32) / np.float32(fire.radius**2)
    light = (fire.strength / (1 + 2.2 * away) ** 1.6)[..., None] * np.array(fire.colour, np.float32)
    canvas += light * (0.12 + np.clip(canvas * 1.6, 0, 0.9))
    glow(canvas, fire, 0.12)


def char(canvas: NDArray[np.float32], x: float, y: float, wide: float) -> None:
    """What burns: a dark heap under the flame."""
    heap = np.zeros(canvas.shape[:2], np.float32)
    cv2.ellipse(heap, (int(x), int(y)), (int(wide * 0.62) + 2, int(wide * 0.16) + 2), 0, 0, 360, 0.85, -1, cv2.LINE_AA)
    canvas *= 1 - cv2.GaussianBlur(heap, (0, 0), 1.5 + wide * 0.03)[..., None]


def loop(who: Walker, t: float, width: int) -> Walker:
    """The walker, put back to the other side whenever the edge is passed, so that a scene never runs empty."""
    margin = who.tall * 0.5
    span = width + 2 * margin
    turns = np.floor((who.x(t) + margin) / span)
    return Walker(**{**who.__dict__, "x0": float(who.x0 - turns * span)})


def inside(mark: Mark, width: int, height: int) -> bool:
    """Whether enough of a box is in view to be asked of a detector."""
    x1, y1, x2, y2 = mark.box
    return min(x2, width) - max(x1, 0) >= 4 and min(y2, height) - max(y1, 0) >= 4


def label(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with the word DRAWN in its upper left corner."""
    scale = max(0.4, image.shape[0] / 560)
    thick = max(1, round(scale * 1.6))
    (wide, high), _ = cv2.getTextSize(WORD, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    cv2.rectangle(image, (0, 0), (wide + 14, high + 14), (24, 24, 24), -1)
    cv2.putText(image, WORD, (7, high + 7), cv2.FONT_HERSHEY_SIMPLEX, scale, (235, 235, 235), thick, cv2.LINE_AA)
    return image
