"""Questions that import heavy or foreign code: each is asked in a child process, which a broken install may take down.

`python -m facebench.benchmarks.doctor.probes NAME ARGUMENT…` prints one JSON object. Started by `doctor.facts` alone.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ASKED = ("wider-face:val?sample=1", "fer2013:public?sample=1", "ckplus")
"""The cheapest questions for which the loaders still read the annotation."""


def torch() -> dict[str, Any]:
    """Ask PyTorch for its GPUs, and add two numbers on the first one.

    Returns:
        "version"; "built_for", "cuda 12.6" or "rocm 6.2", empty for a CPU build; "devices", their names; "fault", why
        no GPU can be used, empty where one can or the build has no support.
    """
    import torch as library

    parts = {"cuda": library.version.cuda, "rocm": getattr(library.version, "hip", None)}
    built_for = next((f"{name} {version}" for name, version in parts.items() if version), "")
    devices: list[str] = []
    fault = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if library.cuda.is_available():
            try:
                devices = [library.cuda.get_device_name(index) for index in range(library.cuda.device_count())]
                fault = "" if float((library.ones(1, device="cuda") + 1).item()) == 2.0 else "1 + 1 is not 2 there"
            except RuntimeError as error:
                fault = _first_line(error)
        elif built_for:
            fault = _first_line(caught[-1].message) if caught else "torch.cuda.is_available() is false"
    return {"version": library.__version__, "built_for": built_for, "devices": devices, "fault": fault}


def onnxruntime() -> dict[str, Any]:
    """Ask ONNX Runtime for its providers, and open a session on CUDA where it says that it can.

    Returns:
        "version"; "providers"; "fault", why no session could be opened on CUDA, empty where one could be or there is
        no such provider.
    """
    import onnxruntime as library

    providers = list(library.get_available_providers())
    fault = ""
    if "CUDAExecutionProvider" in providers:
        from ...detectors.runtimes.onnx_runtime import open_onnx
        from ...errors import DeviceError

        try:
            open_onnx(_smallest_model(), "cuda", 1)
        except (DeviceError, RuntimeError) as error:
            fault = _first_line(error)
    return {"version": library.__version__, "providers": providers, "fault": fault}


def default() -> dict[str, Any]:
    """Build the picked detector, and let it look at a grey image.

    Returns:
        "faces": how many it saw; "fault" and "remedy": why it cannot be used and the command, or empty; "absent":
        the models that are not on this machine, where that is why.
    """
    import numpy as np

    from ...detectors.models import store as model_store
    from ...errors import FacebenchError, OfflineError
    from ..choose.default import default_setting, load_default

    # a detector named package.module:Class may lie in the working folder; last, so that it hides no library
    sys.path.append(os.getcwd())  # noqa: PTH109
    answer: dict[str, Any] = {"faces": 0, "fault": "", "remedy": "", "absent": []}
    try:
        return answer | {"faces": len(load_default().detect(np.full((240, 320, 3), 128, np.uint8)))}
    except OfflineError as error:
        needed = default_setting().resolve().models()
        absent = [name for name in needed if model_store.locate(name) is None]
        return answer | {"fault": _first_line(error), "absent": absent}
    except FacebenchError as error:
        return answer | {"fault": str(error), "remedy": getattr(error, "remedy", "")}


def data(root: str) -> dict[str, Any]:
    """Ask the loader of each data set that has to be fetched for one image.

    Args:
        root: the folder of the data.

    Returns:
        Name -> "state": "there", "missing", "faulty"; "message", what the loader says where it is not there; "total",
        how many images are annotated; "notes" of the data set.
    """
    from ...datasets import load
    from ...errors import FacebenchError, MissingDataError

    found: dict[str, Any] = {}
    for asked in _ASKED:
        answer = {"state": "there", "message": "", "total": 0, "notes": []}
        try:
            dataset = load(asked, root=Path(root))
            answer |= {"total": dataset.total, "notes": list(dataset.notes)}
        except MissingDataError as error:
            answer |= {"state": "missing", "message": str(error)}
        except (FacebenchError, ImportError) as error:
            answer |= {"state": "faulty", "message": str(error)}
        found[asked.partition("?")[0]] = answer
    return found


def main() -> None:
    """Answer one question."""
    name, *arguments = sys.argv[1:]
    print(json.dumps(PROBES[name](*arguments)), flush=True)


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _smallest_model() -> bytes:
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "smallest", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised


PROBES: dict[str, Callable[..., dict[str, Any]]] = {
    "torch": torch,
    "onnxruntime": onnxruntime,
    "default": default,
    "data": data,
}

if __name__ == "__main__":
    main()
