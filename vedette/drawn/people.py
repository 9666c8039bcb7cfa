"""People who walk past: jointed figures with a gait, clothes and a shadow."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.flame import Box

OVER = 3  # figures are drawn this many times larger and scaled down
STEP = 0.42  # length of a step, in body heights


@dataclass(frozen=True)
class Walker:
    """Someone who walks along a line: body height and foot line in pixels, speed in body heights a second."""

    x0: float
    foot: float
    tall: float
    speed: float
    phase: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    top: tuple[float, float, float]
    legs: tuple[float, float, float]
    coat: bool

    def x(self, t: float) -> float:
        """Where the body's middle is at time `t` (seconds), in pixels."""
        return self.x0 + self.speed * self.tall * t


def walker(rng: np.random.Generator, width: int, height: int, floors: tuple[tuple[float, float], ...]) -> Walker:
    """Someone at a random depth; the nearer, the taller."""
    band = floors[int(rng.integers(len(floors)))]
    foot = float(rng.uniform(*band))
    depth = (foot - floors[0][0]) / (floors[-1][1] - floors[0][0])
    tall = height * (0.25 + 0.3 * depth) * float(rng.uniform(0.9, 1.08))
    speed = float(rng.uniform(0.32, 0.75)) * (1 if rng.random() < 0.5 else -1)
    skin = np.array([0.55, 0.66, 0.86]) * rng.uniform(0.4, 1.05)
    return Walker(
        x0=float(rng.uniform(0.05, 0.95)) * width,
        foot=foot,
        tall=tall,
        speed=speed,
        phase=float(rng.uniform(0, 6.28)),
        skin=colour(skin),
        hair=colour(rng.uniform(0.03, 0.3) * np.array([0.7, 0.85, 1.0])),
        top=colour(rng.uniform(0.08, 0.75) + rng.uniform(-0.1, 0.22, 3)),
        legs=colour(rng.uniform(0.06, 0.4) + rng.uniform(-0.03, 0.14, 3) * np.array([1.2, 0.8, 0.6])),
        coat=bool(rng.random() < 0.35),
    )


def colour(value: NDArray[np.float64]) -> tuple[float, float, float]:
    """Three numbers as a colour from 0 to 1."""
    b, g, r = np.clip(value, 0.02, 1)
    return float(b), float(g), float(r)


def paint(canvas: NDArray[np.float32], who: Walker, t: float, ambient: float) -> Box | None:
    """Draw a walker at time `t` on a canvas of light. Returns the body's box in pixels, None when out of view."""
    h, w = canvas.shape[:2]
    x, tall = who.x(t), who.tall
    reach = tall * 0.42
    left, top = int(x - reach), int(who.foot - tall * 1.06)
    right, bottom = int(x + reach) + 1, int(who.foot + tall * 0.07)
    if right <= 2 or left >= w - 2:
        return None
    size = ((bottom - top) * OVER, (right - left) * OVER)
    ink, mask = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
    figure(ink, mask, who, t, ((x - left) * OVER, (who.foot - top) * OVER, tall * OVER))
    shape = (right - left, bottom - top)
    ink = np.asarray(cv2.resize(ink, shape, interpolation=cv2.INTER_AREA), np.float32)
    mask = np.asarray(cv2.resize(mask, shape, interpolation=cv2.INTER_AREA), np.float32)
    # Light comes from above and from one side: cloth is darker below and away from it.
    down = np.linspace(1.12, 0.78, shape[1], dtype=np.float32)[:, None]
    round_ = cv2.GaussianBlur(mask, (0, 0), tall * 0.035)
    side = 1 + 0.9 * (round_ - np.roll(round_, max(1, int(tall * 0.03)), 1))
    ink *= (down * side)[..., None] * ambient
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, w), min(bottom, h)
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    under = canvas[y0:y1, x0:x1]
    shade = np.zeros(shape[::-1], np.float32)
    cv2.ellipse(
        shade,
        (int(x - left), int(who.foot - top)),
        (int(tall * 0.2), int(tall * 0.035)),
        0,
        0,
        360,
        0.5,
        -1,
        cv2.LINE_AA,
    )
    under *= 1 - cv2.GaussianBlur(shade, (0, 0), tall * 0.02)[cut][..., None]
    under[:] = under * (1 - mask[cut][..., None]) + ink[cut]
    rows, columns = np.where(mask[cut] > 0.5)
    if len(rows) < 30:
        return None
    return (
        float(x0 + columns.min()),
        float(y0 + rows.min()),
        float(x0 + columns.max() + 1),
        float(y0 + rows.max() + 1),
    )


def figure(
    ink: NDArray[np.float32], mask: NDArray[np.float32], who: Walker, t: float, at: tuple[float, float, float]
) -> None:
    """The body itself: far limbs, trunk, head, near limbs, in the order of their distance."""
    x, foot, tall = at
    face = 1.0 if who.speed > 0 else -1.0
    swing = who.phase + 2 * math.pi * abs(who.speed) * t / (2 * STEP)
    bob = abs(math.cos(swing)) * 0.012 * tall
    hip, neck = foot - 0.49 * tall - bob, foot - 0.84 * tall - bob

    def limb(points: list[tuple[float, float]], tone: tuple[float, float, float], widths: tuple[float, float]) -> None:
        for n, (a, b) in enumerate(itertools.pairwise(points)):
            thick = max(2, int(tall * widths[min(n, 1)]))
            p, q = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
            cv2.line(ink, p, q, tone, thick, cv2.LINE_AA)
            cv2.line(mask, p, q, 1.0, thick, cv2.LINE_AA)

    def leg(angle: float, dim: float) -> None:
        thigh = 0.46 * math.sin(angle)
        bend = 0.30 + 0.5 * max(0.0, math.sin(angle - 1.9))
        knee = (x + face * math.sin(thigh) * 0.245 * tall, hip + math.cos(thigh) * 0.245 * tall)
        shin = thigh - bend * (0.35 + 0.65 * max(0.0, -math.cos(angle + 0.6)))
        ankle = (knee[0] + face * math.sin(shin) * 0.235 * tall, min(knee[1] + math.cos(shin) * 0.235 * tall, foot))
        limb([(x, hip), knee, ankle], tint(who.legs, dim), (0.095, 0.07))
        limb(
            [ankle, (ankle[0] + face * 0.075 * tall, ankle[1] + 0.008 * tall)],
            tint((0.1, 0.1, 0.1), dim),
            (0.045, 0.045),
        )

    def arm(angle: float, dim: float) -> None:
        lift = 0.5 * math.sin(angle)
        shoulder = (x, neck + 0.045 * tall)
        elbow = (shoulder[0] + face * math.sin(lift) * 0.17 * tall, shoulder[1] + math.cos(lift) * 0.17 * tall)
        fore = lift + 0.35
        hand = (elbow[0] + face * math.sin(fore) * 0.15 * tall, elbow[1] + math.cos(fore) * 0.15 * tall)
        limb([shoulder, elbow, hand], tint(who.top, dim), (0.068, 0.055))
        limb([hand, (hand[0], hand[1] + 0.02 * tall)], tint(who.skin, dim), (0.045, 0.045))

    arm(swing + math.pi, 0.72)
    leg(swing, 0.75)
    leg(swing + math.pi, 1.0)
    shoulder, waist = 0.105 * tall, 0.085 * tall
    hem = hip + (0.17 if who.coat else 0.03) * tall
    trunk = np.array(
        [
            [x - shoulder, neck + 0.05 * tall],
            [x - 0.05 * tall, neck],
            [x + 0.05 * tall, neck],
            [x + shoulder, neck + 0.05 * tall],
            [x + waist, hip],
            [x + waist * 1.08, hem],
            [x - waist * 1.08, hem],
            [x - waist, hip],
        ],
        np.int32,
    )
    cv2.fillPoly(ink, [trunk], who.top, cv2.LINE_AA)
    cv2.fillPoly(mask, [trunk], 1.0, cv2.LINE_AA)
    limb([(x, neck + 0.01 * tall), (x + face * 0.008 * tall, neck - 0.03 * tall)], tint(who.skin, 0.85), (0.06, 0.06))
    head = (int(x + face * 0.015 * tall), int(neck - 0.085 * tall))
    for target, tone, dark in ((ink, who.skin, who.hair), (mask, 1.0, 1.0)):
        cv2.ellipse(target, head, (int(tall * 0.058), int(tall * 0.075)), 0, 0, 360, tone, -1, cv2.LINE_AA)
        cap = (int(head[0] - face * 0.012 * tall), int(head[1] - 0.018 * tall))
        cv2.ellipse(target, cap, (int(tall * 0.06), int(tall * 0.064)), 0, 150, 390, dark, -1, cv2.LINE_AA)
    arm(swing, 0.92)


def tint(tone: tuple[float, float, float], share: float) -> tuple[float, float, float]:
    """A colour, dimmed."""
    return tone[0] * share, tone[1] * share, tone[2] * share
