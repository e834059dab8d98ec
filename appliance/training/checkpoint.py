"""The state of a training in a file, so that a stopped training can be resumed."""

from __future__ import annotations

import io
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from appliance.common.atomic_write import write_atomically


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        seen_tokens: predicted in training so far.
        updates: steps of gradient descent so far.
        best_nll: the best validation figure so far, in nats per unit.
        best_weights: the averaged weights that reached it; empty before the first evaluation.
        evals_without_improvement: since the best one.
        cpu_s: processor time spent on training so far.
    """

    seen_tokens: int = 0
    updates: int = 0
    best_nll: float = math.inf
    best_weights: dict[str, Any] = field(default_factory=dict)
    evals_without_improvement: int = 0
    cpu_s: float = 0.0


@dataclass
class Checkpoint:
    """The file of one training, and everything that is saved in it."""

    path: Path
    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress

    def save(self) -> None:
        """Replace the file by the present state.

        Raises:
            OSError: the file cannot be written.
        """
        buffer = io.BytesIO()
        content = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(content | asdict(self.progress), buffer)
        write_atomically(self.path, buffer.getvalue())

    def restore(self, device: str) -> None:
        """Load the state in the file into networks, optimizer and progress.

        Raises:
            OSError: the file cannot be read.
            RuntimeError: it is of a network of another size.
        """
        content = torch.load(self.path, map_location=device)
        self.network.load_state_dict(content.pop("network"))
        self.average.load_state_dict(content.pop("average"))
        self.optimizer.load_state_dict(content.pop("optimizer"))
        for name, value in content.items():
            setattr(self.progress, name, value)
