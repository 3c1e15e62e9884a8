"""The colours of every role, in daylight and in the dark: the same in pictures and on the page.

Blue is always the input, orange the kernel, green the output; grey is cropped or put in, pink has the bias only.
Numbers keep a contrast of at least 4.5 to 1 on every fill.
"""

from __future__ import annotations

from typing import NamedTuple

from tconv.explorer.scene import Role


class Colours(NamedTuple):
    """Of a cell: its fill, the fill where it is lit, its edge and title, and its number."""

    fill: str
    lit: str
    edge: str
    ink: str


class Theme(NamedTuple):
    """All colours of a picture; roles with tints have one entry per tint."""

    paper: str
    ink: str
    soft: str
    roles: dict[Role, tuple[Colours, ...]]

    def of(self, role: Role, tint: int = 0) -> Colours:
        """They repeat after the last tint."""
        tints = self.roles[role]
        return tints[tint % len(tints)]


LIGHT = Theme(
    "#ffffff",
    "#1d2733",
    "#5b6673",
    {
        Role.INPUT: (Colours("#dfeafc", "#9fc2f7", "#2563b8", "#10294d"),),
        Role.KERNEL: (Colours("#fdeada", "#f9bf8a", "#b35309", "#4d2500"),),
        Role.OUTPUT: (Colours("#dff3e4", "#97d9aa", "#1b7a3d", "#0c331a"),),
        Role.CANVAS: (Colours("#eef7f0", "#97d9aa", "#1b7a3d", "#0c331a"),),
        Role.CROPPED: (Colours("#eceef1", "#d6dae0", "#6b7683", "#4b545f"),),
        Role.HOLE: (Colours("#fce4ec", "#f5a9c1", "#b3245b", "#611031"),),
        Role.ZERO: (Colours("#f8f9fa", "#e4e8ec", "#737d89", "#59636e"),),
        Role.PLAIN: (Colours("#ffffff", "#eceef1", "#5b6673", "#1d2733"),),
        Role.PHASE: (
            Colours("#dff0f7", "#a5d8ec", "#0f6f94", "#08384b"),
            Colours("#f3e5f8", "#dcb3ea", "#83359c", "#42144f"),
            Colours("#fbf0c9", "#f0d976", "#806000", "#403000"),
            Colours("#e3f2da", "#b2dd97", "#3f7a1c", "#1f400b"),
            Colours("#fde2de", "#f7aea4", "#b03a2b", "#5b180f"),
            Colours("#e4e6fa", "#b6bcf1", "#414cb3", "#1e2459"),
        ),
        Role.HEAT: (
            Colours("#f2f7f4", "#f2f7f4", "#c3d3c9", "#1d2733"),
            Colours("#cfe8d8", "#cfe8d8", "#a5c9b3", "#0c331a"),
            Colours("#9fd3b3", "#9fd3b3", "#77b18e", "#0a2c16"),
            Colours("#5fb383", "#5fb383", "#44936a", "#04210f"),
            Colours("#1f7a4a", "#1f7a4a", "#145c36", "#ffffff"),
        ),
    },
)

DARK = Theme(
    "#12161b",
    "#e8ecf1",
    "#a3adb9",
    {
        Role.INPUT: (Colours("#1b2f4d", "#2f5ea6", "#7fb0f5", "#e4eefc"),),
        Role.KERNEL: (Colours("#43290f", "#8f5113", "#f2a45c", "#fdeedd"),),
        Role.OUTPUT: (Colours("#16361f", "#23703c", "#6fcf8c", "#e2f6e8"),),
        Role.CANVAS: (Colours("#14261a", "#23703c", "#6fcf8c", "#e2f6e8"),),
        Role.CROPPED: (Colours("#22272e", "#3a424c", "#8a95a3", "#bcc5d0"),),
        Role.HOLE: (Colours("#471a2c", "#87294f", "#f28bb0", "#fde6ee"),),
        Role.ZERO: (Colours("#191e24", "#303740", "#78838f", "#a9b3be"),),
        Role.PLAIN: (Colours("#12161b", "#2a3038", "#a3adb9", "#e8ecf1"),),
        Role.PHASE: (
            Colours("#12323f", "#1c5f7a", "#6cc4e6", "#e0f3fa"),
            Colours("#38203f", "#6a357a", "#d79be8", "#f7eafb"),
            Colours("#3a2f08", "#6b5710", "#e3c34f", "#fbf3d5"),
            Colours("#21360f", "#3f681c", "#9fd67a", "#ebf7e2"),
            Colours("#431d17", "#863426", "#f59283", "#fdeae7"),
            Colours("#22264f", "#3d4598", "#a3abf2", "#eceefc"),
        ),
        Role.HEAT: (
            Colours("#171d1a", "#171d1a", "#34433a", "#e8ecf1"),
            Colours("#173324", "#173324", "#27533a", "#e2f6e8"),
            Colours("#1d5236", "#1d5236", "#2f754f", "#e2f6e8"),
            Colours("#27704a", "#27704a", "#42a06d", "#ffffff"),
            Colours("#7fd6a4", "#7fd6a4", "#a5e8c1", "#04210f"),
        ),
    },
)
