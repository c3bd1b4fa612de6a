"""Lines of every format that `fit` reads, pages too, and what other engines read of them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fuzz.images import drawn
from fuzz.kind import Kind, ShownError
from fuzz.models import composed

TEXTS = ("plain", 'say "hi"', "comma, semi; colon:", "é not composed", "ſtraße", "שלום 12")
CONVERTED = ("pairs", "jsonl", "lmdb", "shards")


def picture(number: int) -> bytes:
    file = io.BytesIO()
    drawn("L", 40 + number, 12).save(file, "PNG")
    return file.getvalue()


def rows(case: Path, sizes: bool = False) -> list[dict[str, Any]]:
    """Write the images; gives the rows of a manifest of them."""
    case.mkdir(parents=True, exist_ok=True)
    found = []
    for number, text in enumerate(TEXTS):
        (case / f"{number}.png").write_bytes(picture(number))
        size = {"width": 40 + number, "height": 12} if sizes else {}
        found.append({"file_name": f"{number}.png", "text": text, **size})
    return found


def table(file: Path, content: Sequence[dict[str, Any]]) -> None:
    if file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), "utf-8")
        return
    with open(file, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, content[0], delimiter="\t" if file.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(content)


def make_manifest(folder: Path, suffix: str, sizes: bool = False) -> None:
    table(folder / f"case/lines.{suffix}", rows(folder / "case", sizes))


def make_listed(folder: Path, name: str, labelled: bool) -> None:
    case = folder / "case"
    pairs = [(row["file_name"], row["text"]) for row in rows(case)]
    (case / name).write_text("".join(f"{n}\t{t}\n" if labelled else f"{n}\n" for n, t in pairs), "utf-8")
    if not labelled:
        for image, text in pairs:
            (case / image).with_suffix(".gt.txt").write_text(text + "\n", "utf-8")


def make_shard(folder: Path) -> None:
    (folder / "case").mkdir(parents=True)
    with tarfile.open(folder / "case/lines.tar", "w") as tar:
        for number, text in enumerate(TEXTS):
            form = "json" if number % 2 else "txt"
            described = json.dumps({"text": text}) if form == "json" else text
            for suffix, content in (("png", picture(number)), (form, described.encode())):
                member = tarfile.TarInfo(f"{number:04}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def make_lmdb(folder: Path) -> None:
    from ocrtrain.data.formats.writers import WrittenLine, writing

    with writing("lmdb", folder / "case") as writer:
        for number, text in enumerate(TEXTS):
            writer.write(WrittenLine(picture(number), text, str(number)))


def make_dataset(folder: Path, parquet: bool) -> None:
    import datasets

    datasets.disable_progress_bars()
    (folder / "case").mkdir(parents=True)
    content = {"image": [{"bytes": picture(n), "path": None} for n in range(len(TEXTS))], "text": list(TEXTS)}
    kinds = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    made = datasets.Dataset.from_dict(content, features=kinds)
    if parquet:
        made.to_parquet(str(folder / "case/lines.parquet"))
    else:
        made.save_to_disk(str(folder / "case"))


def make_page(folder: Path, alto: bool) -> None:
    case = folder / "case"
    case.mkdir(parents=True)
    drawn("L", 200, 160).save(case / "page.png")
    made = ""
    for n, text in enumerate(("abc d", "e &amp; f", "שלום")):
        y = 20 + 45 * n
        box = f"10,{y} 150,{y + 3} 150,{y + 30} 10,{y + 28}"
        if alto:
            words = "<SP/>".join(f'<String CONTENT="{w}" HPOS="10" VPOS="{y}"/>' for w in text.split())
            shape = f'<Shape><Polygon POINTS="{box}"/></Shape>' if n else ""
            made += f'<TextLine ID="l{n}" HPOS="10" VPOS="{y}" WIDTH="140" HEIGHT="30" '
            made += f'BASELINE="10 {y + 20} 150 {y + 22}">{shape}{words}</TextLine>\n'
        else:
            made += f'<TextLine id="l{n}"><Coords points="{box}"/>'
            made += f'<Baseline points="10,{y + 20} 150,{y + 22}"/>'
            made += f'<TextEquiv index="{n}" conf="0.5"><Unicode>{text}</Unicode></TextEquiv></TextLine>\n'
    page = (
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#"><Description><MeasurementUnit>pixel'
        "</MeasurementUnit><sourceImageInformation><fileName>page.png</fileName></sourceImageInformation>"
        '</Description><Layout><Page WIDTH="200" HEIGHT="160"><PrintSpace><TextBlock>'
        f"{made}</TextBlock></PrintSpace></Page></Layout></alto>"
        if alto
        else '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Metadata>'
        '<LastChange>2020</LastChange></Metadata><Page imageFilename="page.png" imageWidth="200" '
        'imageHeight="160"><TextRegion id="r"><Coords points="0,0 200,0 200,160 0,160"/>'
        f"{made}<TextEquiv><Unicode>all</Unicode></TextEquiv></TextRegion></Page></PcGts>"
    )
    (case / "page.xml").write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + page, "utf-8")


def read(place: Path) -> object:
    """Open lines as `fit` does, look at each, and write them in another format."""
    from omegaconf import OmegaConf

    from ocrtrain.commands.convert import run
    from ocrtrain.data import build_line_sets
    from ocrtrain.data.formats import open_lines
    from ocrtrain.errors import InputError

    source = open_lines(str(place))
    found: list[Any] = [list(source.names), list(source.originals), source.widths(0), source.skipped]
    failed = 0
    for index in range(len(source)):
        try:
            found.append(source.line(index, 0).image)
        except InputError as error:
            found.append(error.why)
            failed += 1
    form = CONVERTED[sum(map(len, source.originals)) % len(CONVERTED)]
    settings = {"input": str(place), "output": str(place.parent / "again"), "format": form}
    columns = {"image_column": None, "text_column": None, "max_skipped": 10**6}
    try:
        run(OmegaConf.create(settings | columns))
    except InputError:
        if failed < len(source):
            raise
    if failed < len(source):
        again = open_lines(str(place.parent / "again"))
        if failed == 0 and list(again.originals) != list(source.originals):
            raise ShownError(f"texts are others after convert format={form}")
    try:
        build_line_sets(train=str(place), max_skipped=10**6, workers=0).open(4)
    except InputError as error:
        found.append(error.why)
    return found


def told(whole: Any, found: Any) -> bool:
    """Whether lines that are not there any more were named as left out."""
    return len(found[0]) >= len(whole[0]) or any(found[3].values())


def read_pages(case: Path, fixed: Path) -> object:
    """Train on the lines of a page, read them, and write the page again."""
    from ocrtrain.commands.line_input import find_images, lines_of
    from ocrtrain.commands.page_output import PageWriter, page_places
    from ocrtrain.data.images.image import as_pixels
    from ocrtrain.decoding import Character, Transcript
    from ocrtrain.errors import InputError

    letters = tuple(Character(c, 0.5, i, i, 3.0 * i, 3.0 * i + 2) for i, c in enumerate("ab c"))
    read_as = Transcript("ab c", 0.5, letters)
    items: deque[Any] = deque()
    found: list[Any] = []
    paths = find_images(str(case / "page.xml"))
    with PageWriter(page_places(str(case / "written"), str(case / "page.xml"), paths)) as writer:
        for image in lines_of(paths, items):
            item = items.popleft()
            if isinstance(image, InputError):
                found.append((item.name, image.why))
            else:
                writer(item, read_as)
                found.append((item.name, as_pixels(image, 1)))
    return found, read(case / "page.xml")


def make_predictions(folder: Path, suffix: str) -> None:
    (folder / "case").mkdir(parents=True)
    content = [
        {"id": f"{n}.png", "truth": text, "prediction": text[:-1] + "x", "confidence": 0.1 * n, "source": "a"}
        for n, text in enumerate(TEXTS)
    ]
    table(folder / f"case/read.{suffix}", content)


def judge(case: Path, fixed: Path) -> object:
    import copy

    from ocrtrain.commands.evaluate import run

    (file,) = case.iterdir()
    config = copy.deepcopy(composed("evaluate"))
    config.predictions, config.output, config.gallery = str(file), str(case / "report"), 2
    run(config)
    return (case / "report/report.json").read_text("utf-8")


def file(name: str) -> Callable[[Path, Path], object]:
    return lambda case, fixed: read(case / name)


def whole(case: Path, fixed: Path) -> object:
    return read(case)


KINDS = {
    "page": Kind(lambda folder: make_page(folder, alto=False), read_pages, 8),
    "alto": Kind(lambda folder: make_page(folder, alto=True), read_pages, 8),
    "manifest tsv": Kind(lambda folder: make_manifest(folder, "tsv"), file("lines.tsv"), 4),
    "manifest csv": Kind(lambda folder: make_manifest(folder, "csv", True), file("lines.csv"), 4),
    "manifest jsonl": Kind(lambda folder: make_manifest(folder, "jsonl"), file("lines.jsonl"), 4),
    "manifest sizes": Kind(lambda folder: make_manifest(folder, "jsonl", True), file("lines.jsonl"), 4),
    "labels": Kind(lambda folder: make_listed(folder, "labels.txt", True), whole, 3),
    "list": Kind(lambda folder: make_listed(folder, "list.txt", False), file("list.txt"), 2),
    "pairs": Kind(lambda folder: make_listed(folder, ".list", False), whole, 2),
    "lmdb": Kind(make_lmdb, whole, 6, cut_shows=True, told=told, needs="lmdb"),
    "shard": Kind(make_shard, file("lines.tar"), 6, cut_shows=True, told=told),
    "dataset": Kind(lambda folder: make_dataset(folder, False), whole, 2, needs="datasets"),
    "parquet": Kind(lambda folder: make_dataset(folder, True), file("lines.parquet"), 1, needs="datasets"),
    "predictions tsv": Kind(lambda folder: make_predictions(folder, "tsv"), judge, 2),
    "predictions jsonl": Kind(lambda folder: make_predictions(folder, "jsonl"), judge, 3),
}
