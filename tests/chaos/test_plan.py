"""The same seed gives the same faults."""

from tests.chaos.plan import LONG_S, Kind, by_kind, make_plan
from tests.chaos.system import NODES, WORKERS


def test_a_seed_gives_its_faults_again_and_another_gives_others() -> None:
    assert make_plan(3, 220, NODES, WORKERS) == make_plan(3, 220, NODES, WORKERS)
    assert make_plan(3, 220, NODES, WORKERS) != make_plan(4, 220, NODES, WORKERS)


def test_of_every_kind_there_are_some_on_every_part_and_some_outlast_the_fresh_lanes() -> None:
    faults = make_plan(1, 220, NODES, WORKERS)
    assert set(by_kind(faults)) == set(Kind)
    assert {fault.target for fault in faults} >= {"broker", "database", *NODES, *WORKERS}
    assert sum(fault.lasts_s >= LONG_S[0] for fault in faults) == 9


def test_on_one_target_there_is_one_fault_at_a_time() -> None:
    faults = make_plan(5, 300, NODES, WORKERS)
    ends: dict[str, float] = {}
    for fault in faults:
        assert fault.at >= ends.get(fault.target, 0.0)
        ends[fault.target] = fault.at + fault.lasts_s
