"""What a training runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Machine:
    """`device` is `cpu` or `cuda`; `threads` of the CPU (None: as PyTorch chooses)."""

    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ValueError(f"device '{self.device}' is not one of {', '.join(DEVICES)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"{self.threads} threads: give 1 or more")

    @property
    def makers(self) -> int:
        """Threads that make batches ahead: a GPU is fed by all processors, on a CPU they are needed for the sums."""
        return max(1, (os.cpu_count() or 2) - 1) if self.device == "cuda" else 1

    def take(self) -> None:
        """Set the threads, and look whether the device is there. Raises `ValueError` when it is not."""
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: PyTorch finds no GPU here; use --device cpu, or look at 'nvidia-smi'")

    def described(self) -> dict[str, object]:
        """Device and threads, for a record."""
        import torch

        name = torch.cuda.get_device_name() if self.device == "cuda" else "cpu"
        return {"device": name, "threads": torch.get_num_threads()}
