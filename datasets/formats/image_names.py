"""Which file an annotated image is: its name as it stands, else the longest common ending, else another spelling.

Annotations come from other machines: their names may be absolute, lead to another folder, lack folders or the
suffix, or differ in case, Unicode form or %-escapes. Names are only ever compared with the paths that were listed, so
none leads out of the folder. The cost is linear in names plus files: endings are looked up in dictionaries.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
import urllib.parse
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ...errors import DataError
from ..storage.names import is_image

_SHOWN = 3
_LONGEST, _DEEPEST = 4096, 100
"""Characters of a path, as Linux has it, and folders in it; names are known by each of their ends."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_ROOT = re.compile(r"^([A-Za-z][\w+.-]*://|[A-Za-z]:)?/*(\.\./)*")
# what Label Studio puts before a name, and Roboflow behind it
_ADDED = re.compile(r"^[0-9a-f]{8}-|(_(jpe?g|png|webp|bmp))?\.rf\.[0-9a-z]+$")
_FILLING = re.compile(r"[\W_]+|(?<!\d)0+(?=\d)")


def image_name(text: str) -> str | None:
    r"""Return an image's name as a path without a root; None where it names nothing that a file can be called.

    >>> image_name("./a\\b.jpg"), image_name("../a.jpg"), image_name("C:\\x\\a.jpg"), image_name("/data/a.jpg")
    ('a/b.jpg', 'a.jpg', 'x/a.jpg', 'data/a.jpg')
    >>> image_name("file:///data/a.jpg"), image_name(""), image_name("..")
    ('data/a.jpg', None, None)
    """
    text = text.strip().replace("\\", "/")
    name = posixpath.normpath(_ROOT.sub("", text))
    name = _ROOT.sub("", name)
    return name if _can_be_called(name) else None


def _can_be_called(name: str) -> bool:
    if name in ("", ".", "..") or "\0" in name or len(name) > _LONGEST or name.count("/") > _DEEPEST:
        return False
    return is_unicode(name)


def is_unicode(name: str) -> bool:
    r"""Tell whether a name is whole Unicode: bytes of a file's name that are not UTF-8 are half surrogates in Python.

    >>> is_unicode("é.jpg"), is_unicode("\udcff.jpg")
    (True, False)
    """
    return name.isascii() or not _SURROGATE.search(name)


def folded(name: str) -> str:
    """Return a name without regard to case, Unicode form and %-escapes.

    >>> folded("A%20b.JPG"), folded("/data/local-files/?d=x/a.jpg")
    ('a b.jpg', '/data/local-files/x/a.jpg')
    """
    if "?" in name:
        name = name.replace("/?d=", "/")
        path, _, _ = name.partition("?")
        name = path if is_image(path) else name
    if "%" in name:
        name = urllib.parse.unquote(name)
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def image_stem(name: str) -> str:
    """Return an image's name without its suffix, eating none of its own characters.

    >>> image_stem("0--Parade/1_jpg.jpg"), image_stem("gpj.jpg"), image_stem("a.b")
    ('0--Parade/1_jpg', 'gpj', 'a.b')
    """
    return posixpath.splitext(name)[0] if is_image(name) else name


def stem(name: str) -> str:
    """Return a folded name without the suffix of an image.

    >>> stem("x/A.jpg"), stem("IMG_1.5")
    ('x/a', 'img_1.5')
    """
    return image_stem(folded(name))


def endings(path: str) -> Iterator[str]:
    """Yield a path, then what is left of it without its first folders, down to the file's own name.

    >>> list(endings("a/b/c.jpg"))
    ['a/b/c.jpg', 'b/c.jpg', 'c.jpg']
    """
    yield path
    at = path.find("/")
    while at >= 0:
        yield path[at + 1 :]
        at = path.find("/", at + 1)


_SPELLINGS: tuple[Callable[[str], str], ...] = (str, folded, stem)


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """Which files the annotated images are.

    Attributes:
        paths: name -> path, of those that are one file.
        missing: name -> what is known of it, of all others.
        notes: what a reader must know, one sentence each.
        open: the files that one of those others could be.
    """

    paths: Mapping[str, str]
    missing: Mapping[str, str]
    notes: tuple[str, ...] = ()
    open: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class _Hit:
    """The files that share the longest ending with a name.

    Attributes:
        ending: what they share, as `spelling` has it; with the spelling the same for names that mean the same files.
        spelling: place in `_SPELLINGS`.
        whole: the name was found with all of its folders.
        paths: the files.
    """

    ending: str
    spelling: int
    whole: bool
    paths: Sequence[str]

    def prefix(self, path: str) -> str:
        """The folder of a file, with its slash, below which the ending lies."""
        depth = self.ending.count("/") + 1
        parts = path.rsplit("/", depth)
        return f"{parts[0]}/" if len(parts) > depth else ""


def match(
    names: Sequence[str],
    files: Collection[str],
    near: Sequence[str] = (),
    folders: Mapping[str, str] | None = None,
    images: Sequence[str] | None = None,
) -> FoundFiles:
    """Find the file of each annotated image.

    A name that several files could be is one of them where the annotation names its folder, or where the folder that
    holds most images has it and the others hold no image of their own. Names without their folders do not mean a
    file in a folder where other names lie with theirs.

    Args:
        names: of the images, each once, see `image_name`.
        files: all paths that there are, a set or mapping; candidates are named in its order.
        near: folders in which the images may lie, the likeliest first; they decide between equals.
        folders: name -> the folder that the annotation names beside it.
        images: those of the files that are images, which other spellings can mean; by default by their names.

    Raises:
        DataError: several folders hold the same images, and none of them is near.
    """
    prefixes = ["" if place in ("", ".") else f"{place.strip('/')}/" for place in near]
    for prefix in prefixes:
        if all(prefix + name in files for name in names):
            return FoundFiles({name: prefix + name for name in names}, {})
    hits = _exact(names, files)
    rest = [name for name in names if name not in hits]
    if not rest:
        images = []
    elif images is None:
        images = [path for path in files if is_image(path)]
    doubted = _add_loose(hits, rest, images)
    chosen = _choose(hits, prefixes, folders or {})
    takers: dict[str, list[str]] = {}
    for name, path in chosen.items():
        takers.setdefault(path, []).append(name)
    for rivals in takers.values():
        if len(rivals) == 1:
            continue
        # of names that end alike, the longest that lies as it stands
        owner = max((n for n in rivals if hits[n].whole and not hits[n].spelling), key=len, default=None)
        for name in rivals:
            if name != owner:
                del chosen[name]
                if owner is not None:
                    doubted[name] = hits.pop(name)
    unclear = {name: hit.paths for name, hit in hits.items() if name not in chosen}
    absent = [name for name in names if name not in hits]
    free = [path for path in images if path not in takers]
    similar = _similar(absent, free)
    for name, hit in doubted.items():
        others = [path for path in hit.paths[: _SHOWN + 1] if path not in takers]
        if others:
            similar.setdefault(name, others)
    notes = _notes(names, chosen, hits, unclear, similar)
    # names that end alike share one list, which may be long
    lists = {id(paths): paths for paths in unclear.values()}.values()
    could_be = frozenset(path for paths in lists for path in paths).difference(takers)
    return FoundFiles(chosen, _missing(names, unclear, absent, similar), notes, could_be)


def _exact(names: Iterable[str], files: Iterable[str]) -> dict[str, _Hit]:
    wanted = set(names)
    found: dict[str, list[str]] = {}
    for path in files:
        for ending in endings(path):
            if ending in wanted:
                found.setdefault(ending, []).append(path)
    return {name: _Hit(name, 0, True, paths) for name, paths in found.items()}


def _add_loose(hits: dict[str, _Hit], names: Sequence[str], images: Sequence[str]) -> dict[str, _Hit]:
    """Add the hits of names that no file has as they stand; return those that contradict where other names lie."""
    found: list[dict[str, list[str]]] = []
    for spell in _SPELLINGS if names else ():
        index: dict[str, list[str]] = {ending: [] for name in names for ending in endings(spell(name))}
        for path in images:
            for ending in endings(spell(path)):
                if ending in index:
                    index[ending].append(path)
        found.append(index)
    loose: dict[str, _Hit] = {}
    for name in names:
        options = [(e.count("/"), -i, e) for i, spell in enumerate(_SPELLINGS) for e in endings(spell(name))]
        for depth, minus, ending in sorted(options, reverse=True):
            if paths := found[-minus][ending]:
                whole = depth >= folded(name).count("/")
                loose[name] = _Hit(ending, -minus, whole, paths)
                break
    doubted: dict[str, _Hit] = {}
    lying = {posixpath.dirname(name) for name in hits if "/" in name}
    taken = {posixpath.dirname(path) for name, hit in hits.items() if "/" in name for path in hit.paths}
    for (shortened, _), group in groupby(sorted(loose.items(), key=_how_whole), key=_how_whole):
        kept = []
        for name, hit in group:
            alone = len(hit.paths) == 1 and posixpath.dirname(hit.paths[0]) in taken
            if shortened and (posixpath.dirname(name) in lying or alone):
                doubted[name] = hit
            else:
                hits[name] = hit
                kept.append(name)
        lying |= {posixpath.dirname(name) for name in kept if "/" in hits[name].ending}
        taken |= {posixpath.dirname(path) for name in kept if "/" in hits[name].ending for path in hits[name].paths[:1]}
    return doubted


def _how_whole(item: tuple[str, _Hit]) -> tuple[bool, int]:
    return not item[1].whole, -item[1].ending.count("/")


def _choose(hits: Mapping[str, _Hit], near: Sequence[str], folders: Mapping[str, str]) -> dict[str, str]:
    """The one file of each name, where it is clear which."""
    shared = Counter((hit.spelling, hit.ending) for hit in hits.values())
    clear = {name: hit for name, hit in hits.items() if shared[hit.spelling, hit.ending] == 1}
    at = {name: {hit.prefix(path): path for path in hit.paths} for name, hit in clear.items()}
    first = _fullest(at, near)
    needed = {prefix for some in at.values() if first not in some for prefix in some}
    chosen: dict[str, str] = {}
    for name, hit in clear.items():
        if len(hit.paths) == 1:
            chosen[name] = hit.paths[0]
        elif named := _in_folder(hit.paths, name, folders.get(name, "")):
            chosen[name] = named
        elif first in at[name] and needed.isdisjoint(at[name]):
            inside = [path for path in hit.paths if hit.prefix(path) == first]
            if len(inside) == 1:
                chosen[name] = inside[0]
    return chosen


def _fullest(at: Mapping[str, Mapping[str, str]], near: Sequence[str]) -> str | None:
    """The folder that holds most images; None where several do, of images that are not the same."""
    counts = Counter(prefix for some in at.values() for prefix in some)
    most = max(counts.values(), default=0)
    best = sorted(prefix for prefix, count in counts.items() if count == most)
    decided = next((prefix for prefix in near if prefix in best), best[0] if len(best) == 1 else None)
    if decided is None and best and all(sum(p in some for p in best) in (0, len(best)) for some in at.values()):
        raise DataError(
            f"Got the images in {len(best)} folders, {', '.join(p or '.' for p in best[:5])}; expected one. "
            "Say it by images=FOLDER."
        )
    return decided


def _in_folder(paths: Sequence[str], name: str, folder: str) -> str:
    """The one path that ends in the name with its folder, or "" where none does, or several do."""
    for whole in endings(folder):
        ending = f"/{whole}/{name}"
        fits = [path for path in paths if f"/{path}".endswith(ending)] if whole else []
        if fits:
            return fits[0] if len(fits) == 1 else ""
    return ""


def _similar(names: Sequence[str], paths: Sequence[str]) -> dict[str, list[str]]:
    """Files whose names say the same but for zeros, spaces, signs, and what annotation programs add."""
    keys = {name: _key(name) for name in names}
    index: dict[str, list[str]] = {key: [] for key in keys.values() if key}
    for path in paths if index else ():
        if (key := _key(path)) in index:
            index[key].append(path)
    return {name: index[key] for name, key in keys.items() if index.get(key)}


def _key(path: str) -> str:
    return _FILLING.sub("", _ADDED.sub("", stem(posixpath.basename(path))))


def _missing(
    names: Sequence[str],
    unclear: Mapping[str, Sequence[str]],
    absent: Sequence[str],
    similar: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    nowhere = set(absent)
    missing = {}
    for name in names:
        if name in unclear:
            missing[name] = f"could be {_some(unclear[name], ' or ')}, expected one file, of this image alone"
        elif name in similar:
            missing[name] = f"got no file of this name, is it {_some(similar[name], ' or ')}?"
        elif name in nowhere:
            missing[name] = "got no file of this name"
    return missing


def _notes(
    names: Sequence[str],
    chosen: Mapping[str, str],
    hits: Mapping[str, _Hit],
    unclear: Mapping[str, Sequence[str]],
    similar: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    total = f"{len(names):,} annotated images"
    notes = []
    main = Counter(hits[name].prefix(path) for name, path in chosen.items())
    shortened = [name for name in chosen if not hits[name].whole]
    spelled = [name for name in chosen if hits[name].whole and hits[name].spelling]
    plain = [name for name in chosen if not hits[name].spelling and hits[name].whole]
    if len(main) > 1 and plain:
        usual = max(main, key=lambda prefix: main[prefix])
        moved = [name for name in plain if hits[name].prefix(chosen[name]) != usual]
        if moved:
            notes.append(
                f"{len(moved):,} of {total} lie in other folders than {usual or '.'}, where they are the only files of "
                f"their names: {_pairs(moved, chosen)}."
            )
    if shortened:
        notes.append(
            f"{len(shortened):,} of {total} are found by the end of their names alone: {_pairs(shortened, chosen)}."
        )
    if spelled:
        notes.append(
            f"{len(spelled):,} of {total} are found under another spelling (case, suffix, Unicode form or %-escapes): "
            f"{_pairs(spelled, chosen)}."
        )
    if unclear:
        listed = "; ".join(f"{name} ({_some(unclear[name], ' or ')})" for name in list(unclear)[:_SHOWN])
        notes.append(
            f"{len(unclear):,} of {total} could be one of several files, or share one, and are left out: "
            f"{listed}{_rest(len(unclear))}. Say their folder by images=FOLDER, or write it into the annotation."
        )
    if similar:
        listed = "; ".join(f"{name} (is it {_some(similar[name], ' or ')}?)" for name in list(similar)[:_SHOWN])
        notes.append(
            f"{len(similar):,} of {total} have no file of their name, but a similar one is there: "
            f"{listed}{_rest(len(similar))}."
        )
    nowhere = [name for name in names if name not in chosen and name not in unclear and name not in similar]
    if nowhere:
        notes.append(f"{len(nowhere):,} of {total} have no file, such as {nowhere[0]}.")
    return tuple(notes)


def _pairs(names: Sequence[str], paths: Mapping[str, str]) -> str:
    return ", ".join(f"{name} is {paths[name]}" for name in names[:_SHOWN]) + _rest(len(names))


def _some(paths: Sequence[str], link: str) -> str:
    return link.join(paths[:_SHOWN]) + _rest(len(paths))


def _rest(count: int) -> str:
    return f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
