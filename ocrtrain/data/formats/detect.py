"""Detection of the format at a path, and the source of lines that reads it."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from dataclasses import dataclass

from ocrtrain.data.formats import hub, lmdb, naming, shards
from ocrtrain.data.formats.columns import Columns
from ocrtrain.data.formats.folder import FolderSource
from ocrtrain.data.formats.manifest import source as manifest
from ocrtrain.data.formats.pages import source as pages
from ocrtrain.data.formats.pages.page import read_page
from ocrtrain.data.formats.pages.page_image import find_image
from ocrtrain.data.formats.pages.xml_file import xml_kind
from ocrtrain.data.formats.pairing import LABELS, TEXT_SUFFIX, files_under, read_list
from ocrtrain.data.images.image import SUFFIXES, Channels, legible
from ocrtrain.data.lines.rejections import by_reason
from ocrtrain.data.lines.stored import StoredLines
from ocrtrain.errors import InputError
from ocrtrain.files import check_regular, open_regular

METADATA = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
PARQUET = ".parquet"
PAGES = ".xml"


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the formats of a folder: its name, and what opens it."""

    name: str
    open: Callable[[], StoredLines]


def open_lines(
    path: str | os.PathLike[str], channels: Channels = 1, columns: Columns | None = None
) -> StoredLines:
    """Open the lines at `path`, in whatever format they are; docs/data.md lists what is recognised.

    columns: which columns of a table are meant. Raises `InputError` if there is nothing there, nothing that
    is known, or nothing that can be used, and for a folder that may be meant in two ways.
    """
    columns = columns or Columns()
    given = os.fspath(path)
    if given.startswith(hub.SCHEME):
        return hub.open_hub(given, columns, channels)
    place = os.path.abspath(os.path.expanduser(given))
    if os.path.isdir(place):
        return _open_folder(place, channels, columns)
    name = place.lower()
    if os.path.exists(place):
        try:
            check_regular(place)
        except OSError as error:
            raise InputError(legible(given), f"is {error.strerror}", "name a file or a folder.") from error
    if not os.path.exists(place):
        if name.endswith(".tar") and any(mark in place for mark in "{*?["):
            return shards.open_shards(place, columns, channels)
        if name.endswith(PARQUET) and any(mark in place for mark in "*?["):
            return hub.open_dataset(place, columns, channels)
        if name.endswith(PAGES) and (found := sorted(glob.glob(place, recursive=True))):
            return pages.open_pages(found, os.path.dirname(os.path.commonpath(found) + os.sep), channels)
    elif name.endswith(".tar") or ".tar." in os.path.basename(name) or name.endswith(".tgz"):
        return shards.open_shards(place, columns, channels)
    elif name.endswith(PARQUET):
        return hub.open_dataset(place, columns, channels)
    elif name.endswith(".mdb"):
        return lmdb.open_lmdb(place, channels)
    elif name.endswith(PAGES):
        return pages.open_pages([place], os.path.dirname(place), channels)
    elif name.endswith(manifest.SUFFIXES) and _has_header(place, columns):
        return manifest.open_manifest(place, columns, channels)
    # A list of pages or of images, or a labels file, if it is there.
    return _open_listed(place, channels) or FolderSource(place, channels)


def _has_header(file: str, columns: Columns) -> bool:
    """Tell a TSV with a header from one that begins with an image and its text, as labels.txt does."""
    if not file.lower().endswith(".tsv"):
        return True
    with open_regular(file) as stream:
        first = stream.readline(2**16).decode("utf-8", "replace").lstrip("\ufeff")
    begins = first.partition("\t")[0].strip().strip('"').lower()
    return columns.image is not None or columns.text is not None or not begins.endswith(SUFFIXES)


def _open_folder(folder: str, channels: Channels, columns: Columns) -> StoredLines:
    """Open a folder as the one format that its files are of."""
    try:
        there = set(os.listdir(folder))
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise InputError(legible(folder), why, "check the folder's permissions.") from error
    if lmdb.DATA in there:
        return lmdb.open_lmdb(folder, channels)
    if "dataset_dict.json" in there or {"dataset_info.json", "state.json"} <= there:
        return hub.open_dataset(folder, columns, channels)
    if LABELS in there:
        return FolderSource(folder, channels)
    files = sorted(files_under(folder))
    paired = any(name.lower().endswith(TEXT_SUFFIX) for name in files)
    kinds: list[_Kind] = []
    for name in METADATA:
        if name in there:
            file = os.path.join(folder, name)
            kinds.append(_Kind(name, lambda f=file: manifest.open_manifest(f, columns, channels)))  # type: ignore[misc]
    if tars := [name for name in files if name.lower().endswith(".tar")]:
        kinds.append(_Kind(tars[0], lambda: _open_tars(folder, tars, columns, channels)))
    if tables := [name for name in files if name.lower().endswith(PARQUET)]:
        pattern = os.path.join(folder, "**" if any(os.sep in name for name in tables) else "", "*.parquet")
        kinds.append(_Kind(tables[0], lambda: hub.open_dataset(pattern, columns, channels)))
    if xml := page_files(folder, files):
        kinds.append(_Kind(os.path.relpath(xml[0], folder), lambda: pages.open_pages(xml, folder, channels)))
    if paired:
        kinds.append(_Kind(f"texts named *{TEXT_SUFFIX}", lambda: FolderSource(folder, channels)))
    if len(kinds) > 1:
        names = [legible(kind.name) for kind in kinds]
        raise InputError(
            legible(folder),
            f"may be meant in {len(kinds)} ways: it holds {' and '.join(names)}",
            f"name the file that is meant ({os.path.join(legible(folder), names[0])}), or move the others.",
        )
    return kinds[0].open() if kinds else FolderSource(folder, channels)


def _open_tars(folder: str, names: list[str], columns: Columns, channels: Channels) -> StoredLines:
    return shards.open_shards(folder, columns, channels, [os.path.join(folder, name) for name in names])


def page_files(folder: str, files: list[str]) -> list[str]:
    """List the PAGE or ALTO files among `files`; raises `InputError` if there are both of one page.

    What of them is damaged is told of too, where there are others or its image lies beside it.
    """
    paths = [os.path.join(folder, name) for name in files if name.lower().endswith(".xml")]
    kinds = {path: kind for path in paths if (kind := xml_kind(path)) is not None}
    page, alto = ([path for path, kind in kinds.items() if kind == wanted] for wanted in ("page", "alto"))
    if page and alto:
        images = {_image_of(path): path for path in page}
        if both := next(((images[of], path) for path in alto if (of := _image_of(path)) in images), None):
            raise InputError(
                legible(folder),
                f"holds PAGE XML ({legible(both[0])}) and ALTO XML ({legible(both[1])}) of one page",
                "name the folder of one of the two, or a text file that lists the XML files that are meant,"
                " one a line.",
            )
    if page or alto:
        return list(kinds)
    pictures = {os.path.splitext(name)[0] for name in files if name.lower().endswith(SUFFIXES)}
    texts = {name[: -len(TEXT_SUFFIX)] for name in files if name.lower().endswith(TEXT_SUFFIX)}
    return [path for path in kinds if os.path.relpath(path, folder)[: -len(PAGES)] in pictures - texts]


def _image_of(file: str) -> tuple[str, int]:
    """Tell a page's image by its name and size, which copies in two folders have in common.

    Where there is none, the XML's own name stands for it.
    """
    try:
        page = read_page(file)
        if page is not None:
            image = find_image(page)
            return os.path.basename(image), os.path.getsize(image)
    except (InputError, OSError):
        pass
    return os.path.splitext(os.path.basename(file))[0], 0


def _open_listed(file: str, channels: Channels) -> StoredLines | None:
    """Open the pages that a list file names; None where it lists none, or is no list.

    Raises `InputError` where it lists images as well.
    """
    if not os.path.isfile(file) or file.lower().endswith(SUFFIXES) or os.path.basename(file) == LABELS:
        return None
    listed, undecodable = read_list(file)
    xml = [name for name in listed if name.lower().endswith(PAGES)]
    if not xml:
        return None
    others = [name for name in listed if not name.lower().endswith(PAGES)]
    if others:
        why = f"lists pages ({legible(xml[0])}) and other things ({legible(others[0])})"
        raise InputError(legible(file), why, "list pages in one file and images in another.")
    root = os.path.dirname(file)
    skipped = {"path is not UTF-8": undecodable} if undecodable else {}
    found = {name: naming.resolve(root, name) for name in xml}
    if missing := [name for name, path in found.items() if path is None]:
        skipped["does not exist"] = missing
    once: dict[str, str] = {}
    for path in found.values():
        if path is not None:
            once.setdefault(os.path.realpath(path), str(path))
    there = list(once.values())
    if not there:
        why = "\n    ".join(["lists no page that can be read", *by_reason(skipped)])
        raise InputError(legible(file), why, "paths are meant from the list's own folder.")
    opened = pages.open_pages(there, root, channels)
    for reason, names in skipped.items():
        opened.skipped.setdefault(reason, []).extend(names)
    return opened
