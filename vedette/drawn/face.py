"""Heads that face the camera: a modelled surface under a light, so that a face detector has something to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.flame import Box
from vedette.drawn.noise import Field, plane, tile
from vedette.drawn.people import colour

OVER = 3  # heads are drawn this many times larger and scaled down
REACH = 2.3  # half of the drawn square, in half heads: room for shoulders
Tone = tuple[float, float, float]
Plane = NDArray[np.floating[Any]]

# Bumps of the surface (middle x, y, width, height, how high), in half heads from the head's middle, x to either side.
BUMPS = (
    (0.29, -0.06, 0.17, 0.10, -0.12),  # eye sockets
    (0.27, -0.22, 0.22, 0.05, 0.05),  # brows
    (0.0, 0.14, 0.075, 0.17, 0.20),  # bridge of the nose
    (0.0, 0.27, 0.10, 0.075, 0.17),  # its tip
    (0.11, 0.31, 0.05, 0.045, 0.08),  # its wings
    (0.43, 0.18, 0.17, 0.14, 0.06),  # cheeks
    (0.0, 0.53, 0.19, 0.035, 0.045),  # upper lip
    (0.0, 0.61, 0.16, 0.04, 0.06),  # lower lip
    (0.0, 0.86, 0.17, 0.10, 0.07),  # chin
)


@dataclass(frozen=True)
class Face:
    """A head: its middle and its height from crown to chin in pixels, the turn to a side (-1 to 1), the tilt in
    degrees, the colours (BGR, 0 to 1), and the seed of its hair."""

    x: float
    y: float
    tall: float
    turn: float
    tilt: float
    skin: Tone
    hair: Tone
    cloth: Tone
    seed: int


def face(rng: np.random.Generator, x: float, y: float, tall: float) -> Face:
    """Someone at a place."""
    return Face(
        x=x,
        y=y,
        tall=tall,
        turn=float(rng.uniform(-0.35, 0.35)),
        tilt=float(rng.uniform(-6, 6)),
        skin=colour(np.array([0.50, 0.62, 0.84]) * rng.uniform(0.62, 1.0)),
        hair=colour(rng.uniform(0.05, 0.26) * np.array([0.6, 0.8, 1.0])),
        cloth=colour(rng.uniform(0.1, 0.5) + rng.uniform(-0.08, 0.2, 3)),
        seed=int(rng.integers(1 << 30)),
    )


def paint_face(canvas: NDArray[np.float32], who: Face, light: float = 1.0) -> Box:
    """Draw a head with its shoulders on a canvas of light (HxWx3, BGR, 0 to 1).

    Returns the box of the face, brow to chin, in pixels; it may reach out of the picture.
    """
    half = who.tall / 2
    side = 2 * max(8, round(half * REACH * OVER))
    ink, mask = _head(who, side)
    scale = half * REACH * 2 / side
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), who.tilt, scale)
    turn[0, 2] += who.x - side / 2
    turn[1, 2] += who.y - side / 2
    h, w = canvas.shape[:2]
    blur = 0.35 / scale
    laid = np.dstack([ink * mask[..., None], mask])
    laid = cv2.warpAffine(cv2.GaussianBlur(laid, (0, 0), blur), turn, (w, h), flags=cv2.INTER_LINEAR)
    canvas *= 1 - laid[..., 3:]
    canvas += laid[..., :3] * np.float32(light)
    shift = 0.1 * who.turn
    return (
        who.x + (shift - 0.66) * half,
        who.y - 0.55 * half,
        who.x + (shift + 0.66) * half,
        who.y + 1.0 * half,
    )


def _head(who: Face, side: int) -> tuple[Field, Field]:
    """Colours `[side, side, 3]` and cover `[side, side]` of a head that fills the square's middle."""
    rng = np.random.default_rng(who.seed)
    y, x = np.meshgrid(
        np.linspace(-REACH, REACH, side, dtype=np.float32),
        np.linspace(-REACH, REACH, side, dtype=np.float32),
        indexing="ij",
    )
    grain = plane(tile(rng, 8), side, side, side / 300)
    ink = np.empty((side, side, 3), np.float32)
    ink[:] = who.cloth
    body = _soft(1 - ((x / 1.75) ** 2 + ((y - 2.35) / 1.15) ** 2), 0.04)
    fold = 0.75 + 0.3 * np.exp(-(((x + 0.5) / 0.8) ** 2)) + 0.1 * (grain - 0.5)
    ink *= fold[..., None]
    neck = _soft(0.40 + 0.08 * np.clip(y - 1, 0, 1) - np.abs(x), 0.04) * _soft(1.5 - y, 0.05) * _soft(y, 0.1)
    ink = _over(ink, np.array(who.skin, np.float32) * (0.58 - 0.06 * np.tanh(8 * x))[..., None], neck)
    ears = _soft(1 - (((np.abs(x) - 0.76) / 0.10) ** 2 + ((y - 0.05) / 0.20) ** 2), 0.2)
    ink = _over(ink, np.array(who.skin, np.float32) * np.float32(0.7), ears)
    wide = 0.75 - 0.17 * np.clip(y, 0, 1) ** 1.6
    inside = 1 - ((x / wide) ** 2 + y**2)
    head = _soft(inside, 0.04)
    skin, shade = _skin(who, x, y, inside, grain)
    ink = _over(ink, skin * shade[..., None], head)
    crown = _soft(1 - ((x / 0.86) ** 2 + ((y + 0.12) / 1.0) ** 2), 0.05)
    line = -0.50 + 0.55 * x**2 * (x**2 < 4) + 0.05 * (grain - 0.5)
    temple = _soft(np.abs(x) - 0.66, 0.05) * _soft(0.15 - y, 0.1)
    cover = crown * np.clip(_soft(line - y, 0.05) + temple, 0, 1)
    strands = plane(tile(rng, 16), side, side, side / 500)
    sheen = 0.7 + 0.5 * strands + 0.8 * np.exp(-(((x + 0.25) / 0.35) ** 2) - ((y + 0.72) / 0.16) ** 2)
    ink = _over(ink, np.array(who.hair, np.float32) * sheen[..., None], cover)
    whole = np.clip(np.maximum.reduce([body, neck, ears, head, cover]), 0, 1)
    return np.clip(ink, 0, 1).astype(np.float32), whole.astype(np.float32)


def _skin(who: Face, x: Field, y: Field, inside: Field, grain: Field) -> tuple[Field, Field]:
    """Colours of the face, and the light on its surface (Lambert's law, with a soft gleam)."""
    far = x - 0.22 * who.turn * np.sqrt(np.clip(inside, 0, 1))  # a turned head shows its features to the side
    high: Plane = 0.75 * np.sqrt(np.clip(inside, 0.0, 1))
    for middle, down_to, wide, tall, up in BUMPS:
        for s in (-1.0, 1.0) if middle else (0.0,):
            high = high + up * _bump(far - s * middle, y - down_to, wide, tall)
    step = float(x[0, 1] - x[0, 0])
    down, right = np.gradient(high, step)
    slope = np.sqrt(1 + down**2 + right**2)
    lambert = np.clip((0.38 * right + 0.52 * down + 0.76) / slope, 0, None)
    gleam = np.clip((0.22 * right + 0.30 * down + 0.93) / slope, 0, 1) ** 24
    shade = 0.42 + 0.62 * lambert + 0.10 * gleam
    tone = np.array(who.skin, np.float32)
    ink = np.broadcast_to(tone, (*x.shape, 3)) * (0.96 + 0.08 * grain)[..., None]
    blush = np.array([0.86, 0.86, 1.04], np.float32)
    cheeks = 0.6 * (_bump(far - 0.40, y - 0.28, 0.18, 0.14) + _bump(far + 0.40, y - 0.28, 0.18, 0.14))
    ink = _over(ink, tone * blush, np.clip(cheeks, 0, 1))
    lips = _soft(1 - ((far / 0.27) ** 2 + ((y - 0.57) / 0.085) ** 2), 0.15)
    ink = _over(ink, tone * np.array([0.62, 0.58, 0.86], np.float32), lips)
    mouth = _soft(1 - ((far / 0.25) ** 2 + ((y - 0.565 + 0.12 * far**2) / 0.014) ** 2), 0.5)
    ink = _over(ink, tone * np.float32(0.25), mouth)
    for s in (-1.0, 1.0):
        ink = _over(ink, tone * np.float32(0.28), _bump(far - s * 0.065, y - 0.355, 0.03, 0.018))
        at = far - s * 0.29
        brow = _soft(1 - ((at / 0.19) ** 2 + ((y + 0.235 - 0.7 * at**2 + 0.06 * s * at) / 0.035) ** 2), 0.4)
        ink = _over(ink, np.array(who.hair, np.float32) * np.float32(0.8), 0.85 * brow)
        ink = _over(ink, tone * np.float32(0.5), 0.7 * _bump(at, y + 0.055, 0.15, 0.075))
        open_ = _soft(1 - ((at / 0.135) ** 2 + ((y + 0.05) / 0.058) ** 2), 0.2)
        ink = _over(ink, np.array([0.82, 0.84, 0.86], np.float32), open_)
        iris = _soft(1 - ((at / 0.062) ** 2 + ((y + 0.055) / 0.062) ** 2), 0.3) * open_
        ink = _over(ink, np.array([0.10, 0.14, 0.20], np.float32), iris)
        pupil = _soft(1 - ((at / 0.03) ** 2 + ((y + 0.055) / 0.03) ** 2), 0.4) * open_
        ink = _over(ink, np.array([0.02, 0.02, 0.02], np.float32), pupil)
        ink = _over(ink, np.ones(3, np.float32), 0.8 * _bump(at + 0.02, y + 0.078, 0.013, 0.013))
        lid = _soft(1 - ((at / 0.155) ** 2 + ((y + 0.108 - 1.6 * at**2) / 0.02) ** 2), 0.5)
        ink = _over(ink, tone * np.float32(0.2), 0.9 * lid)
    return ink.astype(np.float32), shade.astype(np.float32)


def _bump(x: Plane, y: Plane, wide: float, tall: float) -> Field:
    """A hill of height 1."""
    return np.asarray(np.exp(-((x / wide) ** 2) - (y / tall) ** 2), np.float32)


def _soft(value: Plane, width: float) -> Field:
    """0 below zero, 1 from `width` on, and a ramp between."""
    return np.asarray(np.clip(value / width, 0, 1), np.float32)


def _over(under: Plane, ink: Plane, cover: Plane) -> Field:
    """A colour laid over others where it covers them."""
    return np.asarray(under * (1 - cover[..., None]) + ink * cover[..., None], np.float32)
