"""Clips: frames at their own pace, and never half a clip taken for a whole one."""

from pathlib import Path

import pytest

from tests.edge.vision.clips import clip
from vedette.clips import ClipError, clips_in, frames
from vedette.drawn.clip import write_clip
from vedette.false_alarms import Replay, burning, figures, first_flame, replay


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "street.mp4", "quiet", seconds=6, fps=12)


def test_five_frames_a_second_of_a_clip_that_has_twelve(street: Path) -> None:
    times = [time for _, time, _ in frames(street, 0.2)]
    assert len(times) == 30
    assert all(0 <= time - n / 5 < 1 / 12 for n, time in enumerate(times))


def test_numbers_are_those_of_the_clip(street: Path) -> None:
    assert [number for number, _, _ in frames(street, 1.0)] == [0, 12, 24, 36, 48, 60]
    assert [number for number, _, _ in frames(street, 0.001)] == list(range(72))


def test_a_clip_that_breaks_off_says_so_after_its_frames(street: Path, tmp_path: Path) -> None:
    raw = street.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(raw[: len(raw) // 2])
    seen = []
    with pytest.raises(ClipError, match=r"cut\.mp4: (breaks off after|not a clip, or broken)"):
        seen += [number for number, _, _ in frames(tmp_path / "cut.mp4", 0.5)]


def test_texts_pictures_and_lists_are_no_clips(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear camera,\n" * 50)
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nstreet.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name in ("letter.txt", "a.m3u8", "empty.mp4", "none.mp4"):
        with pytest.raises(ClipError, match=name):
            list(frames(tmp_path / name, 1.0))


def test_a_folder_gives_its_quiet_clips(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.AVI", "burning.mp4", "burning.xml", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in clips_in([tmp_path])] == ["a.AVI", "b.mp4"]
    with pytest.raises(ClipError, match="no clip in it"):
        clips_in([tmp_path.parent / tmp_path.name / "sub"] if (tmp_path / "sub").mkdir() is None else [])
    with pytest.raises(ClipError, match="no such file"):
        clips_in([tmp_path / "none.mp4"])


def test_no_alarm_in_a_short_time_bounds_the_rate_badly() -> None:
    quiet = Replay(Path("a.mp4"), 360.0, 1800, {"fire": 18, "smoke": 0}, ())
    found = {(f.name, f.slice): f for f in figures("fire", [quiet], {"fire": 0.5, "smoke": 0.5})}
    assert found["fire.alarms", ""].value == 0
    assert found["fire.exposure", ""].value == pytest.approx(0.1)
    # Nothing in a tenth of an hour: 2.996 events may have been due.
    assert found["fire.alarms_per_hour_upper", ""].value == pytest.approx(29.96, abs=0.01)
    assert "two-sided 95 %: 36.9" in found["fire.alarms_per_hour_upper", ""].conditions
    assert found["fire.false_fire", "clip=a.mp4"].value == pytest.approx(0.01)


def test_a_drawn_fire_raises_an_alarm_and_the_street_before_it_none(street: Path, tmp_path: Path) -> None:
    from tests.models.zoo_cases import engine

    one = engine("fire")
    thresholds = dict(one.thresholds)
    calm = replay(street, lambda image: one.detect(image, slack=0.6), thresholds)
    assert calm.alarms == ()
    assert calm.seconds == pytest.approx(6.0, abs=0.2)
    blaze = write_clip(tmp_path / "fire.mp4", "fire", seconds=18, fps=5)
    hot = replay(blaze, lambda image: one.detect(image, slack=0.6), thresholds)
    assert [event.kind for _, event in hot.alarms].count("fire") == 1
    assert hot.fired["fire"] >= 3
    told = {f.name: f.value for f in burning("fire", hot, 2.0)}
    assert told["fire.burning.alarm"] == 1
    assert told["fire.burning.delay"] == pytest.approx(hot.alarms[0][0] - 2.0)


def test_a_fire_without_an_alarm_has_no_delay() -> None:
    told = burning("fire", Replay(Path("a.mp4"), 30.0, 150, {"fire": 0}, ()), 0.0)
    assert [(f.name, f.value) for f in told] == [("fire.burning.alarm", 0.0)]


def test_the_first_flame_of_the_burning_house_is_in_its_first_frame() -> None:
    assert first_flame(clip("house6.mp4").with_suffix(".xml"), 29.97) == 0.0
