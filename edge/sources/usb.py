"""Cameras at the USB port, by OpenCV (Video4Linux). They give pictures, not packets: no clips of them."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from contract.ids import Micros
from edge.config import Camera
from edge.evidence.clip import StreamForm
from edge.evidence.ring import Packet
from edge.sources.camera import Picture, StreamInfo, Wait, fitted
from edge.sources.fault import CameraError, Fault
from edge.sources.pace import Sampler


class UsbStream:
    """A ``CameraStream`` of OpenCV.

    Args:
        name, camera, wait: as for ``open_camera``.
        wall: microseconds since 1970.
        monotonic: seconds.

    Raises:
        CameraError: there is no such device, it may not be opened, or it gives no pictures.
    """

    def __init__(
        self,
        name: str,
        camera: Camera,
        wait: Wait,
        wall: Callable[[], Micros] = lambda: time.time_ns() // 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._wait = name, wait
        self._wall, self._monotonic = wall, monotonic
        self._url = camera.url.get_secret_value()
        number = self._url.removeprefix("usb:")
        device = Path(f"/dev/video{number}")
        if not number.isdecimal() or not device.exists():
            raise CameraError(name, self._url, Fault.NO_DEVICE, f"is not there: no {device}")
        if not os.access(device, os.R_OK | os.W_OK):
            raise CameraError(name, self._url, Fault.UNREADABLE, f"may not be opened by this user: {device}")
        self._capture = cv2.VideoCapture(int(number), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(name, self._url, Fault.NOT_VIDEO, f"is no camera, or in use: {device}")
        self.info = StreamInfo(
            "raw",
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            float(self._capture.get(cv2.CAP_PROP_FPS)),
        )
        self.form: StreamForm | None = None
        self.no_clip = "a USB camera gives pictures, not packets; no clips of it"
        self.late = 0
        self._sampler = Sampler(camera.fps)

    def __iter__(self) -> Iterator[Packet | Picture]:
        while not self._wait(0):
            # The driver keeps a few pictures; each is taken, so that none grows old, and only those due are decoded.
            if not self._capture.grab():
                raise CameraError(self._name, self._url, Fault.LOST, "gives no pictures any more")
            captured = self._wall()
            if not self._sampler.pick(self._monotonic()):
                continue
            done, image = self._capture.retrieve()
            if not done or image is None or image.ndim != 3:
                raise CameraError(self._name, self._url, Fault.LOST, "gives pictures that cannot be decoded")
            size = fitted(image.shape[1], image.shape[0])
            if size != (image.shape[1], image.shape[0]):
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            yield Picture(image.astype(np.uint8, copy=False), captured)

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()
