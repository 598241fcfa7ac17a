"""Claims about the device against what the process shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from facebench.detectors import Device
from facebench.detectors.process.devices import cuda_driver_loaded, false_claim, synchronise
from facebench.tests.support.broken_detectors import Good


class Claims(Good):
    def __init__(self, claim: Device) -> None:
        super().__init__()
        self._claim = claim

    def device_used(self) -> Device:
        return self._claim


def fake_torch(initialised: bool, held: int, waits: list[str]) -> SimpleNamespace:
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_initialized=lambda: initialised,
            memory_allocated=lambda: held,
            synchronize=lambda: waits.append("waited"),
        )
    )


NO_DRIVER = r"says cuda, but the CUDA driver \(libcuda\.so\) is not loaded"


@pytest.mark.parametrize(
    ("claim", "driver", "torch", "message"),
    [
        ("cpu", False, None, "no contradiction"),
        ("cpu", True, None, "no contradiction"),  # TensorFlow loads the driver to count GPUs
        ("cpu", True, (True, 0), "no contradiction"),
        ("cpu", True, (False, 2**20), "no contradiction"),
        ("cpu", True, (True, 2**20), r"says cpu, but PyTorch holds 1\.0 MB on the GPU"),
        ("cuda", True, None, "no contradiction"),
        ("cuda", None, None, "no contradiction"),
        ("cuda", True, (True, 2**20), "no contradiction"),
        ("cuda", False, None, NO_DRIVER),
        ("cuda", False, (False, 0), NO_DRIVER),
    ],
)
def test_false_claim(
    claim: Device,
    driver: bool | None,
    torch: tuple[bool, int] | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(*torch, []) if torch else None)
    assert re.search(message, false_claim(Claims(claim), lambda: driver) or "no contradiction")


@pytest.mark.parametrize(
    ("maps", "loaded"),
    [
        ("", False),
        ("7f00-7f01 r-xp 0 00:00 1 /usr/lib/libcudart.so.12\n", False),
        ("7f00-7f01 r-xp 0 00:00 1 /usr/lib/x86_64-linux-gnu/libcuda.so.550.54.15\n", True),
        ("7f00-7f01 r-xp 0 00:00 1 /usr/lib/wsl/drivers/n/libcuda.so.1.1\n", True),
        (None, None),
    ],
)
def test_cuda_driver_loaded(maps: str | None, loaded: bool | None, tmp_path: Path) -> None:
    file = tmp_path / "maps"
    if maps is not None:
        file.write_text(maps)
    assert cuda_driver_loaded(file) is loaded


@pytest.mark.parametrize(
    ("device", "initialised", "waits"),
    [("cpu", True, 0), ("cuda", True, 1), ("cuda", False, 0), ("cpu", False, 0)],
)
def test_only_the_device_in_use_is_waited_for(
    device: Device, initialised: bool, waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[str] = []
    monkeypatch.setitem(sys.modules, "torch", fake_torch(initialised, 0, waited))
    synchronise(device)
    assert len(waited) == waits


def test_waiting_needs_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    synchronise("cuda")
    assert "torch" not in sys.modules
