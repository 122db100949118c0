"""A process in which everything slow is imported once: each `twin` that a test calls is a fork of it, not a new Python.

A test calls `twin` twenty times, and each start would cost more than a second of a core. The fork runs the same entry point
with the caller's arguments, folder, environment, and standard streams (passed over the socket). When the caller is gone, so
is the fork, with all that it started. `python -m tests.warm.process SOCKET`; one line on stdout says that it is ready.
"""

import json
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from tests.warm.popen import PID

REQUEST_BYTES_MAX = 1 << 20


class Fork:
    """One running command: the caller's connection, and the child. Of one that is `alone` the caller is told the id."""

    def __init__(self, connection: socket.socket, pid: int, *, alone: bool) -> None:
        self.connection = connection
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.alone = alone
        if alone:
            connection.sendall(PID.pack(pid))

    def from_caller(self) -> bool:
        """Pass signals on; False when the caller is gone."""
        try:
            numbers = self.connection.recv(16)
        except OSError:
            numbers = b""
        for number in numbers:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
        return bool(numbers)

    def close(self, *, gone: bool) -> None:
        """Answer the caller; end what still runs of it, unless it was alone and has `gone` by itself."""
        if not (gone and self.alone):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            self.connection.sendall(bytes([code if code >= 0 else 128 - code]))
        self.connection.close()
        os.close(self.pidfd)


def main(path: str) -> None:
    _import_what_is_slow()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    stop, stopper = socket.socketpair()
    signal.signal(signal.SIGTERM, lambda *_: stopper.send(b"."))
    selector.register(stop, selectors.EVENT_READ, None)
    selector.register(sys.stdin, selectors.EVENT_READ, None)  # its end is that of the test run, however that came
    forks: list[Fork] = []
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fileobj in (stop, sys.stdin):
                for fork in forks:
                    fork.close(gone=False)
                return
            if key.fileobj is listener:
                fork = _accept(listener.accept()[0])
                forks.append(fork)
                selector.register(fork.connection, selectors.EVENT_READ, fork)
                selector.register(fork.pidfd, selectors.EVENT_READ, fork)
            elif key.data in forks and (key.fd == key.data.pidfd or not key.data.from_caller()):
                forks.remove(key.data)
                selector.unregister(key.data.connection)
                selector.unregister(key.data.pidfd)
                key.data.close(gone=key.fd == key.data.pidfd)


def _accept(connection: socket.socket) -> Fork:
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    text = b""
    while not text.endswith(b"\n") and len(text) < REQUEST_BYTES_MAX:
        text += connection.recv(1 << 16)
    request = json.loads(text)
    pid = os.fork()
    if pid == 0:
        _become(request, streams)
    for stream in streams:
        os.close(stream)
    return Fork(connection, pid, alone=request.get("alone", False))


def _become(request: dict, streams: list[int]) -> None:
    """In the child: the command that was asked for, to its end."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
    os.closerange(3, 256)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(place, mode, buffering=1, encoding="utf-8", closefd=False) for place, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.path[0:0] = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    code = 1
    try:
        code = _ended(lambda: COMMANDS[request["name"]](request["arguments"]))
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _ended(command: Callable[[], int | None]) -> int:
    """The exit code, as Python itself would give it."""
    try:
        return int(command() or 0)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130


def _twin(arguments: list[str]) -> None:
    from twin_app.cli.main import main as twin

    sys.argv = ["twin", *arguments]
    twin()


def _pytest(arguments: list[str]) -> int:
    import pytest

    sys.path.insert(0, os.getcwd())
    return pytest.main(["-p", "no:cacheprovider", *arguments])


def _python(arguments: list[str]) -> None:
    """`python FILE ...`; anything else is for a Python of its own."""
    if not arguments or arguments[0].startswith("-"):
        os.execv(sys.executable, [sys.executable, *arguments])
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    runpy.run_path(arguments[0], run_name="__main__")


def _module(arguments: list[str]) -> None:
    """`python -m MODULE ...`."""
    sys.argv = ["-m", *arguments[1:]]
    sys.path.insert(0, os.getcwd())
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


COMMANDS: dict[str, Callable[[list[str]], int | None]] = {"twin": _twin, "python": _python, "module": _module, "pytest": _pytest}


def _import_what_is_slow() -> None:
    import importlib

    from twin_app.cli.main import VERBS

    for module in (*VERBS.values(), "pytest", "twin_app.local", "twin_app.streaming.assembly", "twin_app.embedded.serving"):
        importlib.import_module(module)
    importlib.import_module("twin_app.streaming.worker")


if __name__ == "__main__":
    main(sys.argv[1])
