"""What plans need to know of a device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

# Bytes of shared memory that one block may have, where PyTorch does not say it. CUDA C++ Programming Guide, "Compute
# Capabilities"; of AMD's CDNA3, the local data share.
SHARED = {"sm_75": 65536, "sm_80": 166912, "sm_86": 101376, "sm_89": 101376, "sm_90": 232448, "sm_100": 232448}
SHARED |= {"sm_103": 232448, "sm_120": 101376, "gfx90a": 65536, "gfx942": 65536, "gfx950": 163840}
SMALLEST = 49152


@dataclass(frozen=True, slots=True)
class Card:
    """A kind of device, as far as plans depend on it. Made by hand where there is none.

    Attributes:
        architecture: "sm_90" for compute capability 9.0; "gfx942" and the like for AMD's.
        processors: streaming multiprocessors, or compute units.
        shared_memory: bytes that one block may have.
        name: what the maker calls it; nothing depends on it.
    """

    architecture: str
    processors: int
    shared_memory: int
    name: str = ""

    @property
    def amd(self) -> bool:
        """Whether this is a device of AMD's, whose warps have 64 threads."""
        return self.architecture.startswith("gfx")

    @property
    def capability(self) -> int:
        """The compute capability as one number, 90 for 9.0; 0 for AMD's."""
        return 0 if self.amd else int(self.architecture.removeprefix("sm_"))

    @property
    def tensor_cores(self) -> bool:
        """Whether products of tf32 and bfloat16 are computed in hardware."""
        return self.architecture in ("gfx90a", "gfx942", "gfx950") if self.amd else self.capability >= 80


def known(architecture: str, processors: int = 108, name: str = "") -> Card:
    """A card of which only the architecture matters, as for compiling where there is no device.

    >>> known("sm_90", 132).shared_memory
    232448
    """
    return Card(architecture, processors, SHARED.get(architecture, SMALLEST), name)


def card(device: torch.device) -> Card:
    """What is known of a device of type "cuda", which AMD's are called in PyTorch, too; remembered."""
    index = torch.cuda.current_device() if device.index is None else device.index
    return _card(index)


@cache
def _card(index: int) -> Card:
    properties = torch.cuda.get_device_properties(index)
    gcn = getattr(properties, "gcnArchName", "") if torch.version.hip else ""
    architecture = gcn.partition(":")[0] or f"sm_{properties.major}{properties.minor}"
    guess = SHARED.get(architecture, SMALLEST)
    shared = guess if gcn else int(getattr(properties, "shared_memory_per_block_optin", guess))
    return Card(architecture, int(properties.multi_processor_count), shared, str(properties.name))
