"""The command line, and the whole system in one command. The only package that knows both edge and cloud."""

from typing import Final

VERSION: Final = "0.1.0"
