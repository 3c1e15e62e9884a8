"""Plans compiled for cards that are not there, and what came of it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tconv.nn.engines.triton.arguments import Launch, launches
from tconv.nn.engines.triton.launch import kernel_of, lying_of, options_of
from tconv.nn.engines.triton.plan import Plan

POINTERS = {"float16": "*fp16", "bfloat16": "*bf16", "float32": "*fp32"}


@dataclass(frozen=True)
class Compiled:
    """What is known of a compiled kernel.

    Attributes:
        kernel: its name.
        shared: bytes of shared memory.
        spilled: bytes or registers that did not fit.
        instructions: how often each occurs, as the assembler spells it.
    """

    kernel: str
    shared: int
    spilled: int
    instructions: Counter[str]

    def has(self, pattern: str) -> int:
        """How many instructions are of this pattern."""
        return sum(count for name, count in self.instructions.items() if re.fullmatch(pattern, name))


def compile_plan(plan: Plan, architecture: str) -> list[Compiled]:
    """All kernels of a plan, for dense and aligned tensors of its task's layouts."""
    x, y = lying_of(plan)
    return [compile_launch(plan, each, architecture) for each in launches(plan, x, y)]


def compile_launch(plan: Plan, launch: Launch, architecture: str) -> Compiled:
    """One of a plan's kernels."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, attributes = _signature(plan, launch, amd=architecture.startswith("gfx"))
    source = ASTSource(kernel_of(launch.kernel), signature, constexprs=dict(launch.constants), attrs=attributes)
    amd = architecture.startswith("gfx")
    target = GPUTarget("hip", architecture, 64) if amd else GPUTarget("cuda", int(architecture[3:]), 32)
    compiled: Any = triton.compile(source, target=target, options=options_of(launch))
    text = compiled.asm["amdgcn" if amd else "ptx"]
    spilled = _spilled_on_amd(text) if amd else _spilled(compiled.asm["cubin"])
    return Compiled(launch.kernel, compiled.metadata.shared, spilled, _instructions(text))


def _signature(plan: Plan, launch: Launch, amd: bool) -> tuple[dict[str, str], dict[Any, Any]]:
    """Types of the arguments, and what is known of them, as a launch with such tensors would find out."""
    signature, attributes = {}, {}
    for at, name in enumerate(kernel_of(launch.kernel).arg_names):
        if at < len(launch.tensors):
            role = launch.tensors[at]
            wide = (role == "bias" and plan.task.bias) or (role == "partial" and plan.choice.split > 1)
            signature[name] = "*fp32" if wide else POINTERS[plan.task.dtype]
            attributes[(at,)] = [["tt.divisibility", 16]] + [["tt.pointer_range", 32]] * amd
        elif at < len(launch.tensors) + len(launch.numbers):
            number = launch.numbers[at - len(launch.tensors)]
            signature[name] = "fp32" if isinstance(number, float) else "i32"
        else:
            signature[name] = "constexpr"
    return signature, attributes


def _instructions(text: str) -> Counter[str]:
    lines = (line.strip() for line in text.splitlines())
    words = (re.sub(r"^@!?%?\w+\s+", "", line).split(None, 1) for line in lines if line)
    counted: Counter[str] = Counter()
    for first, *rest in words:
        size = re.search(r", (0x[0-9a-f]+|\d+)(?=[,;])", rest[0]) if rest and first.startswith("cp.async.c") else None
        counted[f"{first} {int(size[1], 0)}" if size else first] += 1
    return counted


def _spilled(cubin: bytes) -> int:
    """Bytes on the stack, which these kernels have no other use for."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([_cuobjdump(), "-res-usage", file.name], check=True, capture_output=True, text=True)
    return sum(int(number) for number in re.findall(r"(?:STACK|LOCAL):(\d+)", said.stdout))


@cache
def _cuobjdump() -> str:
    import triton

    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump")


def _spilled_on_amd(text: str) -> int:
    return sum(int(number) for number in re.findall(r"\.vgpr_spill_count:\s*(\d+)", text))
