"""Alphabets by name, and charsets put together from names, files and single characters."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ocrtrain.errors import InputError
from ocrtrain.text.charset import Charset
from ocrtrain.text.normalization import normalize

DIGITS = "0123456789"
CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LATIN = DIGITS + CAPITALS + CAPITALS.lower()
_MARKS = " !\"#%&'()*+,-./:;=?@[]_"
_QUOTES = "–—‘’“”„…§€£$°"
# What each language adds to the Latin letters, in small letters and with the marks of its own.
_ADDED = {
    "english": "",
    "german": "äöüß‚»«",
    "dutch": "áéëïíóöúü",
    "french": "àâæçéèêëîïôœùûüÿ«»",
    "italian": "àèéìíòóùú«»",
    "spanish": "áéíñóúü¿¡ªº«»",
    "catalan": "àçèéíïòóúü·«»",
    "portuguese": "áàâãçéêíóôõúüªº«»",
    "danish": "æøåéö»«",
    "norwegian": "æøåéèòô«»",
    "swedish": "åäöéü»",
    "finnish": "åäöšž»",
    "icelandic": "áðéíóúýþæö‚",
    "estonian": "äõöüšž«»",
    "latvian": "āčēģīķļņšūž«»",
    "lithuanian": "ąčęėįšųūž",
    "polish": "ąćęłńóśźż«»",
    "czech": "áčďéěíňóřšťúůýžäöü‚»«½",
    "slovak": "áäčďéíĺľňóôŕšťúýžöü‚»«",
    "hungarian": "áéíóöőúüű»«",
    "slovene": "čšžćđ»«",
    "croatian": "čćđšž»«",
    "romanian": "ăâîșț«»",
    "turkish": "çğıİöşüâîû",
}
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщ"
_OTHERS = {
    "greek": "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ«»·",
    "russian": _CYRILLIC + "ъыьэюяё«»№",
    "ukrainian": _CYRILLIC + "ьюяґєії’«»№",
    "bulgarian": _CYRILLIC + "ъьюя№",
    "serbian": "абвгдђежзијклљмнњопрстћуфхцчџш",
}
_UNCASED = {
    "hebrew": "אבגדהוזחטיךכלםמןנסעףפץצקרשת־׳״₪",
    "arabic": "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي،؛؟٪٠١٢٣٤٥٦٧٨٩",
    "persian": "ءآأؤئابپتثجچحخدذرزژسشصضطظعغفقکگلمنهوی\u200c،؛؟٪۰۱۲۳۴۵۶۷۸۹",
    "devanagari": "अआइईउऊऋएऐओऔकखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहािीुूृेैोौ्ंःँ़।॥०१२३४५६७८९",
    "thai": "".join(chr(c) for c in (*range(0x0E01, 0x0E3B), *range(0x0E3F, 0x0E5A))),
}


def _cased(letters: str) -> str:
    capitals = (c.upper() for c in letters)
    return letters + "".join(c for c in capitals if len(c) == 1 and c not in letters)


def _unique(symbols: str) -> str:
    return "".join(dict.fromkeys(symbols))


ALPHABETS: dict[str, str] = {
    "digits": DIGITS,
    "letters": CAPITALS + CAPITALS.lower(),
    "ascii": "".join(map(chr, range(0x20, 0x7F))),
    **{name: _unique(_MARKS + _LATIN + _cased(added) + _QUOTES) for name, added in _ADDED.items()},
    **{name: _unique(_MARKS + DIGITS + _cased(letters) + _QUOTES) for name, letters in _OTHERS.items()},
    **{name: _unique(' !"()*+-./:=[]' + DIGITS + letters) for name, letters in _UNCASED.items()},
}
ALPHABETS["latin"] = _unique(_MARKS + _LATIN + "".join(map(_cased, _ADDED.values())) + _QUOTES)


def charset_of(choice: str | Sequence[str | int] | Charset) -> Charset:
    """Make the charset that a user names: an alphabet ("czech"), a file, characters, or a list of such.

    "@FILE" stands for the characters of a UTF-8 text file, in the order of their code points. What is neither
    that nor an alphabet's name is taken for the characters themselves; in a list, a character that several
    entries have counts once. Raises `InputError` for files that cannot be read and for doubled characters.
    """
    if isinstance(choice, Charset):
        return choice
    if isinstance(choice, str):
        return Charset(_symbols(choice))
    whole: dict[str, None] = {}
    for entry in choice:
        whole.update(dict.fromkeys(Charset(_symbols(str(entry))).symbols))
    return Charset(list(whole))


def _symbols(entry: str) -> str | list[str]:
    if entry in ALPHABETS:
        return list(ALPHABETS[entry])
    if len(entry) > 1 and entry.startswith("@"):
        try:
            text = Path(entry[1:]).expanduser().read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"charset={entry}",
                error.strerror or str(error) if isinstance(error, OSError) else "is not UTF-8",
                "name a UTF-8 text file after the @; for the characters themselves, put the @ at the end.",
            ) from None
        return sorted(set(normalize(text)) - set("\t\n\v\f\r\u0085\u2028\u2029"))
    if entry.isalpha() and (meant := get_close_matches(entry.lower(), ALPHABETS, n=1, cutoff=0.75)):
        raise InputError(
            f"charset={entry}",
            "is not the name of an alphabet, and unlikely to list all characters that are meant",
            f"Did you mean {meant[0]}? For the characters themselves, write them in another order.",
        )
    return entry
