"""Reading the labels that Ultralytics (`save_txt=True, save_conf=True`) and YOLOv5 (`--save-txt --save-conf`) write.

```
labels/a.txt
    0 0.5120 0.4333 0.1042 0.2019 0.9312      class, centre x, centre y, width, height, confidence
```

The numbers of a box are parts of the upright image's width and height, which therefore must be known. A track id may
stand behind the confidence; five landmarks, which are not used, before it. An image in which nothing was found has no
file.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import numpy as np

from ...errors import DataError
from .intake import Fault, Intake
from .wider_text import UNREADABLE, text_members, text_of

_BOX = 5
_LANDMARKS = (5 * 2, 5 * 3)
_WITHOUT_SCORE = (_BOX, *(_BOX + count for count in _LANDMARKS))
_SCORE_AT = {_BOX + 1: 5, _BOX + 2: 5, **{_BOX + count + 1: -1 for count in _LANDMARKS}}
"""How many numbers a row has -> which is the confidence."""
_LOOKED_AT = 50


def are_labels(path: Path) -> bool:
    """Tell whether the text files of a folder or zip begin with rows of numbers."""
    with contextlib.suppress(DataError, *UNREADABLE):  # told when it is read
        for _, read in itertools.islice(text_members(path), _LOOKED_AT):
            first = read().decode("utf-8-sig", "replace").strip().partition("\n")[0].split()
            if first:
                return _numbers(first) is not None and len(first) >= _BOX
    return False


def read_labels(path: Path, intake: Intake) -> None:
    """Read every text file of a folder or zip into `intake`.

    Raises:
        DataError: the rows have no confidence, or the zip is damaged as a whole.
    """
    classes: dict[str, str] = {}
    for name, read in text_members(path):
        image_id = intake.claim(name.removesuffix(".txt"), name)
        text = text_of(name, read, intake) if image_id is not None else None
        if image_id is None or text is None:
            continue
        rows, places = [], []
        for line, words in enumerate(map(str.split, text.split("\n")), start=1):
            if not words:
                continue
            where, numbers = f"{name}:{line}", _numbers(words)
            if numbers is not None and len(numbers) in _WITHOUT_SCORE:
                raise DataError(
                    f"Got boxes without scores in {path} ({where}: {len(numbers)} numbers), expected the confidence in "
                    "each row. Predict again with save_conf=True (Ultralytics) or --save-conf (YOLOv5)"
                )
            score = numbers[_SCORE_AT[len(numbers)]] if numbers is not None and len(numbers) in _SCORE_AT else -1.0
            if numbers is None or not 0 <= score <= 1:
                expected = "class, centre x, centre y, width, height and a confidence from 0 to 1"
                intake.faults.add(Fault.WIDTH, f"{where}: got {' '.join(words)[:60]!r}, expected {expected}")
                continue
            classes.setdefault(words[0], where)
            rows.append([*numbers[1:_BOX], score])
            places.append(where)
        intake.keep(image_id, np.array(rows, np.float64).reshape(-1, 5), places.__getitem__)
    if len(classes) > 1:
        got = ", ".join(f"{number} (first at {where})" for number, where in list(classes.items())[:5])
        intake.faults.add(Fault.UNREADABLE, f"{path.name}: got the classes {got}, expected faces alone")


def _numbers(words: list[str]) -> list[float] | None:
    try:
        return [float(word) for word in words] if "_" not in "".join(words) else None
    except ValueError:
        return None
