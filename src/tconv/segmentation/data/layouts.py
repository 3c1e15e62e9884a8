"""The folder layouts that people have: where the images lie, where the masks, and what is known of them."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath

from tconv import errors
from tconv.names import shown
from tconv.segmentation.data.coco import annotation_files, read_coco
from tconv.segmentation.data.labelme import labelme_files, read_labelme
from tconv.segmentation.data.legend import Legend
from tconv.segmentation.data.pairs import Listing, Pair, Problem, composed, match, pictures, unique
from tconv.segmentation.data.texts import read_text, table

LIST = "pairs.csv"
VOC = ("JPEGImages", "SegmentationClass")  # where only a part of the images is segmented
PETS = ("images", "annotations/trimaps")
LAYOUTS = (
    ("images", "masks"),
    ("imgs", "masks"),
    ("train", "train_masks"),  # Carvana
    VOC,
    PETS,
    ("images", "labels"),
    ("images", "annotations"),
)
TRIMAP = Legend((2, 1), ("background", "pet"), 3)  # 3 is "not classified": a seam around the pet


def find_pairs(folder: Path) -> Listing:
    """All pairs of a data folder, by name, and every image or mask without a partner.

    `pairs.csv`, with a line IMAGE,MASK per pair, goes before folders named as in `LAYOUTS`, and these, if there are
    masks in them, before a COCO file, and this before files of labelme. Instead of a folder, `folder` may be the COCO
    file.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        TconvError: the folder has no layout that is known, or more than one COCO file, or one that cannot be read.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{shown(folder)}: there is no such folder")
    if not folder.is_dir():
        if folder.suffix.lower() == ".json":
            return read_coco(folder)
        raise NotADirectoryError(
            f"{shown(folder)} is no folder; give one that holds images/ and masks/, or a COCO file (.json)"
        )
    listing = _in(folder)
    if listing is None:
        inner = [shown(child.name) for child in sorted(folder.iterdir()) if child.is_dir() and _known(child)]
        cure = f"but these in it do: {', '.join(inner)}; give one of them" if inner else "create one of these"
        raise errors.TconvError(
            f"{shown(folder)} holds no images/ and masks/ (nor {LIST}, imgs/ and masks/, train/ and train_masks/, "
            f"JPEGImages/ and SegmentationClass/, images/ and annotations/trimaps/, a COCO file such as "
            f"annotations.json, or files of labelme); {cure}"
        )
    if not listing.pairs and not listing.problems:
        raise errors.TconvError(f"{shown(folder)} holds no image; put some into it")
    return listing


def _in(folder: Path) -> Listing | None:
    """What the folder lists in the first layout that it has."""
    if (folder / LIST).exists():
        return _listed(folder)
    files = annotation_files(folder)
    for layout in LAYOUTS:
        images, masks = (folder / name for name in layout)
        if images.is_dir() and masks.is_dir() and (pictures(masks) or not files):
            listing = match(pictures(images), pictures(masks), all_masked=layout != VOC)
            listing.legend = TRIMAP if layout == PETS else None
            return listing
    if len(files) > 1:
        names = ", ".join(shown(file.relative_to(folder)) for file in files)
        raise errors.TconvError(
            f"{shown(folder)} holds {len(files)} COCO files ({names}); give the one you mean, as in {shown(files[0])}"
        )
    if files:
        return read_coco(files[0])
    drawn = labelme_files(folder)
    return read_labelme(folder, drawn) if drawn else None


def _known(folder: Path) -> bool:
    return (
        (folder / LIST).exists()
        or any((folder / images).is_dir() and (folder / masks).is_dir() for images, masks in LAYOUTS)
        or bool(annotation_files(folder) or labelme_files(folder))
    )


def _listed(folder: Path) -> Listing:
    """The pairs of `pairs.csv`, which may have been written on another machine, by a spreadsheet."""
    pairs, problems = [], []
    for number, row in table(read_text(folder / LIST, bytes_in_names=True)):
        if number == 1 and _place(folder, row[0]) is None and Path(row[0]).suffix == "":
            continue  # a heading
        if len(row) < 2 or not row[1]:
            problems.append(Problem(folder / LIST, f"line {number} names no mask; write IMAGE,MASK"))
            continue
        image, mask = _place(folder, row[0]), _place(folder, row[1])
        missing = [name for name, place in zip(row, (image, mask), strict=False) if place is None]
        problems += [
            Problem(folder / name, f"is listed in {LIST}, line {number}, and does not exist") for name in missing
        ]
        if image and mask:
            pairs.append(Pair(image.stem, image, mask))
    return unique(pairs, problems)


def _place(folder: Path, name: str) -> Path | None:
    """The file that a list calls `name`: as it stands there, with other slashes, or with its accents written apart."""
    for way in (name, "/".join(PureWindowsPath(name).parts)):
        path = folder / way
        if path.is_file():
            return path
        if path.parent.is_dir():
            wanted = composed(path.name)
            for other in path.parent.iterdir():
                if composed(other.name) == wanted and other.is_file():
                    return other
    return None
