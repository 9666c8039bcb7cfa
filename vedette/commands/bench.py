"""``vedette bench``: measure, beside a reference, in one run."""

from pathlib import Path
from typing import Annotated

import typer

from vedette.commands.options import Json, print_json, print_table


def bench(
    name: Annotated[str, typer.Argument(help="Which one; 'list' names them.")] = "list",
    seconds: Annotated[float | None, typer.Option(help="How long to measure, where that is a choice.")] = None,
    repeats: Annotated[int | None, typer.Option(help="How often to measure, where that is a choice.")] = None,
    models: Annotated[Path | None, typer.Option(help="Folder of releases in place of the zoo.")] = None,
    into: Annotated[Path | None, typer.Option(help="Markdown document to write the figures into.")] = None,
    json: Json = False,
) -> None:
    """Run a benchmark: ours, a reference, their ratio, the spread and the conditions."""
    from bench import frame

    if name == "list":
        typer.echo("\n".join(sorted(frame.BENCHMARKS)))
        return
    options = {"seconds": seconds, "repeats": repeats, "models": models}
    figures = frame.run(name, **{option: value for option, value in options.items() if value is not None})
    if into is not None:
        from bench.report import replace_section

        replace_section(into, name, figures)
    if json:
        print_json([figure.as_dict() for figure in figures])
        return
    print_table(
        ["FIGURE", "OURS", "REFERENCE", "RATIO", "UNIT", "REPEATS", "SPREAD"],
        [
            [
                figure.name,
                f"{figure.ours:.4g}",
                "–" if figure.reference is None else f"{figure.reference:.4g}",
                "–" if figure.ratio is None else f"{figure.ratio:.3g}",
                figure.unit,
                str(figure.repeats),
                f"{figure.spread:.3g}",
            ]
            for figure in figures
        ],
        "nothing was measured",
    )
    for name_, value in figures[0].conditions.items() if figures else ():
        typer.echo(f"{name_}: {value}")
