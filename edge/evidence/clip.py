"""Clips: packets of a camera in an mp4 file, as they are. Nothing is encoded again."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.video.stream import VideoStream

from edge.evidence.ring import Packet

MEDIA_TYPE: Final = "video/mp4"


class ClipError(Exception):
    """No clip could be made; the text says why."""


class StreamForm:
    """What a file must say of a stream besides its packets: codec, size, parameter sets, time base.

    Outlives the stream it was taken from.

    Raises:
        ClipError: an mp4 file cannot hold this codec.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.codec: str = stream.codec_context.name
        if stream.time_base is None:
            raise ClipError(f"stream of {self.codec} has no time base; no clips of it")
        self.time_base: Fraction = stream.time_base
        # FFmpeg keeps a stream's form only inside a container, so it gets one of its own that is never written.
        self._container = av.open(io.BytesIO(), "w", format="mp4")
        try:
            self.template = self._container.add_stream_from_template(stream)
        except ValueError as error:
            raise ClipError(f"an mp4 file cannot hold {self.codec}; no clips of it: {error}") from None


def write_clip(path: Path, form: StreamForm, packets: Sequence[Packet]) -> float:
    """Write packets, the first of them a keyframe, to an mp4 file that a browser can play while it still loads.

    Args:
        path: of the file; what is there is replaced.
        form: of the stream the packets are from.
        packets: in the order they came.

    Returns:
        The clip's length in seconds.

    Raises:
        ClipError: no packets, or the file cannot be written.
    """
    if not packets:
        raise ClipError("the packet ring holds nothing of that time")
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream_from_template(form.template)
            base = packets[0].dts
            for packet in packets:
                container.mux(_muxed(packet, stream, form.time_base, base))
    except (av.error.FFmpegError, ValueError) as error:
        path.unlink(missing_ok=True)
        raise ClipError(f"clip cannot be written: {error.strerror if isinstance(error, OSError) else error}") from None
    last = max(packets, key=lambda packet: packet.pts)
    return float((last.pts + last.duration - min(packet.pts for packet in packets)) * form.time_base)


def _muxed(packet: Packet, stream: VideoStream, time_base: Fraction, base: int) -> "av.Packet[VideoStream]":
    muxed: av.Packet[VideoStream] = av.Packet(packet.data)  # type: ignore[assignment]
    muxed.stream = stream
    muxed.time_base = time_base
    muxed.dts, muxed.pts, muxed.duration = packet.dts - base, packet.pts - base, packet.duration
    muxed.is_keyframe = packet.keyframe
    return muxed
