"""The packet ring: it forgets whole groups, never holds more than it may, and always begins with a keyframe."""

from hypothesis import given
from hypothesis import strategies as st

from edge.evidence.ring import Packet, PacketRing

SECOND = 1_000_000


def packet(number: int, keyframe: bool, size: int = 10, fps: int = 10) -> Packet:
    return Packet(bytes(size), number, number, 1, keyframe, captured=number * SECOND // fps)


def fill(ring: PacketRing, count: int, group: int = 10, size: int = 10) -> None:
    for number in range(count):
        ring.add(packet(number, number % group == 0, size))


def test_a_cut_begins_with_the_keyframe_before_and_ends_in_time() -> None:
    ring = PacketRing(1_000_000, seconds=60)
    fill(ring, 100)
    cut = ring.cut(start=2_500_000, end=4_000_000)
    assert [p.pts for p in cut] == list(range(20, 41))


def test_what_is_older_than_the_ring_is_cut_from_its_beginning() -> None:
    ring = PacketRing(1_000_000, seconds=3)
    fill(ring, 100)
    cut = ring.cut(start=0, end=10 * SECOND)
    assert cut[0].keyframe
    assert cut[0].captured <= 9_900_000 - 3 * SECOND, "as far back as promised"
    assert cut[0].captured > 9_900_000 - 5 * SECOND, "and not much farther"


def test_a_time_that_the_ring_has_nothing_of_gives_nothing() -> None:
    ring = PacketRing(1_000_000, seconds=3)
    assert ring.cut(0, SECOND) == ()
    fill(ring, 10)
    assert ring.cut(start=5 * SECOND, end=6 * SECOND) == ()
    fill(ring, 100)
    assert ring.cut(start=0, end=SECOND) == ()


def test_before_the_first_keyframe_nothing_is_kept() -> None:
    ring = PacketRing(1_000_000, seconds=3)
    ring.add(packet(0, keyframe=False))
    assert ring.bytes == 0


def test_a_group_larger_than_the_ring_is_given_up_whole() -> None:
    ring = PacketRing(max_bytes=100, seconds=60)
    fill(ring, 50, group=50)
    assert ring.bytes == 0
    ring.add(packet(50, keyframe=True))
    assert [p.pts for p in ring.cut(0, 60 * SECOND)] == [50]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=200), st.integers(200, 2000))
def test_it_never_holds_more_than_it_may_and_begins_with_a_keyframe(
    stream: list[tuple[bool, int]], max_bytes: int
) -> None:
    ring = PacketRing(max_bytes, seconds=2)
    for number, (keyframe, size) in enumerate(stream):
        ring.add(packet(number, keyframe, size))
        held = ring.cut(0, 10**12)
        assert ring.bytes == sum(len(p.data) for p in held) <= max_bytes
        assert not held or held[0].keyframe
        assert [p.pts for p in held] == list(range(number - len(held) + 1, number + 1)), "the newest, without a hole"
