"""Which images make a batch, and in which order batches of several sizes take turns."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that go through a detector together.

    Attributes:
        size: images in a full batch.
        image_ids: at most so many.
    """

    size: int
    image_ids: tuple[str, ...]


def batches_of(names: Sequence[str], seen: Mapping[str, Hashable], size: int) -> list[Batch]:
    """Put images into batches as somebody does who goes through them once.

    An image waits for others that the detector sees at the same size; as soon as there are enough they are a batch.
    What still waits at the end makes batches that are not full.

    Args:
        names: images, in order.
        seen: image -> at which size the detector sees it, see `sizes_seen`.
        size: images in a full batch.

    >>> [batch.image_ids for batch in batches_of("abcde", dict(zip("abcde", "SSTST")), 2)]
    [('a', 'b'), ('c', 'e'), ('d',)]
    """
    waiting: dict[Hashable, list[str]] = {}
    found = []
    for name in names:
        group = waiting.setdefault(seen[name], [])
        group.append(name)
        if len(group) == size:
            found.append(Batch(size, tuple(group)))
            del waiting[seen[name]]
    return found + [Batch(size, tuple(group)) for group in waiting.values()]


def in_turns(by_size: Sequence[Sequence[Batch]]) -> list[Batch]:
    """Return the batches of all sizes in one order: each size in turn goes through as many images as the largest has.

    So a machine that grows slower meanwhile makes all of them slower, and a runtime that gets ready for another number
    of images does so seldom.

    >>> [len(one.image_ids) for one in in_turns([batches_of("abcd", dict.fromkeys("abcd"), size) for size in (1, 2)])]
    [1, 1, 2, 1, 1, 2]
    """
    largest = max((batch.size for batches in by_size for batch in batches), default=1)
    placed = []
    for batches in by_size:
        before = 0
        for batch in batches:
            placed.append((before // largest, batch))
            before += len(batch.image_ids)
    return [batch for _, batch in sorted(placed, key=lambda one: one[0])]
