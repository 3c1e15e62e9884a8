"""Run by test_disks.py in a process of its own: a disk that gets full or read-only after good work was written to it.

The disk is a small tmpfs in a mount namespace where the system permits one; else, or with "limits", the process denies
itself what such a disk denies: RLIMIT_FSIZE, and directory modes together with a root that has to heed them.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

from tconv import cli

libc = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACE, NEW_USER, PRIVATE = 0x00020000, 0x10000000, 0x44000  # of unshare(2) and mount(2)
REMOUNT_READ_ONLY = 0x20 | 0x01
DAC_OVERRIDE = 1 << 1  # the capability to ignore modes


def mount(folder: Path) -> bool:
    """Whether `folder` is now a disk of 6 MB that only this process sees."""
    if libc.unshare(NEW_NAMESPACE | (NEW_USER if os.getuid() else 0)):
        return False
    libc.mount(None, b"/", None, PRIVATE, None)
    return not libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=6m")


def fill(folder: Path, mounted: bool, room: int = 0) -> None:
    """Leave `room` bytes on the disk; without one, for each file."""
    if not mounted:
        tempfile.gettempdir()  # which other libraries ask for, is found by writing a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        return
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(folder / "filler", (folder / "filler").stat().st_size - room)


def lock(folder: Path, mounted: bool) -> None:
    if mounted:
        assert not libc.mount(None, os.fsencode(folder), None, REMOUNT_READ_ONLY, None), ctypes.get_errno()
        return
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert not libc.capget(header, sets)
    sets[0] &= ~DAC_OVERRIDE
    assert not libc.capset(header, sets)


def tconv(line: str) -> tuple[int, str]:
    """The status of a command and all it says."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            cli.main(["segment", *line.split()])
        except SystemExit as left:
            status = left.code
    return int(status or 0), said.getvalue()


def content() -> dict[str, str]:
    return {
        str(path): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(Path().rglob("*"))
        if path.is_file()
    }


def main() -> None:
    how, way, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    mounted = way == "disk" and mount(folder)
    os.chdir(folder)
    options = "--epochs 2 --features 4,8 --size 32 --batch 2"
    good = ["make-data cells data -n 4 --size 48", f"train data -o run {options}", "predict run data/images -o masks"]
    for line in good:
        status, said = tconv(line)
        assert status == 0, said
    (fill if how == "full" else lock)(folder, mounted)
    before = content()
    results = {
        name: tconv(line)
        for name, line in {
            "make-data": "make-data cells more -n 5 --size 48 --seed 1",
            "check-data": "check-data data -o sheet.png",
            "train": f"train data -o other {options}",
            "resume": f"train data -o run {options} --resume",
            "predict": "predict run data/images -o masks --again --overlay --probabilities",
            "export": "export run -o model.pt2 --size 32",
        }.items()
    }
    same = content() == before
    if how == "full":
        fill(folder, mounted, room=8192)  # for the settings, and not for a model
        results["train into little room"] = tconv(f"train data -o other {options}")
        results["eval"] = tconv("eval run data")
    print(json.dumps({"results": results, "same": same}))


if __name__ == "__main__":
    main()
