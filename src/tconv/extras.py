"""What to type where a package is missing: one command, right for the way in which tconv itself came here.

A bare name, as in `pip install 'tconv[explain]'`, may be answered by an index, with another version or another project.
So it is said only of what an index has brought. Whatever was installed from a folder, a file or a repository has that
place in its metadata (PEP 610), and the command names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

Extra: TypeAlias = Literal[
    "bench",
    "dask",
    "encoders",
    "explain",
    "flax",
    "images",
    "jax",
    "keras",
    "onnx",
    "predict",
    "segmentation",
    "tensorboard",
    "torch",
]
"""The extras of pyproject.toml that a message may name."""

_SOURCES = Path(__file__).parents[2]


def cure(extra: Extra) -> str:
    """The command that brings the packages of an extra into this environment, without changing which tconv is there.

    Args:
        extra: One of those in pyproject.toml.

    Returns:
        For an installation from an index `pip install 'tconv[EXTRA]'`; from a folder or a file, its path instead of the
        name, with `--editable` where it was installed so; from elsewhere `'tconv[EXTRA] @ URL'`. If the folder or file
        is gone, the command for a checkout, said to be one.
    """
    import shlex

    place = _place(_origin(), extra)
    if place is None:
        return f"in a checkout of tconv, pip install '.[{extra}]'"
    editable, what = place
    return f"pip install {'--editable ' if editable else ''}{shlex.quote(what)}"


def _place(origin: dict[str, Any] | None, extra: Extra) -> tuple[bool, str] | None:
    """Whether it is to be editable, and what pip gets; None if what tconv came from is not there any more.

    Args:
        origin: Of PEP 610: `url`, and one of `dir_info`, `archive_info` and `vcs_info`; None: an index.
        extra: As in `cure`.
    """
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    if origin is None:
        return False, f"tconv[{extra}]"
    url, vcs = str(origin.get("url", "")), origin.get("vcs_info")
    if vcs:
        return False, f"tconv[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    parts = urlsplit(url)
    if parts.scheme != "file":
        return (False, f"tconv[{extra}] @ {url}") if parts.scheme else None
    path = Path(url2pathname(parts.path))
    if not path.exists():
        return None
    return bool(origin.get("dir_info", {}).get("editable")), f"{path}[{extra}]"


def _origin() -> dict[str, Any] | None:
    """What the metadata of the installation says of where it came from; of sources that are run as they lie, these."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution("tconv").read_text("direct_url.json")
    except PackageNotFoundError:
        return {"url": _SOURCES.as_uri(), "dir_info": {"editable": True}}
    return json.loads(text) if text else None
