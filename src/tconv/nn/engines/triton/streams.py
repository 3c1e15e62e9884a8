"""Packed weights that one stream wrote and others read, and CUDA graphs that go on reading them.

PyTorch's rule is that who uses a tensor on several streams orders them. Of packed weights nobody knows but the engine,
so the engine orders their readers: a stream that meets them first waits on the device, not on the host, until they have
been written, and the allocator is told that it reads them. A CUDA graph reads them whenever it is replayed, which
nobody sees; what a graph has captured is therefore never let go.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tconv.nn import private

_captured: list[object] = []


class Shared:
    """Some tensors on one GPU that the current stream has just been told to write, and that many streams may read."""

    def __init__(self, tensors: Sequence[Tensor]):
        self._tensors = tuple(tensors)
        self._index = self._tensors[0].get_device()
        stream = torch.cuda.current_stream(self._index)
        self._written = torch.cuda.Event()
        self._written.record(stream)
        self._readers = {private.raw_stream(self._index)}
        self._held = False

    def meet(self) -> None:
        """Let the current stream read from here on."""
        capturing = private.capturing()
        if capturing and not self._held:
            _captured.append(self._tensors)
            self._held = True
        reader = private.raw_stream(self._index)
        if reader in self._readers:
            return
        stream = torch.cuda.current_stream(self._index)
        if capturing:  # a graph cannot wait for what is outside of it; torch.cuda.graph waited before it began
            return
        stream.wait_event(self._written)
        for tensor in self._tensors:
            tensor.record_stream(stream)
        self._readers.add(reader)


class Alone:
    """The same without a GPU, where there are no streams."""

    def meet(self) -> None:
        """Nothing has to be ordered."""
