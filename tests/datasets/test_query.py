from __future__ import annotations

import pytest
from facebench.datasets.query import check_options, split_name, whole_number
from facebench.errors import UsageError


@pytest.mark.parametrize(
    ("name", "base", "options"),
    [
        ("scenes", "scenes", {}),
        ("scenes?", "scenes", {}),
        ("wider-face:val?events=Picnic,Couple&seed=1", "wider-face:val", {"events": "Picnic,Couple", "seed": "1"}),
        ("a?b=c=d", "a", {"b": "c=d"}),
    ],
)
def test_split_name(name: str, base: str, options: dict[str, str]) -> None:
    assert split_name(name) == (base, options)


@pytest.mark.parametrize("name", ["a?b", "a?=c", "a?b=", "a?b=1&", "a?&b=1", "a?b=1&b=2"])
def test_malformed_options(name: str) -> None:
    with pytest.raises(UsageError):
        split_name(name)


def test_unknown_options_name_the_nearest() -> None:
    check_options({"seed": "1"}, ("seed", "count"), "scenes")
    with pytest.raises(UsageError, match=r"Data set scenes has no option 'sed'\. Did you mean seed\?"):
        check_options({"sed": "1"}, ("seed", "count"), "scenes")


@pytest.mark.parametrize("text", ["", "-1", "0", "11", "1.0", "1e1", "٣", " 3", "9" * 5000])
def test_numbers_out_of_range(text: str) -> None:
    with pytest.raises(UsageError, match="expected a whole number from 1 to 10"):
        whole_number({"n": text}, "n", 5, least=1, most=10)


def test_numbers_in_range() -> None:
    assert [whole_number({"n": n}, "n", 5, least=1, most=10) for n in ("1", "10", "007")] == [1, 10, 7]
    assert whole_number({}, "n", 5, least=1, most=10) == 5
