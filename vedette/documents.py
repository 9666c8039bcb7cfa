"""Documents that are drawn from the code: ``python -m vedette.documents`` writes them anew."""

import json
from pathlib import Path

import yaml

from contract.asyncapi import document


def write(docs: Path) -> list[Path]:
    """Write every such document below ``docs``; returns what was written."""
    asyncapi = docs / "asyncapi.yaml"
    asyncapi.write_text(yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120))
    return [asyncapi]


if __name__ == "__main__":
    for path in write(Path(__file__).parents[1] / "docs"):
        print(json.dumps(str(path)))  # noqa: T201 - the command's only output
