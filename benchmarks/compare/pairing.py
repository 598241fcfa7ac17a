"""Which cell of one run stands for which of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import UsageError, did_you_mean
from ..store.records import Protocol, StoredCell


@dataclass(frozen=True, slots=True)
class Pairing:
    """Cells side by side.

    Attributes:
        pairs: base and head, in the order of the base.
        base_only: cells of the base without a partner.
        head_only: cells of the head without a partner.
    """

    pairs: tuple[tuple[StoredCell, StoredCell], ...]
    base_only: tuple[StoredCell, ...]
    head_only: tuple[StoredCell, ...]


def pair_cells(
    base: Sequence[StoredCell], head: Sequence[StoredCell], wanted: Sequence[tuple[str, str]] = ()
) -> Pairing:
    """Pair the cells of two runs. Protocol, device and threads must be the same in every pair.

    First come the pairs asked for, then cells of the same spec at the same threshold, then those of the same spec, then
    what is left alone on both sides: the only cell left with that detector's name in the base, and the only one in the
    head, such as `haar` and `haar:scale_factor=1.05`.

    Args:
        base: cells of the base.
        head: cells of the head.
        wanted: spec in the base and spec in the head that belong together.

    Raises:
        UsageError: a wanted spec is in none of the cells, stands in two pairs, or its cells have no setting in common.
    """
    _check_wanted(base, head, wanted)
    partner: dict[int, int] = {}
    taken: set[int] = set()

    def join(left: int, right: int) -> None:
        partner[left] = right
        taken.add(right)

    for base_spec, head_spec in wanted:
        places = {_setting(cell): place for place, cell in enumerate(head) if cell.spec == head_spec}
        alike = [(i, places[_setting(c)]) for i, c in enumerate(base) if c.spec == base_spec and _setting(c) in places]
        if not alike:
            raise UsageError(
                f"{base_spec} in the base and {head_spec} in the head have no protocol, device and threads in common, "
                "so nothing can be compared. Measure both the same way"
            )
        for left, right in alike:
            join(left, right)
    for naming in (_by_spec_and_threshold, _by_spec, _by_detector):
        left_over = _alone(base, naming, partner.keys())
        right_over = _alone(head, naming, taken)
        for name, left in left_over.items():
            if name in right_over:
                join(left, right_over[name])
    return Pairing(
        pairs=tuple((base[left], head[right]) for left, right in sorted(partner.items())),
        base_only=tuple(cell for place, cell in enumerate(base) if place not in partner),
        head_only=tuple(cell for place, cell in enumerate(head) if place not in taken),
    )


def parse_pair(text: str, base: Sequence[StoredCell], head: Sequence[StoredCell]) -> tuple[str, str]:
    """Read BASE=HEAD; specs hold equals signs themselves, so the cells say where to cut.

    Raises:
        UsageError: no cut, or more than one, gives a spec of the base and one of the head.
    """
    base_specs, head_specs = ({cell.spec for cell in cells} for cells in (base, head))
    cuts = [(text[:at], text[at + 1 :]) for at, sign in enumerate(text) if sign == "="]
    found = [(left, right) for left, right in cuts if left in base_specs and right in head_specs]
    if len(found) == 1:
        return found[0]
    if not cuts:
        raise UsageError(f"--pair {text}: expected BASE=HEAD, such as haar=haar:scale_factor=1.05")
    raise UsageError(
        f"--pair {text}: expected BASE=HEAD with a detector of each run. The base has {', '.join(sorted(base_specs))}; "
        f"the head has {', '.join(sorted(head_specs))}"
    )


def protocols(cells: Sequence[StoredCell]) -> str:
    """Name the protocols of some cells, for a message."""
    return (
        " and ".join(dict.fromkeys(json.dumps(cell.protocol.to_json(), sort_keys=True) for cell in cells)) or "no cells"
    )


def _check_wanted(base: Sequence[StoredCell], head: Sequence[StoredCell], wanted: Sequence[tuple[str, str]]) -> None:
    for side, cells, specs in (
        ("base", base, [left for left, _ in wanted]),
        ("head", head, [right for _, right in wanted]),
    ):
        known = {cell.spec for cell in cells}
        for spec in specs:
            if spec not in known:
                raise UsageError(f"no detector {spec} in the {side} to pair. {did_you_mean(spec, known)}")
            if specs.count(spec) > 1:
                raise UsageError(f"{spec} of the {side} is in {specs.count(spec)} pairs, expected one")


def _setting(cell: StoredCell) -> tuple[Protocol, str, int]:
    return cell.protocol, cell.device, cell.threads


def _by_spec_and_threshold(cell: StoredCell) -> tuple[Any, ...]:
    return cell.threshold, *_by_spec(cell)


def _by_spec(cell: StoredCell) -> tuple[Any, ...]:
    return cell.spec, *_setting(cell)


def _by_detector(cell: StoredCell) -> tuple[Any, ...]:
    return cell.detector, *_setting(cell)


def _alone(
    cells: Sequence[StoredCell], naming: Callable[[StoredCell], tuple[Any, ...]], taken: Collection[int]
) -> dict[tuple[Any, ...], int]:
    """Return the places of the cells that are the only one left of their name."""
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, cell in enumerate(cells):
        if place not in taken:
            places.setdefault(naming(cell), []).append(place)
    return {name: found[0] for name, found in places.items() if len(found) == 1}
