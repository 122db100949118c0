"""Stands in for `twin`, `python` or `pytest` where a test calls them: asks the warm process (process.py) to be it.

Called as `python -IS shim.py NAME ARGUMENTS...` with the socket in TWIN_TEST_WARM. Signals are passed on; it ends as it ended.
"""

import array
import json
import os
import signal
import socket
import sys

request = json.dumps({"name": sys.argv[1], "arguments": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)})
with socket.socket(socket.AF_UNIX) as warm:
    warm.connect(os.environ["TWIN_TEST_WARM"])
    warm.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    warm.sendall(request.encode() + b"\n")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: warm.sendall(bytes([number])))
    status = warm.recv(1)
sys.exit(status[0] if status else 255)
