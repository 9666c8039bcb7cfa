"""``vedette node check``: tries everything a node needs, at once, and tells what works, what does not, and why."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.config import ConfigError, load_config
from edge.node import default_run_dir
from edge.probes.finding import Finding, Probe
from edge.probes.machine import machine_probes
from edge.probes.models import model_probes
from edge.probes.sources import camera_probes, sensor_probes
from edge.probes.uplink import uplink_probes

_AT_ONCE: Final = 8
"""More decoders and models at a time would only slow each other down, past their limits."""


def check(config_path: Path) -> list[Finding]:
    """Try everything ``node.yaml`` speaks of.

    Returns:
        One finding a thing, in the order of the file. Where the file itself cannot be used, one for each fault in it.
    """
    try:
        config = load_config(config_path)
    except ConfigError as error:
        return [_config_fault(config_path, line) for line in str(error).splitlines()]
    probes = [
        *camera_probes(config),
        *sensor_probes(config),
        *model_probes(config),
        *uplink_probes(config),
        *machine_probes(config, default_run_dir(config)),
    ]
    # Its complaints would come between the lines of the table; ours stand in it.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    return run_probes(probes)


def run_probes(probes: Sequence[Probe]) -> list[Finding]:
    """Run them at once, a few at a time; one that does not come back within its limit is a finding itself."""
    findings: dict[int, Finding] = {}
    began: dict[int, float] = {}
    turns = threading.Semaphore(_AT_ONCE)

    def run(number: int, probe: Probe) -> None:
        with turns:
            began[number] = time.monotonic()
            try:
                findings[number] = probe.run()
            except Exception as error:  # noqa: BLE001 - a fault nobody thought of must not hide what the others found
                detail = f"failed in a way nobody expected: {type(error).__name__}: {error}"
                findings[number] = Finding(probe.kind, probe.name, ok=False, detail=detail, way_out="please report it")

    threads = [
        threading.Thread(target=run, args=(number, probe), name=f"{probe.kind} {probe.name}", daemon=True)
        for number, probe in enumerate(probes)
    ]
    for thread in threads:
        thread.start()
    for number, (probe, thread) in enumerate(zip(probes, threads, strict=True)):
        while thread.is_alive() and time.monotonic() - began.get(number, time.monotonic()) < probe.limit_s:
            thread.join(0.1)
            if number not in began and not _turn_can_come(began, findings, probes):
                break
    return [findings.get(number) or _hung(probe) for number, probe in enumerate(probes)]


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where everything works, else 2."""
    return 0 if all(finding.ok for finding in findings) else 2


def as_dicts(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(finding) for finding in findings]


def render(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print a table, and below it what to do."""
    console = console or Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "name", "found"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("FAILS", style="bold red")
        table.add_row(mark, finding.kind, Text(finding.name), Text(finding.detail))
    console.print(table)
    bad = [finding for finding in findings if not finding.ok]
    for finding in bad:
        console.print(Text(f"\n{finding.kind} {finding.name}: {finding.detail}; {finding.way_out}".rstrip("; ")))
    summary = f"{len(findings) - len(bad)} of {len(findings)} work"
    console.print(Text(f"\n{summary}", style="bold red" if bad else "green"))


def _turn_can_come(began: dict[int, float], findings: dict[int, Finding], probes: Sequence[Probe]) -> bool:
    """Whether any of those that hold a turn can still give it back in time."""
    now = time.monotonic()
    holding = [number for number in began if number not in findings]
    return len(holding) < _AT_ONCE or any(now - began[number] < probes[number].limit_s for number in holding)


def _hung(probe: Probe) -> Finding:
    detail = f"did not come back within {probe.limit_s:g} s"
    return Finding(probe.kind, probe.name, ok=False, detail=detail, way_out="look at it by itself")


def _config_fault(path: Path, line: str) -> Finding:
    return Finding("config", path.name, ok=False, detail=line, way_out="")
