"""``vedette rules``: what the rules say, tried without a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.commands.options import HOME, Data, Json, print_json, print_table

if TYPE_CHECKING:
    from psycopg import Connection

    from cloud.ingest.ruleset import Compiler
    from rules.entry import Entry
    from rules.language import RuleSet
    from rules.signal import Signal

app = typer.Typer(help="Read, test and replay the rules, without a server.", no_args_is_help=True)
Files = Annotated[list[Path] | None, typer.Argument(help="Files of rules; the shipped ones when left out.")]


class RulesError(RuntimeError):
    """Rules cannot be read; the text says why."""


@app.command("list")
def list_rules(files: Files = None, json: Json = False) -> None:
    """List the rules with what each is for."""
    found = _load(files)
    if json:
        print_json(
            [{"name": rule.name, "kind": rule.kind, "key": str(rule.key), "about": rule.about} for rule in found]
        )
        return
    print_table(
        ["RULE", "KIND", "KEY", "ABOUT"],
        [[rule.name, rule.kind, str(rule.key), " ".join(rule.about.split())] for rule in found],
        "no rules",
    )


@app.command("test")
def run_rule_tests(files: Files = None, json: Json = False) -> None:
    """Run the rules' own tests. Exit code 1 where one fails."""
    from rules.testing import run_tests

    results = run_tests(_load(files))
    failed = [result for result in results if not result.passed]
    if json:
        print_json(
            [
                {"rule": r.rule, "test": r.test, "file": r.file, "passed": r.passed, "problem": r.problem}
                for r in results
            ]
        )
    else:
        for result in failed:
            typer.secho(f"{result.file}: {result.rule}: {result.test}\n  {result.problem}", fg="red")
        typer.echo(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


@app.command()
def replay(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of rules, to try; those that were in force when left out.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Begin of the journal's part; all of it when left out.")
    ] = None,
    entries: Annotated[
        Path | None, typer.Option(help="Recorded entries, JSON, one a line, instead of the journal.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with what was said at the time; exit code 1 where it differs.")
    ] = False,
    json: Json = False,
    data_dir: Data = HOME,
) -> None:
    """Let rules follow the journal of 'vedette up' again, and print what they say; nothing is changed.

    Without FILES it is an exact replay: the state and the rules of the time, every signal as it was. With FILES these
    rules begin at --since and know nothing of what was before.
    """
    import msgspec

    if check:
        if files or entries is not None:
            raise RulesError("--check compares the journal with what was said; leave FILES and --entries out")
        _check(data_dir, since, json)
        return
    if entries is not None or files:
        from rules.replay import replay as follow

        found = _load(files)
        parts = _journals(data_dir, since) if entries is None else iter([_recorded(entries)])
        said = [msgspec.to_builtins(signal) for part in parts for signal in follow(part, found)]
    else:
        said = [msgspec.to_builtins(signal) for signal in _again(data_dir, since)]
    said.sort(key=lambda signal: signal["time"])
    if json:
        print_json(said)
        return
    print_table(
        ["TIME", "ACTION", "SEVERITY", "RULE", "KEY", "TITLE"],
        [
            [
                datetime.fromtimestamp(s["time"] / 1e6, UTC).isoformat(timespec="milliseconds"),
                s["action"], s["severity"], s["rule"], s["key"], s["title"]["en"],
            ]
            for s in said
        ],
        "the rules say nothing to this journal",
    )  # fmt: skip


def _again(data_dir: Path, since: datetime | None) -> "Iterator[Signal]":
    """What the rules of the time say to the journal."""
    from cloud.ingest import replay

    with _journal_of(data_dir) as (connection, partitions, compiler):
        for partition in partitions:
            for said in replay.replay(connection, compiler, partition, _micros(since)):
                yield said.signal


def _check(data_dir: Path, since: datetime | None, json: bool) -> None:
    import msgspec

    from cloud.ingest import replay

    with _journal_of(data_dir) as (connection, partitions, compiler):
        found = [
            one for partition in partitions for one in replay.check(connection, compiler, partition, _micros(since))
        ]
    if json:
        print_json([msgspec.to_builtins(one) for one in found])
    else:
        print_table(
            ["PARTITION", "ENTRY", "SAID", "REPLAYED"],
            [[str(one.partition), str(one.seq), _brief(one.said), _brief(one.replayed)] for one in found],
            "the rules say what they said at the time",
        )
    if found:
        raise typer.Exit(1)


@contextmanager
def _journal_of(data_dir: Path) -> "Iterator[tuple[Connection[Any], list[int], Compiler]]":
    """The database of 'vedette up', the partitions that have a journal, and what compiles its rules."""
    from cloud.ingest import replay
    from cloud.ingest.ruleset import Compiler, shipped_texts
    from cloud.store.connection import connect
    from vedette.up.home import Home

    with connect(Home(data_dir.absolute()).settings().database, "vedette-replay") as connection:
        yield connection, replay.partitions(connection), Compiler(shipped_texts())


def _brief(signal: "Signal | None") -> str:
    return "–" if signal is None else f"{signal.action} {signal.severity} {signal.rule} {signal.key}"


def _micros(since: datetime | None) -> int:
    return 0 if since is None else int(since.replace(tzinfo=since.tzinfo or UTC).timestamp() * 1e6)


def _load(files: list[Path] | None) -> "RuleSet":
    from rules.language import RuleSet, load_rules
    from rules.packs import shipped

    if not files:
        return shipped()
    found = RuleSet()
    for file in files:
        try:
            found += load_rules(file.read_text(encoding="utf-8"), str(file))
        except OSError as error:
            raise RulesError(f"{file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise RulesError(f"{file} is not UTF-8 text: {error.reason}") from error
    return found


def _recorded(file: Path) -> "Iterator[Entry]":
    """The entries of a file, which nobody but the rules needs to see: no server is asked."""
    from rules.replay import EntryError, decode_entry

    number = 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                number += 1
                if line.strip():
                    yield decode_entry(line)
    except OSError as error:
        raise RulesError(f"{file} cannot be read: {error.strerror}") from error
    except EntryError as error:
        raise RulesError(f"{file}:{number}: {error}") from error


def _journals(data_dir: Path, since: datetime | None) -> "Iterator[Iterator[Entry]]":
    """The entries of each partition of the journal in their order: a partition's rules see it alone."""
    from cloud.ingest import journal

    begin = _micros(since)
    with _journal_of(data_dir) as (connection, partitions, _):

        def one(partition: int) -> "Iterator[Entry]":
            after = 0
            while rows := journal.read(connection, partition, after, 1000):
                after = rows[-1][0]
                for _, line in rows:
                    if line.kind != "rules" and line.arrived >= begin:
                        yield from journal.entries(line)

        for partition in partitions:
            yield one(partition)
