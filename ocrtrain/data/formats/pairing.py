"""Pairs of an image and its text: a folder of pairs, a list of images, or a file of labels."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from ocrtrain.data.formats.naming import AMBIGUOUS, AmbiguousNameError, composed, folded, spelling
from ocrtrain.data.images.image import SUFFIXES, legible
from ocrtrain.data.lines.rejections import LONGEST, NOT_UTF8, SECOND_TEXT
from ocrtrain.errors import InputError
from ocrtrain.files import open_regular

TEXT_SUFFIX = ".gt.txt"
LABELS = "labels.txt"
# Binarized and normalized images, as ocropus and kraken name them: NAME.bin.png belongs to NAME.gt.txt.
VARIANTS = (".bin", ".nrm")

NO_TEXT = "image without a text (no NAME.gt.txt beside it)"
NO_LABEL = f"image without a text (no line in {LABELS})"
NO_IMAGE = "text without an image"
SECOND_IMAGE = "second image for one text (name the wanted ones in a list file)"

_LABEL = re.compile(
    rf"(.+?(?:{'|'.join(re.escape(s) for s in SUFFIXES)}))[ \t]+(.*)", re.IGNORECASE | re.DOTALL
)

_LISTS = (".txt", ".csv", ".tsv", ".json", ".jsonl")  # that may hold the texts of a folder's images
_LOOK_AT = 20  # lines, to tell a list from labels

_LABELLED = re.compile(r"\s*[^#\s][^\t]*\t")  # no comment, and a tab after a name


@dataclass(slots=True)
class Pairs:
    """Images and their texts, in order: `names` are paths under `root` (or absolute).

    `texts` holds the texts themselves, or, with `in_files`, the paths of the files that hold them.
    """

    root: str
    in_files: bool
    format: str = "a folder of pairs"
    names: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    skipped: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def find_pairs(path: str | os.PathLike[str]) -> Pairs:
    """Pair what lies at `path`: a folder, a list file, or a labels file (labels.txt, or with tabs in it).

    Raises `InputError` if there is no such thing, or no image in it; single samples go to `skipped`.
    """
    place = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if os.path.isdir(place):
        labels = os.path.join(place, LABELS)
        return pair_labels(labels, whole_folder=True) if os.path.isfile(labels) else pair_folder(place)
    if not os.path.exists(place):
        raise InputError(
            legible(place), "does not exist", "name a folder of lines, a list file or a labels file."
        )
    if place.lower().endswith(SUFFIXES):
        raise InputError(legible(place), "is one image", "name its folder, or a file that lists images.")
    if os.path.basename(place) == LABELS or any(_LABELLED.match(line or "") for _, line in _lines(place)):
        return pair_labels(place)
    return pair_labels(place) if _parted_by_spaces(place) else pair_list(place)


def _parted_by_spaces(file: str) -> bool:
    """Tell labels with spaces for tabs from a list of images, by the files that the first lines name.

    Raises `InputError` for labels with commas, which texts have as well.
    """
    root = os.path.dirname(file)
    listed = (line for _, line in _lines(file) if line and line.strip() and not line.startswith("#"))
    for line in islice(listed, _LOOK_AT):
        if _there(root, line.strip()):
            return False
        name, text = split_label(line)
        if text and not name.endswith(",") and _there(root, name):
            return True
        name, comma, _ = line.partition(",")
        if comma and _there(root, name.strip()):
            why = "has commas between images and texts, where a tab is needed"
            way_on = "write IMAGE<TAB>TEXT in each line, without quotes around the text."
            raise InputError(legible(file), why, way_on)
    return False


def _there(root: str, name: str) -> bool:
    try:
        return bool(name) and any(spelling(place, name) for place in (os.path.join(root, "images"), root))
    except AmbiguousNameError:
        return True


def pair_folder(folder: str) -> Pairs:
    """Pair every image under `folder` with the NAME.gt.txt beside it, sorted by path."""
    files = list(files_under(folder))
    images = sorted(name for name in files if name.lower().endswith(SUFFIXES))
    text_of = {name[: -len(TEXT_SUFFIX)]: name for name in files if name.lower().endswith(TEXT_SUFFIX)}
    if not images:
        kinds = Counter(os.path.splitext(name)[1] or "without a suffix" for name in files)
        there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
        raise InputError(
            legible(folder),
            f"holds no image (looked for {' '.join(SUFFIXES)}, nested too; there is: {legible(there)})",
            "name the folder with the images, a list file, or a labels file.",
        )
    pairs = Pairs(folder, in_files=True)
    images_of: dict[str, list[str]] = {}
    alone: list[str] = []
    for image in images:
        text = next((text_of[stem] for stem in _stems(image) if stem in text_of), None)
        if text is None:
            alone.append(image)
        else:
            images_of.setdefault(text, []).append(image)
    if alone:
        rest = [stem for stem, text in text_of.items() if text not in images_of]
        for image, text in _pair_folded(alone, rest, text_of, pairs.skipped):
            images_of.setdefault(text, []).append(image)
    chosen = {}
    for text, (first, *others) in images_of.items():
        if others:  # the plain image before its variants
            first, *others = sorted([first, *others], key=lambda image: (len(_stems(image)), image))
            pairs.skipped[SECOND_IMAGE] += others
        chosen[first] = text
    if not chosen and (lists := sorted(n for n in files if os.sep not in n and n.lower().endswith(_LISTS))):
        raise InputError(
            legible(folder),
            f"has no NAME{TEXT_SUFFIX} beside its images ({legible(images[0])}), but {legible(lists[0])}",
            f"if the texts are in that file, name it: {legible(os.path.join(folder, lists[0]))}",
        )
    if without := sorted(text for text in text_of.values() if text not in images_of):
        pairs.skipped[NO_IMAGE] = without
    pairs.names = sorted(chosen)
    pairs.texts = [chosen[name] for name in pairs.names]
    return pairs


def _pair_folded(
    images: list[str], stems: list[str], text_of: dict[str, str], skipped: defaultdict[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """Pair images and texts that are left over by names that differ only in case or Unicode form."""
    alike: dict[str, list[str]] = {}
    for stem in stems:
        alike.setdefault(folded(stem), []).append(stem)
    fitting: dict[str, set[str]] = {}
    wanted: dict[str, set[str]] = {}
    for image in images:
        own = _stems(image)
        fits = {stem for spelled in own for stem in alike.get(folded(spelled), ())}
        same = {stem for stem in fits if composed(stem) in map(composed, own)}
        fitting[image] = same or fits
        for stem in fitting[image]:
            wanted.setdefault(stem, set()).add(own[-1])
    for image, fits in fitting.items():
        if len(fits) == 1 and len(wanted[next(iter(fits))]) == 1:
            yield image, text_of[fits.pop()]
        elif fits:
            skipped[AMBIGUOUS].append(f"{image} ({', '.join(sorted(text_of[stem] for stem in fits))})")
        else:
            skipped[NO_TEXT].append(image)


def pair_list(file: str) -> Pairs:
    """Pair every image that `file` lists with the NAME.gt.txt beside it, in the file's order."""
    root = os.path.dirname(file)
    pairs = Pairs(root, in_files=True, format="a list of images")
    names, undecodable = read_list(file)
    if undecodable:
        pairs.skipped["path is not UTF-8"] = undecodable
    for listed in names:
        try:
            name = spelling(root, listed)
            if name is None:
                why = "is a folder" if os.path.isdir(os.path.join(root, listed)) else "does not exist"
                pairs.skipped[why].append(listed)
                continue
            found = (spelling(root, stem + TEXT_SUFFIX) for stem in _stems(name))
            text = next((text for text in found if text is not None), None)
        except AmbiguousNameError as error:
            pairs.skipped[error.why].append(f"{listed} ({', '.join(error.files)})")
            continue
        if text is None:
            pairs.skipped[NO_TEXT].append(name)
        else:
            pairs.names.append(name)
            pairs.texts.append(text)
    return pairs


def pair_labels(file: str, whole_folder: bool = False) -> Pairs:
    """Read lines of `image<TAB or spaces>text`, in the file's order.

    Images lie in images/ beside `file`, or right beside it; with `whole_folder`, those that no line names are
    skipped samples too.
    """
    root = os.path.dirname(file)
    pairs = Pairs(root, in_files=False, format="a labels file")
    text_of: dict[str, str] = {}
    for number, line in _lines(file):
        where = f"{os.path.basename(file)} line {number}"
        if line is None:
            pairs.skipped[NOT_UTF8].append(where)
            continue
        if not line.strip():
            continue
        listed, text = split_label(line)
        try:
            name = spelling(root, os.path.join("images", listed)) or spelling(root, listed)
        except AmbiguousNameError as error:
            pairs.skipped[error.why].append(f"{listed} ({where}: {', '.join(error.files)})")
            continue
        if name is None:
            pairs.skipped[NO_IMAGE].append(f"{listed} ({where})")
        elif text_of.setdefault(name, text) != text:
            pairs.skipped[SECOND_TEXT].append(f"{name} ({where})")
        else:
            pairs.names.append(name)
            pairs.texts.append(text)
    if whole_folder:
        files = list(files_under(root))
        if any(name.lower().endswith(TEXT_SUFFIX) for name in files):
            raise InputError(
                legible(root),
                f"holds both {LABELS} and texts named *{TEXT_SUFFIX}",
                f"name {LABELS} itself, or a list file of the images, or move the others elsewhere.",
            )
        folder = "images/" if os.path.isdir(os.path.join(root, "images")) else ""
        images = (name for name in files if name.startswith(folder) and name.lower().endswith(SUFFIXES))
        listed_names = {os.path.normpath(name) for name in text_of}
        if unlisted := sorted(name for name in images if os.path.normpath(name) not in listed_names):
            pairs.skipped[NO_LABEL] = unlisted
    return pairs


def split_label(line: str) -> tuple[str, str]:
    """Split `image<TAB or spaces>text`; all after the one tab, or after the spaces, is the text."""
    name, tab, text = line.partition("\t")
    if tab and name.strip().lower().endswith(SUFFIXES):
        return name.strip(), text
    if match := _LABEL.fullmatch(line.lstrip()):
        return match[1], match[2]
    name, *rest = line.split(maxsplit=1)
    return name, rest[0] if rest else ""


def read_list(file: str) -> tuple[list[str], list[str]]:
    """Read the paths in a list file, blank lines and # comments aside; then its lines that are not UTF-8."""
    listed, undecodable = [], []
    for number, line in _lines(file):
        if line is None:
            undecodable.append(f"{os.path.basename(file)} line {number}")
        elif (name := line.strip()) and not name.startswith("#"):
            listed.append(name)
    return listed, undecodable


def files_under(folder: str) -> Iterator[str]:
    """Walk the files under `folder` that are not hidden, through links too, as paths relative to it."""
    seen: set[tuple[int, int]] = set()
    prefix = len(os.path.join(folder, ""))
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:  # a link back up would never end
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(place, name)[prefix:] for name in files if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    raise InputError(
        legible(error.filename), f"cannot be read ({error.strerror})", "check the folder's permissions."
    ) from error


def _stems(image: str) -> list[str]:
    """Name the stems under which the text of `image` may lie, the likeliest first."""
    stem = os.path.splitext(image)[0]
    return [stem, stem[:-4]] if stem.lower().endswith(VARIANTS) else [stem]


def _lines(file: str) -> Iterator[tuple[int, str | None]]:
    """Walk a text file's lines with their numbers, from 1, without line ends; None is not UTF-8."""
    try:
        with open_regular(file) as stream:
            content = stream.read()
    except OSError as error:
        why = f"cannot be opened ({error.strerror})"
        raise InputError(legible(file), why, "check the path and its permissions.") from error
    if b"\0" in content[:4096]:
        raise InputError(
            legible(file),
            "is not a text file in UTF-8",
            "name a folder, a file that lists images, or a labels file.",
        )
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if len(line) > LONGEST:
            why = f"has a line of more than 1 MB (line {number:,})"
            raise InputError(legible(file), why, "is it a list of images or a labels file?")
        try:
            yield number, line.decode("utf-8")
        except UnicodeDecodeError:
            yield number, None
