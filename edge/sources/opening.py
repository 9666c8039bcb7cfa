"""Opens a camera with whatever reads its kind."""

from edge.config import Camera
from edge.sources.camera import CameraStream, Wait
from edge.sources.stream import AvStream


def open_camera(name: str, camera: Camera, wait: Wait) -> CameraStream:
    """Open a camera: ``rtsp(s)://``, ``http(s)://`` and files by PyAV, ``usb:N`` by OpenCV.

    Args:
        name: its name in ``node.yaml``, for messages.
        camera: its settings.
        wait: used to play files in real time.

    Raises:
        CameraError: with the cause, in at most about three times ``timeout_s``.
    """
    if camera.kind == "usb":
        # OpenCV's capture is imported only where there is a USB camera.
        from edge.sources.usb import UsbStream

        return UsbStream(name, camera, wait)
    return AvStream(name, camera, wait)
