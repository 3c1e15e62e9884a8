"""What the masks of a folder mean, where the folder does not say so: decided over all of them, and said.

Colours become classes, numbered objects become one class, strays are put aside, 0/1 beside 0/255 is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tconv import errors
from tconv.names import shown
from tconv.segmentation.data.colours import found_colours, values_of
from tconv.segmentation.data.findings import Found, Item, Seen, stray_text
from tconv.segmentation.data.instances import are_instances
from tconv.segmentation.data.legend import Legend, make_legend
from tconv.segmentation.data.masks import Coloured, Instances
from tconv.segmentation.data.outlines import Outlines
from tconv.segmentation.data.pairs import Problem

RARE = 0.05  # of the masks: a value that only fringes, in no more of them, is a stray
WHITE = 100  # a value from which on it may be meant for white
LISTED = 4  # files that a sentence names


def judge(found: Found, seen: list[Seen], named: Legend | None) -> None:
    """Fill `found` with the pairs, their legend, and what is to be said.

    Args:
        found: has problems and notes of before.
        seen: the sound pairs.
        named: what is known of the classes.
    """
    legend = named
    if named is None:
        seen, legend = _colours(found, seen)
        if legend is None:
            seen, legend = _objects(found, seen)
        if legend is None:
            seen = _mixed(found, _strays(found, _narrow(found, seen)))
    found.items = [each.item for each in seen]
    if not found.items:
        return
    palettes = {} if legend is not None and legend.colours else _palettes(found, seen)
    indices = bool(palettes) and None not in palettes
    found.legend = legend or make_legend(sorted(found.balance()), indices)
    if legend is None and found.legend.ignore is not None and not indices:  # in palettes it is Pascal VOC's convention
        found.notes.append(
            f"{found.legend.ignore} is taken for pixels to be left out; if it is a class, name all classes in "
            f"classes.txt, lines of VALUE NAME"
        )
    _notes(found, found.legend)


def _colours(found: Found, seen: list[Seen]) -> tuple[list[Seen], Legend | None]:
    """The pairs, and a legend if there are masks in colours: then all are read as colours."""
    if not any(each.coloured for each in seen):
        return seen, None
    coded = [_by_colour(each) for each in seen]
    try:
        legend = found_colours({code for counts in coded for code in counts})
    except errors.TconvError as error:
        found.problems += [Problem(each.item.pair.mask_file, str(error)) for each in seen if each.coloured]
        return [each for each in seen if not each.coloured], None
    values = values_of(legend)
    kept = []
    for each, counts in zip(seen, coded, strict=True):
        totals: Counter[int] = Counter()
        for code, count in counts.items():
            totals[values[code]] += count
        pair = replace(each.item.pair, mask=Coloured(each.item.pair.mask_file, legend))
        kept.append(replace(each, item=replace(each.item, pair=pair, counts=dict(totals))))
    said = ", ".join(f"{value} {colour}" for value, colour in zip(legend.values, legend.colours, strict=True))
    found.notes.append(
        f"the masks are in colours, which are taken for classes in this order: {said}; to name them, write "
        f"classes.csv, lines of NAME,RED,GREEN,BLUE"
    )
    return kept, legend


def _by_colour(each: Seen) -> dict[int, int]:
    """How many pixels have which colour."""
    if each.coloured:
        return each.item.counts
    if each.palette is not None:
        totals: Counter[int] = Counter()
        for value, count in each.item.counts.items():
            totals[each.palette[min(value, 255)]] += count
        return dict(totals)
    return {min(value, 255) * 0x010101: count for value, count in each.item.counts.items()}


def _objects(found: Found, seen: list[Seen]) -> tuple[list[Seen], Legend | None]:
    """The pairs, and a legend of two classes if the masks number objects."""
    drawn = any(isinstance(each.item.pair.mask, Outlines) for each in seen)
    if drawn or not are_instances([each.census for each in seen]):
        return seen, None
    kept = []
    for each in seen:
        pair = replace(each.item.pair, mask=Instances(each.item.pair.mask_file))
        ground = each.item.counts.get(0, 0)
        counts = {0: ground, 1: sum(each.item.counts.values()) - ground}
        item = replace(each.item, pair=pair, counts={value: count for value, count in counts.items() if count})
        kept.append(replace(each, item=item))
    most = max(each.census.objects for each in seen)
    found.notes.append(
        f"the masks number objects, up to {most} in one; all of them are taken for one class, the foreground; if the "
        f"values are classes, name them in classes.txt, lines of VALUE NAME"
    )
    return kept, Legend((0, 1), ("background", "foreground"), objects=True)


def _narrow(found: Found, seen: list[Seen]) -> list[Seen]:
    """Without masks of values that no class can have."""
    kept = []
    for each in seen:
        most = max(each.item.counts, default=0)
        if most < 2**16:
            kept.append(each)
            continue
        path = each.item.pair.mask_file
        found.problems.append(Problem(path, f"has the value {most}; the values of classes end at 65535"))
    return kept


def _strays(found: Found, seen: list[Seen]) -> list[Seen]:
    """Without masks of a value that hardly any mask has, and that nowhere fills a square: they are problems."""
    holders = Counter(value for each in seen for value in each.item.counts)
    solid = {value for each in seen for value in each.item.counts if value not in each.edges}
    limit = max(1, RARE * len(seen))
    strays = {value for value, masks in holders.items() if value not in solid and masks <= limit < len(seen)}
    kept = []
    for each in seen:
        wrong = strays & each.item.counts.keys()
        if not wrong:
            kept.append(each)
            continue
        value, path = min(wrong), each.item.pair.mask_file
        why = f"is in {holders[value]} of {len(seen)} masks only"
        found.problems.append(Problem(path, stray_text(path, each.item.pair.values(), value, why)))
    return kept


def _mixed(found: Found, seen: list[Seen]) -> list[Seen]:
    """Without the fewer of masks that count classes, 0, 1, 2, and masks that spread them over the greys, 0, 127, 254.

    Two annotators or two tools wrote them: what is a class in the ones is another class in the others.
    """
    low, high = _scales({value for each in seen for value in each.item.counts} - {0})
    ones, full = ([each for each in seen if _says(each, values)] for values in (low, high))
    if not ones or not full or len(ones) + len(full) < _filled(seen):
        return seen
    fewer, more = sorted((full, ones), key=len)
    said = {id(ones): _joined([0, *low]), id(full): _joined([0, *high])}
    cure = f"write all alike, or say in classes.txt what {_joined([0, *low, *high])} mean"
    found.conflict = (
        f"{len(more)} masks hold {said[id(more)]} ({_listed(more)}) and {len(fewer)} hold {said[id(fewer)]} "
        f"({_listed(fewer)}); {cure}"
    )
    for each in fewer:
        found.problems.append(Problem(
            each.item.pair.mask_file,
            f"holds {said[id(fewer)]}, and {len(more)} other masks {said[id(more)]} ({_listed(more)}); {cure}",
        ))  # fmt: skip
    left_out = {id(each) for each in fewer}
    return [each for each in seen if id(each) not in left_out]


def _scales(values: set[int]) -> tuple[list[int], list[int]]:
    """The values as 1 to k, or k greys up to white, and as k greys up to a brighter white; else two empty lists."""
    ordered = sorted(values)
    k = len(ordered) // 2
    low, high = ordered[:k], ordered[k:]
    counts = len(high) == k > 0 and (low == list(range(1, k + 1)) or _is_even(low))
    return (low, high) if counts and _is_even(high) else ([], [])


def _is_even(greys: list[int]) -> bool:
    """Whether they lie evenly between black and white."""
    return greys[-1] >= WHITE and all(abs(grey - greys[-1] * n / len(greys)) <= 1 for n, grey in enumerate(greys, 1))


def _says(each: Seen, values: list[int]) -> bool:
    """Whether a mask holds some of these values, and beside 0 no other."""
    own = each.item.counts.keys() - {0}
    return bool(own) and own <= set(values)


def _joined(values: list[int]) -> str:
    *first, last = map(str, values)
    return f"{', '.join(first)} and {last}"


def _filled(seen: list[Seen]) -> int:
    """How many masks hold anything but 0."""
    return sum(any(value for value in each.item.counts) for each in seen)


def _listed(seen: Iterable[Seen]) -> str:
    names = [shown(each.item.pair.mask_file.name) for each in seen]
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")


def _palettes(found: Found, seen: list[Seen]) -> dict[tuple[int, ...] | None, Path]:
    """A mask file by each palette that there is; None stands for grey."""
    palettes: dict[tuple[int, ...] | None, Path] = {}
    for each in seen:
        palettes.setdefault(each.palette, each.item.pair.mask_file)
    if len(palettes) > 1:
        names = " and ".join(f"{shown(path.name)} ({'palette' if p else 'grey'})" for p, path in palettes.items())
        found.notes.append(
            f"masks have different palettes, or some have none: {names}; the same value may mean different classes"
        )
    return palettes


def _notes(found: Found, legend: Legend) -> None:
    """What one should know before one trains on this."""
    balance = found.balance()
    total = max(1, sum(balance.values()))
    classes = list(zip(legend.values, legend.names, strict=True))
    absent = [name for value, name in classes if not balance.get(value)]
    rare = [name for value, name in classes if 0 < balance.get(value, 0) < 1e-3 * total]
    if absent:
        found.notes.append(f"no mask has a pixel of {', '.join(absent)}")
    if rare:
        found.notes.append(f"less than a thousandth of all pixels is {', '.join(rare)}")
    same: dict[str, list[str]] = {}
    for item in found.items:
        same.setdefault(item.digest, []).append(shown(item.pair.image.name))
    for names in same.values():
        if len(names) > 1:
            found.notes.append(f"equal images: {', '.join(names)}; they stay on one side of the split")
    contested = [item.contested for item in found.items if item.contested]
    if contested:
        found.notes.append(
            f"outlines of different classes overlap in {len(contested)} of {len(found.items)} masks, on "
            f"{sum(contested) / total:.2%} of all pixels; crowds lie below, and later annotations on earlier ones"
        )
    _image_notes(found)


def _image_notes(found: Found) -> None:
    items = found.items
    kinds = Counter(item.shape[2] for item in items)
    if len(kinds) > 1:
        said = ", ".join(f"{count} with {channels} channels" for channels, count in sorted(kinds.items()))
        found.notes.append(f"images differ: {said}; grey becomes RGB")
    for chosen, what in (
        ([item for item in items if item.alpha], "images have an alpha channel, which is dropped"),
        ([item for item in items if item.missing], "images have pixels that are NaN or nodata, which are left out"),
        ([item for item in items if item.turned], "images are turned by their EXIF, and their masks have none; look at "
         "the contact sheet whether they fit: check-data DIR -o sheet.png"),
    ):  # fmt: skip
        if chosen:
            found.notes.append(f"{len(chosen)} {what} ({_first(chosen)})")


def _first(items: list[Item]) -> str:
    names = [shown(item.pair.image.name) for item in items]
    return ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
