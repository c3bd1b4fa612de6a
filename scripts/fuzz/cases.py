"""The cases: which kind each is of, what is done to its files, and what came of reading them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import random
import shutil
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz import caches, fits, images, lines, models, reading
from fuzz.hostile import CANARY
from fuzz.kind import Kind, ShownError
from fuzz.mutations import Mutation, mutate

KINDS: dict[str, Kind] = {
    **models.KINDS,
    **reading.KINDS,
    **lines.KINDS,
    **images.KINDS,
    **caches.KINDS,
    **fits.KINDS,
}
NAMES, WEIGHTS = list(KINDS), [kind.weight for kind in KINDS.values()]
REFUSED, EQUAL, OTHERWISE, FINDING = "refused", "equal", "otherwise", "finding"


def draws(seed: int, index: int) -> tuple[str, random.Random]:
    """The kind of a case, and what the rest of it is drawn from."""
    rng = random.Random(f"{seed}/{index}")
    return rng.choices(NAMES, WEIGHTS)[0], rng


def available(name: str) -> bool:
    """Whether the package that a kind needs is here."""
    needed = KINDS[name].needs
    return needed is None or importlib.util.find_spec(needed) is not None


def make(folder: Path, name: str) -> None:
    """Make the whole files of a kind, unless they are there from another time."""
    place = folder / name.replace(" ", "-")
    if not (place / "made").is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        KINDS[name].make(place)
        (place / "made").touch()


def damage(whole: Path, case: Path, rng: random.Random) -> Mutation:
    """Copy the whole files to `case`, and mutate one of them."""
    shutil.copytree(whole, case)
    files = sorted(path for path in case.rglob("*") if path.is_file())
    # Texts and tables say more than the images that lie beside them.
    weights = [1 / len(files) if path.suffix == ".png" else 8 for path in files]
    file = rng.choices(files, weights)[0]
    return mutate(rng, file, str(file.relative_to(case)))


@dataclass(slots=True)
class Outcome:
    """What came of a case; `said`: what a finding is about, the same for all with one cause."""

    verdict: str
    said: str = ""
    found: Any = None
    trace: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def attempt(kind: Kind, case: Path, fixed: Path) -> Outcome:
    """Read `case`: OTHERWISE with what was found, REFUSED, or a FINDING."""
    from ocrtrain.errors import InputError

    os.chdir(case.parent)
    os.environ["OCRTRAIN_CACHE"] = str(case.parent / "cache")
    try:
        with quiet():
            found = kind.read(case, fixed)
        outcome = Outcome(OTHERWISE, found=found)
    except ShownError as error:
        outcome = Outcome(FINDING, str(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        links = list(chain(error))
        if any(isinstance(link, MemoryError) for link in links):
            outcome = Outcome(FINDING, f"memory: {place_of(error)}", trace=traceback.format_exc())
        elif isinstance(error, SystemExit) and error.code == 2:
            outcome = Outcome(REFUSED)
        elif any(isinstance(link, InputError) for link in links):
            outcome = Outcome(REFUSED, said=str(error))
        else:
            said = f"{type(error).__name__} at {place_of(error)}: {str(error)[:90]}"
            outcome = Outcome(FINDING, printable(said), trace=traceback.format_exc())
    if (case.parent / CANARY).exists() or (case / CANARY).exists():
        return Outcome(FINDING, "the file had code run")
    return outcome


def judge(kind: Kind, mutation: Mutation, whole: Any, outcome: Outcome, roots: Sequence[Path]) -> Outcome:
    """Compare what was found with what is found in the whole file."""
    if outcome.verdict != OTHERWISE:
        return outcome
    if digest(outcome.found, roots) == digest(whole, roots):
        return Outcome(EQUAL)
    guarded = mutation.damage and mutation.file.endswith(kind.guarded)
    if guarded:
        return Outcome(FINDING, f"damaged, and read as if it were whole ({Path(mutation.file).suffix})")
    if kind.cut_shows and mutation.what.startswith("cut to") and not kind.told(whole, outcome.found):
        return Outcome(FINDING, f"cut short, and read as if it were whole ({Path(mutation.file).suffix})")
    return Outcome(OTHERWISE)


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, as the command line looks for an InputError."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def place_of(error: BaseException) -> str:
    """The innermost line of the package that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if f"{os.sep}ocrtrain{os.sep}" in frame.filename] or frames
    frame = own[-1]
    return f"{frame.filename.rpartition(f'{os.sep}ocrtrain{os.sep}')[2]}:{frame.lineno} {frame.name}"


def printable(text: str) -> str:
    """Show a text in a terminal and in JSON, whatever is in it."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def digest(found: Any, roots: Sequence[Path]) -> str:
    """Tell apart what was found, wherever the files lay."""
    hashed = hashlib.sha256()

    def feed(value: Any) -> None:
        if hasattr(value, "detach"):
            value = value.detach().numpy()
        if isinstance(value, Mapping):
            hashed.update(b"{")
            for key, inside in value.items():
                feed(key), feed(inside)
        elif hasattr(value, "tobytes"):
            hashed.update(f"{value.dtype} {value.shape}".encode() + value.tobytes())
        elif isinstance(value, str):
            for root in roots:
                value = value.replace(str(root), "")
            hashed.update(b"s" + value.encode("utf-8", "surrogatepass") + b"\n")
        elif isinstance(value, Sequence) and not isinstance(value, bytes):
            hashed.update(b"[")
            for inside in value:
                feed(inside)
            hashed.update(b"]")
        else:
            hashed.update(f"{value!r}\n".encode())

    feed(found)
    return hashed.hexdigest()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let nothing be printed."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
