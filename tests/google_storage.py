"""A Google Cloud Storage: the emulator that PyPI has, with what its XML API lacks. Prints its URL.

It lacks, for a PUT: names that are quoted, the condition, and the headers of the answer.
"""

import sys
from functools import partial
from http import HTTPStatus
from http.server import HTTPServer
from threading import Thread
from typing import Any

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.storage import Storage


def put(request: Any, response: Any, storage: Storage) -> None:
    """Put an object, unless there is one and `x-goog-if-generation-match: 0` forbids it."""
    if request.get_header("x-goog-if-generation-match") == "0" and _is_there(storage, **request.params):
        response.status = HTTPStatus.PRECONDITION_FAILED
        return
    objects.xml_upload(request, response, storage)
    response["ETag"], response["x-goog-generation"] = '"1"', "1"


def _is_there(storage: Storage, bucket_name: str, object_id: str) -> bool:
    try:
        storage.get_file_obj(bucket_name, object_id)
    except NotFound:
        return False
    return True


if __name__ == "__main__":
    server.HANDLERS = ((r"^/(?P<bucket_name>[-.\w%]+)/(?P<object_id>[^/]+)$", {server.PUT: put}), *server.HANDLERS)
    http = HTTPServer(("127.0.0.1", 0), partial(server.RequestHandler, Storage(use_memory_fs=True)))
    Thread(target=http.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{http.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
