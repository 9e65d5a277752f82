"""The worker starts and imports what it will need, while this process still imports for itself."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
from collections.abc import Iterator, Sequence

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def worker_ahead(modules: Sequence[str]) -> Iterator[None]:
    """While the block runs, start this process's warm worker and let it import `modules`; at its end both are ready.

    The block must not run the worker itself. Where it fails, the worker is not waited for.
    """
    from provenance.sandbox.worker import warm_worker

    worker = warm_worker()
    if worker.pid is not None:
        yield
        return
    thread = threading.Thread(target=_prepare, args=(tuple(modules),), daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        while thread.is_alive():  # it may not have started the process yet
            worker.kill()
            thread.join(0.02)
        worker.kill()
        raise
    thread.join()


def _prepare(modules: tuple[str, ...]) -> None:
    from provenance.sandbox.worker import warm_worker

    try:
        warm_worker().run(import_modules, modules)
    except Exception as error:  # whoever runs the worker next is told
        _log.debug("the worker was not made ready", exc_info=error)


def import_modules(names: tuple[str, ...]) -> None:
    """Import modules by their names; runs in the worker."""
    for name in names:
        importlib.import_module(name)
