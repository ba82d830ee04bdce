"""Variants in processes of their own, which take their turns.

What netspec sets for its process, such as glibc's allocator, is then not set for the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

Step = Callable[[], object]


@contextmanager
def apart(makers: Mapping[str, Callable[[], Step]]) -> Iterator[dict[str, Step]]:
    """Of each function that makes a step one that runs the step in a process of its own."""
    context = get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for name, make in makers.items():
        pipes[name], theirs = context.Pipe()
        process = context.Process(target=_take_turns, args=(make, theirs), daemon=True)
        process.start()
        processes.append(process)
        pipes[name].recv()  # it is made
    try:
        yield {name: partial(_turn, pipe) for name, pipe in pipes.items()}
    finally:
        for pipe in pipes.values():
            pipe.send(False)
        for process in processes:
            process.join()


def _turn(pipe: Connection) -> None:
    pipe.send(True)
    pipe.recv()


def _take_turns(make: Callable[[], Step], pipe: Connection) -> None:
    step = make()
    pipe.send(None)
    while pipe.recv():
        step()
        pipe.send(None)
