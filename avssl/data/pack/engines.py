"""Where parts are packed: in this process, in processes beside it, or by Ray on a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

from avssl.data.pack.part import Part
from avssl.data.workers import end_with_parent, worker_context
from avssl.types import UserError

Packer = Callable[[Part], int]
Engine = Callable[[Packer, Sequence[Part], int], Iterator[int]]


def in_processes(pack: Packer, parts: Sequence[Part], workers: int) -> Iterator[int]:
    """What `pack` gives for each part, as they get ready; with 0 workers from this process."""
    if workers == 0 or not parts:
        yield from map(pack, parts)
        return
    workers = min(workers, len(parts))
    with ProcessPoolExecutor(workers, worker_context(), initializer=end_with_parent) as pool:
        running = {pool.submit(pack, part): part for part in parts}
        try:
            for future in as_completed(running):
                yield future.result()
        except BrokenProcessPool as error:
            # Parts are begun in their order: those that ran are the first that were not done.
            broken = (part for future, part in running.items() if isinstance(future.exception(), BrokenProcessPool))
            told = ", or with ".join(
                f"{part.items[0].path} and {len(part.items) - 1} more" for part in islice(broken, workers)
            )
            raise UserError(
                f"a worker died in a part with {told} (out of memory, or a decoder crashed);"
                " the same command goes on, with workers=0 it shows where"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def on_ray(pack: Packer, parts: Sequence[Part], workers: int) -> Iterator[int]:
    """The same as tasks of Ray: of the cluster that RAY_ADDRESS names, or else of a local one of `workers` cores.

    All its machines see the source and the pack under the same paths. Raises UserError where Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray
    except ImportError as error:
        raise UserError("engine=ray needs the extra: pip install 'avssl[ray]'") from error
    started = not ray.is_initialized()
    if started:
        local: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": max(workers, 1)}
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        task = ray.remote(num_cpus=1)(_call)
        packer = ray.put(pack)
        waiting = [task.remote(packer, part) for part in parts]
        while waiting:
            ready, waiting = ray.wait(waiting)
            yield from ray.get(ready)
    finally:
        if started:
            ray.shutdown()


def _call(pack: Packer, part: Part) -> int:
    return pack(part)


ENGINES: dict[str, Engine] = {"process": in_processes, "ray": on_ray}
