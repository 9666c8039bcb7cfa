"""What the commands of ``vedette models`` share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

Name = Annotated[str, typer.Argument(help="Name of a model of the zoo, such as fire.")]
Sets = Annotated[Path | None, typer.Option("--data", help="Folder with the image sets; VEDETTE_DATA when left out.")]
Work = Annotated[Path, typer.Option(help="Work folder of the workshop; a step that was broken off goes on there.")]
To = Annotated[Path, typer.Option("--to", help="Folder of the release.")]


class ModelsError(RuntimeError):
    """A model cannot be used, measured or published; the text says why."""


class StoppedError(ModelsError):
    """Whoever started a step has stopped it."""

    exit_code = 130


def step(do: Callable[[], Any]) -> Any:
    """Run a step of the workshop; what it lacks is told in one line, and so is being stopped."""
    try:
        return do()
    except KeyboardInterrupt:
        raise StoppedError("stopped; nothing half-written is left, and the same command goes on from there") from None
    except (OSError, ValueError, KeyError, ImportError) as error:
        # The text of a KeyError is its argument; as a string it would stand in quotes.
        raise ModelsError(str(error.args[0] if isinstance(error, KeyError) and error.args else error)) from error


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
