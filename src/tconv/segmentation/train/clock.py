"""How far a training is, by its steps and by the clock: whichever is further ahead says what the learning rate is."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from time import perf_counter

from tconv.segmentation.train.state import Progress

KEPT = 0.25  # of the time, at most, is kept for what follows the last step
REFINING = 0.05  # of the time, at most, goes into choosing how it predicts best


@dataclass
class Clock:
    """A limit of epochs, of seconds, or of both.

    Attributes:
        epochs: passes, or None for no limit.
        seconds: from the beginning of the training to its end, what ran before an interruption included; or None.
        steps: per epoch.
        before: seconds that were spent before this process went on with the training.
        after: seconds that what follows the last step is expected to take; they are kept free.
        begun: when this process began, by `perf_counter`.
    """

    epochs: int | None
    seconds: float | None
    steps: int
    before: float = 0.0
    after: float = 0.0
    begun: float = field(default_factory=perf_counter)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self.before + perf_counter() - self.begun

    @property
    def refining(self) -> float:
        """Seconds that choosing how the finished model predicts may take."""
        return inf if self.seconds is None else REFINING * self.seconds

    def keep(self, measuring: float, refining: float) -> None:
        """Keep time free.

        Args:
            measuring: seconds that measuring the finished model is expected to take.
            refining: seconds that choosing how it predicts would take.
        """
        self.after = measuring + min(refining, self.refining)

    def part(self, progress: Progress) -> float:
        """Which part of the training is done, 0 to 1; with a limit of epochs alone it follows from the steps."""
        parts = [0.0]
        if self.epochs is not None:
            parts.append((progress.epoch * self.steps + progress.step) / (self.epochs * self.steps))
        if self.seconds is not None:
            parts.append(self.spent / max(self.seconds - min(self.after, KEPT * self.seconds), 1e-9))
        return min(max(parts), 1.0)

    def over(self, progress: Progress) -> bool:
        """Whether nothing is left to do."""
        return self.part(progress) >= 1
