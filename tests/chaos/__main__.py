"""``python -m tests.chaos``, or ``make chaos``: a long run, with its progress and a table at the end."""

import argparse
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.chaos.plan import Kind, by_kind
from tests.chaos.run import Outcome, Scale, run
from tests.edge.delivery.power import PowerCuts, with_small_files


def main() -> int:
    """Exit codes: 0 all is as promised, 1 something is not."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of an earlier run, to have the same faults again")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--faults", type=int, default=220)
    parser.add_argument("--cuts", type=int, default=1000, help="outboxes that lose their power first, from the seed on")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two faults, in the mean")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    seed = secrets.randbits(32) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        cut_power(range(seed, seed + options.cuts), console.print)
        outcome = run(seed, Scale(options.records, options.faults, options.pause), folder, console.print)
    except AssertionError as error:
        console.print(f"FAILED\n{error}\nlogs: {folder}")
        return 1
    shutil.rmtree(folder)
    show(outcome, console)
    return 0


def cut_power(seeds: Sequence[int], say: Callable[[str], None]) -> None:
    """An outbox for each seed, whose power is cut in the middle of what it does.

    Raises:
        AssertionError: what was found wrong, with the seed.
    """
    cuts = 0
    with pytest.MonkeyPatch.context() as patch:
        with_small_files(patch)
        for seed in seeds:
            with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
                life = PowerCuts(seed, Path(folder))
                life.run()
            cuts += life.cuts
    say(f"outboxes: {len(seeds)} seeds with {cuts} power cuts; nothing lost, no number given twice")


def show(outcome: Outcome, console: Console) -> None:
    """The figures of a run."""
    faults = Table("fault", "times", "messages", title=f"seed {outcome.seed}")
    for kind, count in sorted(by_kind(outcome.faults).items(), key=lambda item: list(Kind).index(item[0])):
        faults.add_row(str(kind), str(count), str(outcome.messages.get(kind, "")))
    faults.add_row("all", str(len(outcome.faults)), f"of {outcome.passed}")
    console.print(faults)
    lanes = Table("lane", "numbered records")
    for lane, count in sorted(outcome.report.records.items()):
        lanes.add_row(str(lane), str(count))
    lanes.add_row("all", str(outcome.report.records.total()))
    console.print(lanes)
    console.print(
        f"{outcome.report.signals} signals, as an undisturbed engine gives them; {outcome.seconds:.0f} s in all, "
        f"drained {outcome.drained_s:.0f} s after the last fault; "
        f"longest time without a batch {outcome.report.longest_gap_s:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
