"""What the data sets that are composed here have in common: their options, and that they are whole as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base import Dataset, Sample
from ..fingerprints import fingerprint
from ..query import check_options, whole_number


def seed_and_count(
    options: Mapping[str, str], data_set: str, *, usual: int, most: int, others: Sequence[str] = ()
) -> tuple[int, int]:
    """Read `seed`, 0 where it is not given, and `count`, `usual` where it is not given; `others` may be given too.

    Raises:
        UsageError: on an unknown option or a bad value.
    """
    check_options(options, (*others, "count", "seed"), data_set)
    return whole_number(options, "seed", 0, least=0), whole_number(options, "count", usual, least=1, most=most)


def composed(
    name: str,
    samples: Sequence[Sample],
    description: str,
    licence: str,
    *,
    notes: Sequence[str] = (),
    demo: bool = True,
) -> Dataset:
    """Return a data set of all these images, without evaluation lists; a `demo` ranks nobody."""
    return Dataset(
        name=name,
        samples=tuple(samples),
        total=len(samples),
        lists=(),
        demo=demo,
        description=description,
        licence=licence,
        fingerprint=fingerprint(samples, ()),
        notes=tuple(notes),
    )
