"""Drawn clips: real video files that a camera source can read."""

from pathlib import Path

import av
import numpy as np
import pytest

from vedette.drawn.clip import frames, write_clip


def test_a_clip_is_h264_with_a_keyframe_every_second(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "deep" / "quiet.mp4", "quiet", seconds=2.5, fps=10, seed=4)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 10
        keys = [n for n, packet in enumerate(p for p in container.demux(stream) if p.size) if packet.is_keyframe]
    assert keys == [0, 10, 20]
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(shown) == 25
    drawn = next(iter(frames("quiet", 0.1, 10, 4)))
    assert np.abs(shown[0].astype(int) - drawn.astype(int)).mean() < 6
    assert [p.name for p in path.parent.iterdir()] == ["quiet.mp4"]


def test_a_clip_without_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 s at 10 frames a second has no frame"):
        write_clip(tmp_path / "none.mp4", "fire", seconds=0)
