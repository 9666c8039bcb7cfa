"""What stands still in a drawn scene: a street at some hour, or a room. Drawn at twice the size and scaled down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vedette.drawn.flame import Box
from vedette.drawn.noise import plane, tile

Canvas = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Lamp:
    """A light in the scene: place and radius in pixels, colour BGR (0 to 1), and its strength."""

    x: float
    y: float
    radius: float
    colour: Colour
    strength: float


@dataclass(frozen=True)
class Backdrop:
    """The still picture (HxWx3 BGR light, 0 to 1), its lamps, where feet may stand, and how bright it is."""

    picture: Canvas
    lamps: tuple[Lamp, ...]
    floors: tuple[tuple[float, float], ...]
    """Bands of the ground, upper and lower line in pixels, on which things may stand."""
    ambient: float
    cars: tuple[Box, ...] = ()
    """Boxes of the parked cars, x1, y1, x2, y2 in pixels, within the picture."""


def street(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """House fronts, pavement, a road, lamps; by day, at sunset or by night."""
    w, h = width * 2, height * 2
    hour = str(rng.choice(["day", "sunset", "night"], p=[0.45, 0.25, 0.30]))
    ambient = {"day": 1.0, "sunset": 0.62, "night": 0.26}[hour]
    horizon = int(h * rng.uniform(0.48, 0.6))
    canvas = sky(rng, w, h, horizon, hour)
    x = -int(rng.integers(0, 120))
    while x < w:
        front = int(rng.integers(int(w * 0.16), int(w * 0.34)))
        top = int(rng.uniform(-0.15, 0.3) * h)
        house(rng, canvas, (x, top, x + front, horizon + int(h * 0.04)), ambient, hour)
        x += front + (int(rng.integers(10, 60)) if rng.random() < 0.3 else 0)
    base = horizon + int(h * 0.04)
    kerb = base + int(h * rng.uniform(0.09, 0.14))
    ground(rng, canvas, base, kerb, (0.52, 0.54, 0.56), ambient, slabs=True)
    ground(rng, canvas, kerb, h, (0.27, 0.26, 0.26), ambient, slabs=False)
    cv2.line(canvas, (0, kerb), (w, kerb), tuple(0.72 * ambient for _ in range(3)), max(2, h // 160))
    mark = kerb + int((h - kerb) * 0.45)
    for x in range(-int(rng.integers(0, 160)), w, 190):
        cv2.line(
            canvas, (x, mark), (x + 100, mark), tuple(0.75 * ambient for _ in range(3)), max(3, h // 110), cv2.LINE_AA
        )
    lamps = posts(rng, canvas, base, ambient, hour)
    lights, parked = cars(rng, canvas, kerb, h, ambient, hour)
    pavement = (base + (kerb - base) * 0.3, base + (kerb - base) * 0.9)
    road = (kerb + (h - kerb) * 0.42, kerb + (h - kerb) * 0.8)
    still = finish(rng, canvas, [*lamps, *lights], (pavement, road), ambient, width, height)
    return replace(still, cars=tuple(_halved(box, width, height) for box in parked))


def _halved(box: Box, width: int, height: int) -> Box:
    """A box of the large canvas in pixels of the picture, what lies outside cut off."""
    x1, y1, x2, y2 = (value / 2 for value in box)
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def room(rng: np.random.Generator, width: int, height: int) -> Backdrop:
    """A wall with a window, a door or shelves, a floor, a table and a lamp."""
    w, h = width * 2, height * 2
    ambient = float(rng.uniform(0.45, 1.0))
    base = int(h * rng.uniform(0.52, 0.64))
    wall = np.array(rng.uniform(0.45, 0.85, 3) * 0.3 + rng.uniform(0.4, 0.6), np.float32)
    canvas = np.empty((h, w, 3), np.float32)
    canvas[:] = wall * ambient
    falloff = 1 - 0.35 * np.abs(np.linspace(-1, 1, w, dtype=np.float32))[None, :, None] ** 2
    canvas *= falloff
    ground(rng, canvas, base, h, tuple(rng.uniform(0.22, 0.5) * np.array([0.75, 0.9, 1.1])), ambient, slabs=True)
    cv2.rectangle(canvas, (0, base - h // 36), (w, base), tuple(float(v) * 0.7 * ambient for v in wall), -1)
    lamps: list[Lamp] = []
    for slot in rng.permutation(4)[: int(rng.integers(2, 5))]:
        x0 = int((slot + 0.12) * w / 4)
        x1 = x0 + int(w / 4 * rng.uniform(0.5, 0.8))
        kind = str(rng.choice(["window", "door", "shelf", "picture"]))
        furnish(rng, canvas, kind, x0, x1, base, ambient)
    for _ in range(int(rng.integers(1, 3))):
        box(rng, canvas, int(rng.uniform(0, 0.85) * w), base + int(rng.uniform(0.02, 0.14) * h), h, ambient)
    if rng.random() < 0.7:
        x, y = rng.uniform(0.1, 0.9) * w, rng.uniform(0.03, 0.14) * h
        cv2.ellipse(canvas, (int(x), int(y)), (h // 14, h // 40), 0, 0, 360, (0.8, 0.95, 1.0), -1, cv2.LINE_AA)
        lamps.append(Lamp(x, y, h * 0.16, (0.62, 0.86, 1.0), 0.5))
    if rng.random() < 0.45:
        x, y = rng.uniform(0.1, 0.9) * w, base - rng.uniform(0.05, 0.12) * h
        shade = np.array(
            [[x - h / 30, y], [x + h / 30, y], [x + h / 20, y + h / 14], [x - h / 20, y + h / 14]], np.int32
        )
        cv2.fillPoly(canvas, [shade], (0.74, 0.86, 0.93), cv2.LINE_AA)
        cv2.line(canvas, (int(x), int(y + h / 14)), (int(x), base), (0.1, 0.1, 0.1), h // 120)
        lamps.append(Lamp(x, y + h / 28, h * 0.12, (0.66, 0.84, 0.96), 0.4))
    return finish(rng, canvas, lamps, ((base + (h - base) * 0.2, base + (h - base) * 0.8),), ambient, width, height)


def finish(
    rng: np.random.Generator,
    canvas: Canvas,
    lamps: list[Lamp],
    floors: tuple[tuple[float, float], ...],
    ambient: float,
    width: int,
    height: int,
) -> Backdrop:
    """Scale down, soften, add unevenness and the lamps' light."""
    picture: Canvas = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    grain = plane(tile(rng, 4, 7), width, height, width / 300)
    picture *= 0.9 + 0.2 * grain[..., None]
    small = tuple(Lamp(a.x / 2, a.y / 2, a.radius / 2, a.colour, a.strength) for a in lamps)
    for lamp in small:
        glow(picture, lamp)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.6), np.float32)
    return Backdrop(picture, small, tuple((a / 2, b / 2) for a, b in floors), ambient)


def glow(canvas: Canvas, lamp: Lamp, strength: float = 1.0) -> None:
    """Add a lamp's halo, and its light on what lies around."""
    h, w = canvas.shape[:2]
    y, x = np.ogrid[:h, :w]
    square = ((x - lamp.x) ** 2 + (y - lamp.y) ** 2).astype(np.float32) / np.float32(lamp.radius**2)
    halo = (lamp.strength * strength * (0.75 * np.exp(-square * 14) + 0.3 / (1 + square * 3) ** 2))[..., None]
    canvas += halo * np.array(lamp.colour, np.float32) * (0.35 + 0.65 * np.clip(canvas * 2, 0, 1))


def sky(rng: np.random.Generator, w: int, h: int, horizon: int, hour: str) -> Canvas:
    """The sky of an hour, with clouds, from the top to the horizon."""
    ends = {
        "day": ((0.88, 0.72, 0.52), (0.95, 0.92, 0.86)),
        "sunset": ((0.46, 0.34, 0.34), (0.28, 0.55, 0.98)),
        "night": ((0.07, 0.04, 0.03), (0.15, 0.10, 0.09)),
    }[hour]
    ramp = np.clip(np.linspace(0, 1, h, dtype=np.float32) * h / max(horizon, 1), 0, 1)[:, None, None]
    canvas = np.repeat((1 - ramp) * np.array(ends[0], np.float32) + ramp * np.array(ends[1], np.float32), w, axis=1)
    cloud = np.clip(plane(tile(rng, 4, 6), w, h, w / 200) - 0.45, 0, 1)[..., None]
    return np.asarray(canvas + cloud * (np.array([0.9, 0.9, 0.95]) * canvas.mean() - canvas * 0.3), np.float32)


def house(rng: np.random.Generator, canvas: Canvas, box: tuple[int, int, int, int], ambient: float, hour: str) -> None:
    """A house front with rows of windows, some lit, and a door or a shop at its foot."""
    x0, y0, x1, y1 = box
    paint = np.array(rng.uniform(0.3, 0.7) + rng.uniform(-0.12, 0.12, 3)) * np.array([0.86, 0.94, 1.04])
    colour = tuple(float(v) * ambient for v in paint)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, -1)
    cv2.rectangle(canvas, (x0, y0), (x1, y0 + 10), tuple(v * 0.75 for v in colour), -1)
    cv2.line(canvas, (x1, y0), (x1, y1), tuple(v * 0.45 for v in colour), 4)
    across, rows = max(2, (x1 - x0) // int(rng.integers(58, 90))), int(rng.integers(3, 6))
    dx, dy = (x1 - x0) / across, (y1 - y0) / (rows + 0.4)
    for row in range(rows):
        for column in range(across):
            wx0, wy0 = int(x0 + dx * (column + 0.24)), int(y0 + dy * (row + 0.3))
            wx1, wy1 = int(wx0 + dx * 0.52), int(wy0 + dy * (0.62 if row < rows - 1 else 0.78))
            lit = rng.random() < {"day": 0.04, "sunset": 0.25, "night": 0.36}[hour]
            glass = np.array([0.34, 0.27, 0.21]) * ambient * rng.uniform(0.6, 1.3)
            if lit:
                glass = np.array([0.42, 0.74, 0.95]) * rng.uniform(0.5, 1.0)
            elif rng.random() < 0.3:
                glass = glass + np.array([0.22, 0.2, 0.18]) * ambient
            cv2.rectangle(canvas, (wx0 - 4, wy0 - 4), (wx1 + 4, wy1 + 5), tuple(v * 1.22 for v in colour), -1)
            cv2.rectangle(canvas, (wx0, wy0), (wx1, wy1), tuple(float(v) for v in glass), -1)
            middle = (wx0 + wx1) // 2
            cv2.line(canvas, (middle, wy0), (middle, wy1), tuple(v * 0.9 for v in colour), 3)
            cv2.rectangle(canvas, (wx0, wy0), (wx1, wy0 + 6), tuple(float(v) * 0.5 for v in glass), -1)


def ground(
    rng: np.random.Generator,
    canvas: Canvas,
    top: int,
    bottom: int,
    colour: tuple[float, ...],
    ambient: float,
    slabs: bool,
) -> None:
    """Ground in perspective: lighter far away, joints that run to a vanishing point."""
    w = canvas.shape[1]
    depth = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None, None]
    speckle = plane(tile(rng, 16, 4), w, bottom - top, 2.2)[..., None]
    tone = np.array(colour, np.float32) * ambient
    canvas[top:bottom] = tone * (1.12 - 0.22 * depth) * (0.88 + 0.24 * speckle)
    if not slabs:
        return
    joint = tuple(float(v) * 0.72 for v in tone)
    vanish = top - (bottom - top) * 2.2
    for k in range(-30, 31):
        foot = w / 2 + k * w / 11
        share = (top - vanish) / (bottom - vanish)
        head = w / 2 + (foot - w / 2) * share
        cv2.line(canvas, (int(head), top), (int(foot), bottom), joint, 2, cv2.LINE_AA)
    for k in range(1, 6):
        y = top + int((bottom - top) * (k / 6) ** 1.6)
        cv2.line(canvas, (0, y), (w, y), joint, 2, cv2.LINE_AA)


def posts(rng: np.random.Generator, canvas: Canvas, base: int, ambient: float, hour: str) -> list[Lamp]:
    """Street lamps on the pavement."""
    h, w = canvas.shape[:2]
    lamps = []
    for _ in range(int(rng.integers(1, 4))):
        x, top = int(rng.uniform(0.03, 0.97) * w), int(h * rng.uniform(0.1, 0.2))
        cv2.line(
            canvas, (x, base + h // 30), (x, top), tuple(0.14 * ambient + 0.02 for _ in range(3)), h // 90, cv2.LINE_AA
        )
        cv2.line(
            canvas, (x, top), (x + h // 16, top - h // 80), tuple(0.14 * ambient + 0.02 for _ in range(3)), h // 110
        )
        cv2.ellipse(canvas, (x + h // 16, top), (h // 40, h // 90), 0, 0, 360, (0.85, 0.95, 1.0), -1, cv2.LINE_AA)
        if hour != "day":
            warm = (0.45, 0.78, 1.0) if rng.random() < 0.6 else (0.95, 0.97, 1.0)
            lamps.append(Lamp(x + h / 16, top, h * 0.22, warm, 0.85))
    return lamps


def cars(
    rng: np.random.Generator, canvas: Canvas, kerb: int, h: int, ambient: float, hour: str
) -> tuple[list[Lamp], list[Box]]:
    """Parked cars from the side, with their lights on now and then: the lights, and the boxes of the cars."""
    w = canvas.shape[1]
    lamps, boxes = [], []
    for _ in range(int(rng.integers(0, 3))):
        length = int(h * rng.uniform(0.34, 0.5))
        x0, foot = int(rng.uniform(-0.1, 0.9) * w), kerb + int((h - kerb) * rng.uniform(0.12, 0.3))
        tall = int(length * 0.2)
        boxes.append((float(x0), foot - tall * 2.35, float(x0 + length), foot + tall * 0.22))
        paint = tuple(float(v) * ambient for v in (rng.uniform(0.06, 0.75) + rng.uniform(-0.06, 0.2, 3)))
        shadow = canvas[max(foot - 6, 0) : foot + tall // 3, max(x0, 0) : x0 + length]
        shadow *= 0.45
        body = np.array(
            [[0, 0], [0.02, -1], [0.2, -1.15], [0.34, -2.05], [0.7, -2.05], [0.86, -1.1], [0.99, -0.9], [1, 0]]
        )
        points = (body * [length, tall] + [x0, foot - tall * 0.3]).astype(np.int32)
        cv2.fillPoly(canvas, [points], paint, cv2.LINE_AA)
        glass = np.array([[0.25, -1.2], [0.36, -1.93], [0.68, -1.93], [0.8, -1.2]])
        cv2.fillPoly(
            canvas,
            [(glass * [length, tall] + [x0, foot - tall * 0.3]).astype(np.int32)],
            tuple(0.14 + 0.12 * ambient for _ in range(3)),
            cv2.LINE_AA,
        )
        for at in (0.2, 0.8):
            centre = (int(x0 + at * length), int(foot - tall * 0.3))
            cv2.circle(canvas, centre, int(tall * 0.52), (0.05, 0.05, 0.05), -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, int(tall * 0.27), tuple(0.5 * ambient for _ in range(3)), -1, cv2.LINE_AA)
        tail = (x0 + 0.03 * length, foot - tall * 1.05)
        cv2.ellipse(
            canvas, (int(tail[0]), int(tail[1])), (tall // 6, tall // 4), 0, 0, 360, (0.05, 0.06, 0.75), -1, cv2.LINE_AA
        )
        if hour != "day" and rng.random() < 0.7:
            lamps.append(Lamp(tail[0], tail[1], length * 0.22, (0.06, 0.10, 1.0), 0.9))
            lamps.append(Lamp(x0 + 0.98 * length, tail[1], length * 0.3, (0.85, 0.95, 1.0), 0.9))
    return lamps, boxes


def furnish(rng: np.random.Generator, canvas: Canvas, kind: str, x0: int, x1: int, base: int, ambient: float) -> None:
    """One thing on the wall of a room, between `x0` and `x1`."""
    h = canvas.shape[0]
    if kind == "window":
        y0, y1 = int(h * 0.1), int(base - h * 0.14)
        glass = np.array([0.95, 0.86, 0.76]) * rng.choice([0.12, 0.9, 1.05])
        if rng.random() < 0.2:
            glass = np.array([0.3, 0.55, 0.98])
        cv2.rectangle(canvas, (x0 - 8, y0 - 8), (x1 + 8, y1 + 8), tuple(0.85 * ambient for _ in range(3)), -1)
        cv2.rectangle(canvas, (x0, y0), (x1, y1), tuple(float(v) for v in glass), -1)
        cv2.line(canvas, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), tuple(0.8 * ambient for _ in range(3)), 8)
        cv2.line(canvas, (x0, (y0 + y1) // 2), (x1, (y0 + y1) // 2), tuple(0.8 * ambient for _ in range(3)), 6)
    elif kind == "door":
        wood = np.array([0.24, 0.36, 0.5]) * rng.uniform(0.6, 1.3) * ambient
        cv2.rectangle(canvas, (x0, int(h * 0.1)), (x1, base), tuple(float(v) for v in wood), -1)
        cv2.rectangle(canvas, (x0, int(h * 0.1)), (x1, base), tuple(float(v) * 0.6 for v in wood), 6)
        cv2.circle(canvas, (x1 - 18, int(h * 0.36)), 7, tuple(0.7 * ambient for _ in range(3)), -1, cv2.LINE_AA)
    elif kind == "shelf":
        wood = np.array([0.3, 0.42, 0.52]) * rng.uniform(0.5, 1.2) * ambient
        for y in range(int(h * 0.12), base, int(h * 0.105)):
            x = x0
            while x < x1 - 12:
                thick, tall = int(rng.integers(8, 22)), int(h * rng.uniform(0.05, 0.09))
                spine = tuple(float(v) * ambient for v in rng.uniform(0.1, 0.75, 3))
                cv2.rectangle(canvas, (x, y - tall), (x + thick, y), spine, -1)
                x += thick + int(rng.integers(0, 5))
            cv2.rectangle(canvas, (x0 - 8, y), (x1 + 8, y + 9), tuple(float(v) for v in wood), -1)
    else:
        y0 = int(h * rng.uniform(0.12, 0.2))
        y1 = y0 + int(h * rng.uniform(0.12, 0.2))
        cv2.rectangle(canvas, (x0 - 8, y0 - 8), (x1 + 8, y1 + 8), tuple(0.2 * ambient for _ in range(3)), -1)
        left, right = rng.uniform(0.2, 0.8, 3), rng.uniform(0.2, 0.8, 3)
        ramp = np.linspace(0, 1, y1 - y0)[:, None, None]
        canvas[y0:y1, x0:x1] = ((1 - ramp) * left + ramp * right) * ambient


def box(rng: np.random.Generator, canvas: Canvas, x0: int, y1: int, h: int, ambient: float) -> None:
    """A crate, a table or a sofa: a block with a lighter top."""
    wide, tall = int(h * rng.uniform(0.18, 0.4)), int(h * rng.uniform(0.1, 0.2))
    y1 = min(y1 + tall // 2, h - 4)
    tone = (rng.uniform(0.15, 0.5) + rng.uniform(-0.08, 0.12, 3)) * ambient
    canvas[y1 - 4 : y1 + 14, x0 : x0 + wide] *= 0.6
    cv2.rectangle(canvas, (x0, y1 - tall), (x0 + wide, y1), tuple(float(v) for v in tone), -1)
    top = np.array(
        [[x0, y1 - tall], [x0 + wide, y1 - tall], [x0 + wide - 22, y1 - tall - 26], [x0 + 22, y1 - tall - 26]]
    )
    cv2.fillPoly(canvas, [top.astype(np.int32)], tuple(float(v) * 1.35 for v in tone), cv2.LINE_AA)
