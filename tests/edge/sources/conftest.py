"""Real cameras for the tests: drawn files, an RTSP server, HTTP servers, and servers that are broken on purpose."""

import http.server
import io
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

SYSTEM_PYTHON = Path("/usr/bin/python3")


def draw(path: Path, seconds: float = 3.0, fps: int = 10, size: tuple[int, int] = (320, 240)) -> Path:
    """A clip whose every picture is as bright as its number in tens; a keyframe a second, B-frames in between."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": str(fps), "bf": "2", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number in range(int(seconds * fps)):
            image = np.full((height, width, 3), 10 + number * 7 % 230, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("clips") / "drawn.mp4")


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("clips") / "long.mp4", seconds=40)


@dataclass(frozen=True)
class Rtsp:
    """Ports of the server without a password and of the one with viewer:secret."""

    open_port: int
    closed_port: int


@contextmanager
def rtsp_server() -> Iterator[tuple[Rtsp, "subprocess.Popen[str]"]]:
    program = Path(__file__).with_name("rtsp_server.py")
    if not SYSTEM_PYTHON.exists():
        pytest.skip("needs Debian's python3 with python3-gi and gir1.2-gst-rtsp-server-1.0 for an RTSP server")
    with subprocess.Popen(
        [SYSTEM_PYTHON, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        ports = server.stdout.readline().split()
        if len(ports) != 2:
            pytest.skip("needs python3-gi, gir1.2-gst-rtsp-server-1.0 and GStreamer's x264enc for an RTSP server")
        yield Rtsp(int(ports[0]), int(ports[1])), server
        server.send_signal(signal.SIGCONT)
        server.stdin.close()


@pytest.fixture(scope="session")
def rtsp() -> Iterator[Rtsp]:
    with rtsp_server() as (ports, _):
        yield ports


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, status codes by their number, and ``/live.mjpg``: a camera of the old kind, 20 pictures a
    second without times."""

    def do_GET(self) -> None:
        number = self.path.strip("/")
        if number.isdecimal():
            self.send_response(int(number))
            if number == "401":
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
        elif self.path == "/live.mjpg":
            self._pictures()
        else:
            super().do_GET()

    def _pictures(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        try:
            for number in range(400):
                done, data = cv2.imencode(".jpg", np.full((120, 160, 3), number % 250, np.uint8))
                assert done
                head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                self.wfile.write(head + data.tobytes() + b"\r\n")
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def web(clip: Path) -> Iterator[str]:
    """Address of an HTTP server with the drawn clip."""
    (clip.parent / "page.html").write_text("<html>Camera 1: please log in</html>" * 50)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(clip.parent)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def hung() -> Iterator[int]:
    """Port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def refused() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with sound alone."""
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decoded(data: bytes | Path) -> list[float]:
    """The times, in seconds, of every picture of a video."""
    with av.open(io.BytesIO(data) if isinstance(data, bytes) else str(data), "r") as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]
