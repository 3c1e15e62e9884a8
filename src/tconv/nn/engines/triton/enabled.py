"""On which GPUs the engine is used: where its kernels have passed on a device, with the Triton that compiles them.

What a kernel does depends on the compiler and on the device, and neither can be tried where there is none. So
`enabled.json` lists pairs of an architecture and a minor version of Triton that `make test-gpu` has passed on;
everywhere else PyTorch's own operator runs, and `tconv.nn.explain` says so. TCONV_TRITON in the environment is for
those who want to try (`try`), or to do without (`off`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PAIRS = Path(__file__).with_name("enabled.json")
VARIABLE = "TCONV_TRITON"
WISHES = ("", "try", "off")

# What Triton is called among packages: by itself, and with PyTorch's builds for CUDA and ROCm.
_PACKAGES = ("triton", "pytorch-triton", "triton-rocm", "pytorch-triton-rocm")


@dataclass(frozen=True)
class Pair:
    """A kind of card and a Triton on which `make test-gpu` passed.

    Attributes:
        architecture: "sm_90" for compute capability 9.0, "gfx942" and the like for AMD's.
        triton: its major and minor version, such as "3.9".
        card: the very card.
        date: when.
        kernels: the `digest` of what ran there.
        gradients: whether training was measured to be faster there, too, so that calls that need gradients may run.
    """

    architecture: str
    triton: str
    card: str
    date: str
    kernels: str
    gradients: bool = False


@cache
def pairs(path: Path = PAIRS) -> Mapping[tuple[str, str], Pair]:
    """What `enabled.json` lists, by architecture and version."""
    listed = [Pair(**each) for each in json.loads(path.read_text())["pairs"]]
    return {(pair.architecture, pair.triton): pair for pair in listed}


def minor(release: str) -> str:
    """The major and minor version of a release.

    >>> minor("3.9.0+git1234")
    '3.9'
    """
    return ".".join(release.split(".")[:2])


@cache
def installed() -> str | None:
    """The version of Triton, as it says without being imported; None if there is none."""
    if find_spec("triton") is None:
        return None
    for name in _PACKAGES:
        try:
            return minor(version(name))
        except PackageNotFoundError:
            continue
    import triton  # built where no package manager knows of it

    return minor(triton.__version__)


def wish() -> str:
    """What TCONV_TRITON says: nothing, "try" or "off".

    Raises:
        ValueError: anything else.
    """
    said = os.environ.get(VARIABLE, "")
    if said not in WISHES:
        raise ValueError(f"{VARIABLE}={said} is unknown; choose 'try' or 'off', or leave it unset")
    return said


def disabled(architecture: str, triton: str | None, wished: str, known: Mapping[tuple[str, str], Pair]) -> str | None:
    """Why the engine is not used on an architecture with a Triton, in words that follow "the input"; None if it is.

    Args:
        architecture: as `Pair` has it.
        triton: its major and minor version, or None if there is none.
        wished: what TCONV_TRITON says.
        known: the pairs that have passed.
    """
    on = f"is on a GPU ({architecture})"
    if wished == "off":
        return f"{on}, and {VARIABLE}=off turns the engine for GPUs off"
    if triton is None:
        return (
            f"{on}, for which the engine needs Triton, and that is not installed; PyTorch's builds for GPUs on Linux "
            "bring it"
        )
    if wished != "try" and (architecture, triton) not in known:
        return (
            f"{on}, on which the engine has not been proven with Triton {triton}; `make test-gpu` proves it, and "
            f"{VARIABLE}=try uses it unproven"
        )
    return None


def with_gradients(architecture: str, triton: str | None, known: Mapping[tuple[str, str], Pair]) -> bool:
    """Whether calls that need gradients run on the engine: where that was measured to be faster."""
    pair = known.get((architecture, triton or ""))
    return pair is not None and pair.gradients


def digest() -> str:
    """Twelve hexadecimal digits that change with every line that decides about a kernel's results."""
    folder = Path(__file__).parent
    names = ("arguments", "axes", "bias", "launch", "layer", "packing", "plan", "streams", "strides")
    deciding = [folder / f"{name}.py" for name in names]
    texts = [path.read_bytes() for path in [*deciding, *sorted((folder / "kernels").glob("*.py"))]]
    return sha256(b"\0".join(texts)).hexdigest()[:12]


def stale(known: Mapping[tuple[str, str], Pair]) -> list[Pair]:
    """Pairs that other kernels passed on than those that there are now: to be proven anew, or taken off the list."""
    now = digest()
    return [pair for pair in known.values() if pair.kernels != now]


def add(pair: Pair, path: Path = PAIRS) -> Path:
    """List a pair, in place of an older entry for the same; returns where."""
    others = [asdict(each) for key, each in pairs(path).items() if key != (pair.architecture, pair.triton)]
    path.write_text(json.dumps({"pairs": [*others, asdict(pair)]}, indent=2) + "\n")
    pairs.cache_clear()
    return path
