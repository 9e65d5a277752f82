"""Serve one peer: requests and answers are lines of JSON. Runs in the peers' environment.

``python serve.py NAME`` says ``{"ready": NAME}`` once the peer is loaded, then answers until its input ends:

* ``{"do": "embed", "clip": PATH, "to": PATH, "bits": [0, 1, ...]}``: frames in a .npy file -> marked frames in another;
* ``{"do": "read", "clip": PATH, "length": 32}``: ``{"votes": [[...], ...]}``, a row per frame, or null (see `engines`).

What fails is ``{"error": "one line"}``. ``python serve.py --reasons`` says of each peer why it cannot run here. Nothing
here reaches another machine, and whatever a peer prints goes to standard error, never among the answers.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from engines import ENGINES, Engine, reasons


def main() -> None:
    """Serve the peer that the command line names."""
    cv2.setNumThreads(1)
    sys.addaudithook(_refuse_network)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")

    if sys.argv[1] == "--reasons":
        say(reasons())
        return
    loaded: dict[str, Engine] = {}
    say(_answer(lambda: _load(loaded, sys.argv[1])))
    for line in sys.stdin if loaded else ():
        say(_answer(functools.partial(_done, loaded[sys.argv[1]], line)))


def _load(loaded: dict[str, Engine], name: str) -> dict[str, Any]:
    loaded[name] = ENGINES[name]()
    return {"ready": name}


def _done(engine: Engine, line: str) -> dict[str, Any]:
    request = json.loads(line)
    frames = np.load(request["clip"], mmap_mode="r", allow_pickle=False)
    if request["do"] == "embed":
        np.save(request["to"], engine.embed(frames, request["bits"]), allow_pickle=False)
        return {"frames": len(frames)}
    votes = engine.read(frames, request["length"])
    return {"votes": None if votes is None else [[float(vote) for vote in row] for row in votes]}


def _answer(function: Callable[[], Any]) -> dict[str, Any]:
    try:
        return dict(function())
    except Exception as error:  # whatever a peer raises is told, in one line
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def _end_with(parent: int) -> None:
    """End this process a second after its parent is gone, also in the middle of a request."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("peers run with the network off")


if __name__ == "__main__":
    main()
