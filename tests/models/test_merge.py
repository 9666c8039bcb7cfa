"""The sets as one: what a test shows is not trained on, and nobody trains without having looked."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.workshop.recipe import Portion
from models.workshop.sets.data import Truth, write_set
from models.workshop.sets.duplicates import NEAR, Pair, Prints, fingerprint, pairs, read_print
from models.workshop.sets.inventory import report
from models.workshop.sets.merge import DataError, evidence, left_out, merge, training
from vedette.drawn.scene import Scene

Image = NDArray[np.uint8]


def scene(seed: int, at: float = 1.0) -> Image:
    """A drawn street or room, without the clock in its corner."""
    return np.ascontiguousarray(Scene("people", seed).frame(at).image[24:-24])


def grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def apart(one: Image, other: Image) -> int:
    """Bits between two pictures."""
    found = list(pairs([fingerprint(grey(one)), fingerprint(grey(other))], limit=64))
    return found[0].distance


def test_the_hash_knows_a_picture_that_was_changed_as_copies_are() -> None:
    image = scene(7)
    h, w = image.shape[:2]
    rng = np.random.default_rng(1)
    worn = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    assert apart(image, image) == 0
    assert apart(image, np.asarray(worn, np.uint8)) <= NEAR
    assert apart(image, np.asarray(cv2.resize(image, (w // 3, h // 2)), np.uint8)) <= NEAR
    assert apart(image, np.clip(image * 0.8 + 20 + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)) <= NEAR
    assert apart(image, np.ascontiguousarray(image[:, ::-1])) <= NEAR
    assert apart(image, np.ascontiguousarray(image[::-1])) > NEAR


def test_the_hash_tells_scenes_apart() -> None:
    prints = [fingerprint(grey(scene(seed))) for seed in range(16)]
    distances = [pair.distance for pair in pairs(prints, limit=64)]
    assert len(distances) == 16 * 15 / 2
    # Drawn streets are all alike in their layout; real ones are further apart.
    assert np.median(distances) > NEAR


def test_every_pair_is_found_once_however_many_there_are() -> None:
    rng = np.random.default_rng(3)
    prints = [(int(rng.integers(2**63)), 0) for _ in range(1200)]
    prints[1100] = (prints[5][0] ^ 0b111, 0)
    assert Pair(5, 1100, 3) in list(pairs(prints, limit=4))
    assert sum(p.first == 5 for p in pairs(prints, limit=4)) == 1


def test_hashes_are_kept_and_a_cut_line_costs_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for seed in range(4):
        paths.append(tmp_path / f"{seed}.png")
        cv2.imwrite(str(paths[-1]), scene(seed))
    first = Prints(tmp_path / "hashes.jsonl").of(paths)
    text = (tmp_path / "hashes.jsonl").read_text()
    (tmp_path / "hashes.jsonl").write_text(text[:-9])
    cv2.imwrite(str(paths[0]), scene(9))
    read: list[str] = []

    def watched(path: Path) -> tuple[int, int]:
        read.append(path.name)
        return read_print(path)

    monkeypatch.setattr("models.workshop.sets.duplicates.read_print", watched)
    second = Prints(tmp_path / "hashes.jsonl").of(paths)
    assert read == ["0.png", "3.png"]
    assert second[1:] == first[1:]
    assert second[0] != first[0]
    read.clear()
    assert Prints(tmp_path / "hashes.jsonl").of(paths) == second
    assert read == []


def sets(data: Path) -> None:
    """Two small sets. `fire`: a test picture, its mirrored and worn copy in train, two copies of another, one alone.
    `person`: a validation picture of the test scene, and a picture of its own."""
    test, pair, alone = scene(1), scene(20), scene(30)
    box = Truth("fire", (10, 10, 60, 60))
    write_set(
        data / "fire",
        [
            ("a.png", "test", test, [box]),
            ("b.png", "train", np.ascontiguousarray(test[:, ::-1]), [box]),
            ("c.png", "train", pair, []),
            ("d.png", "train", pair, [box, box]),
            ("e.png", "train", alone, [box]),
        ],
        "cctv_fire8_abonia",
    )
    write_set(
        data / "person",
        [("v.png", "val", test, []), ("t.png", "train", np.rot90(scene(44)).copy(), [])],
        "person1",
    )


def names(pictures: Sequence[object]) -> list[str]:
    return [p.path.name for p in pictures]  # type: ignore[attr-defined]


def test_what_a_test_shows_is_left_out_across_sets_and_copies_are_kept_once(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "work"
    sets(data)
    merged = merge(data, work, ("fire", "person"))
    why = {e.name: e.why for e in merged.entries}
    assert why["fire/train/b.png"].startswith("near fire/test/a.png")
    assert why["person/val/v.png"] == "near fire/test/a.png, 0 bits apart"
    # Of the two copies that one is kept on which more is labelled.
    assert why["fire/train/c.png"] == "a copy of fire/train/d.png"
    assert [name for name, reason in why.items() if not reason] == [
        "fire/test/a.png",
        "fire/train/d.png",
        "fire/train/e.png",
        "person/train/t.png",
    ]
    assert names(training(data / "fire", work)) == ["d.png", "e.png"]
    assert names(Portion("fire", "cctv", 1.0).pictures(data, work)) == ["d.png", "e.png"]
    assert names(training(data / "person", work, "val")) == []
    assert merged.crossing() == {"fire/train - fire/test": 1, "person/val - fire/test": 1, "person/val - fire/train": 1}
    assert evidence(merged).strangers == 5 * 2
    text = "\n".join(report(merged))
    assert "left out, near a test picture: 2, fire/train 1, person/val 1" in text
    assert "left out, copies within train: 1, fire/train 1" in text
    assert "CC BY 4.0: train; show with the author's name" in text


def test_a_picture_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "work"
    sets(data)
    (data / "fire/train/e.png").write_bytes(b"not a picture")
    (data / "person/train/t.png").unlink()
    text = "\n".join(report(merge(data, work, ("fire", "person"))))
    assert "left out, not readable: 2, fire/train 1, person/train 1" in text
    assert "e.png: not a picture that can be decoded" in text
    assert "t.png: named in the labels, but there is no such file" in text
    assert names(training(data / "fire", work)) == ["d.png"]


def test_nobody_learns_from_sets_that_were_not_looked_at(tmp_path: Path) -> None:
    data, work = tmp_path / "data", tmp_path / "work"
    sets(data)
    with pytest.raises(DataError, match=r"data.json does not exist.*vedette models data --work"):
        training(data / "fire", work)
    merge(data, work, ("fire",))
    with pytest.raises(DataError, match="does not know the set 'person'"):
        training(data / "person", work)
    with (data / "fire/labels.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"labels.jsonl is not the one that .*data.json was made from"):
        training(data / "fire", work)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({"format": 0}), "another version of the workshop .format 0, needed 1."),
        ("{", "is broken"),
        (json.dumps({"format": 1, "pictures": [{"set": "fire"}]}), "is broken"),
    ],
)
def test_a_work_folder_of_another_make_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    sets(tmp_path)
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(DataError, match=reason):
        left_out(tmp_path / "fire", tmp_path)
