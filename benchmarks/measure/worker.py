"""The child process: holds one detector alone and answers over a socket.

Started by `detector_process`, never by hand. Pinning comes first, before NumPy or any detector library is imported,
since their thread pools inherit the processor mask and read the environment when they are loaded.

Messages in: "load" · "detect", "detect together" and "check", with the sizes of the images and arena bytes · "close"
Messages out: "hello", with the protocol · "loaded" · "found", with boxes, scores and perhaps landmarks · "found
together", with those of all images of a batch and how many each has · "checked" · "raised", with the reason. An answer
has the number of its request.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import time

from ...supervised import supervise
from .child.messages import PROTOCOL, Channel, Message

_LONGEST_REASON = 10_000
"""Characters; the parent keeps fewer."""


def main() -> None:
    """Serve one detector until the socket closes."""
    supervise()
    import faulthandler
    import socket

    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    arena_file = int(sys.argv[2])
    os.set_inheritable(arena_file, False)
    if len(sys.argv) > 3 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in sys.argv[3].split(",")])
    # last, so that a detector in the working folder is found and nothing there hides a library
    sys.path.append(os.getcwd())  # noqa: PTH109
    faulthandler.enable()
    # the parent unlocks a detector that hangs by killing, so only the socket's end needs care here
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        channel = Channel(end)
        channel.send(Message("hello", 0, {"protocol": PROTOCOL}))
        _serve(channel, arena_file)


def _serve(channel: Channel, arena_file: int) -> None:
    asked = channel.receive()
    config = asked.fields
    began = time.perf_counter()
    try:
        from .child import calls  # NumPy and OpenCV come with it

        detector, inner, report = calls.load(config, began)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
        channel.send(Message("raised", asked.number, {"reason": _explain(error)}))
        return
    channel.send(Message("loaded", asked.number, report))
    arena: mmap.mmap | None = None
    while True:
        asked = channel.receive()
        if asked.kind == "close":
            detector.close()
            return
        capacity = asked.fields["capacity"]
        if arena is None or len(arena) != capacity:
            arena = mmap.mmap(arena_file, capacity, mmap.MAP_SHARED, mmap.PROT_READ)
        try:
            images = calls.views(arena, asked.fields["sizes"])
            if asked.kind == "detect":
                kind, fields, arrays = calls.answer(detector, images[0])
            elif asked.kind == "detect together":
                kind, fields, arrays = calls.batch_answer(detector, images)
            else:
                kind, fields, arrays = calls.check(inner, images[0], config["threads"])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the parent is told of it
            kind, fields, arrays = "raised", {"reason": _explain(error)}, {}
        channel.send(Message(kind, asked.number, fields, arrays))


def _explain(error: BaseException) -> str:
    text = str(error).strip() or "no message"
    remedy = getattr(error, "remedy", "")
    text = f"{type(error).__name__}: {text}" + (f". To fix: {remedy}" if remedy else "")
    return text[:_LONGEST_REASON]


if __name__ == "__main__":
    main()
