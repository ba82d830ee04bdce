"""The file of a multipart/form-data body, as browsers and curl -F send it.

Source: RFC 7578, RFC 2046.
"""

from __future__ import annotations

from email.message import Message

MULTIPART = "multipart/form-data"
_LONGEST_BOUNDARY = 70  # of RFC 2046
_LONGEST_HEAD = 8192  # bytes of a part's header
_MOST_PARTS = 32


def media_type(header: str) -> tuple[str, str]:
    """What a Content-Type says, in lower case, and its boundary, "" where it has none."""
    message = Message()
    message["Content-Type"] = header
    boundary = message.get_param("boundary", "")
    name = header.partition(";")[0].strip().lower()
    return name, boundary if isinstance(boundary, str) else ""


def file_of(body: bytes, boundary: str) -> bytes | None:
    """The content of the first part with a file's name; None where there is none.

    Raises: ValueError for a body that is not of that form.
    """
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise ValueError("multipart/form-data needs a boundary of 1 to 70 characters")
    mark = b"\r\n--" + boundary.encode()
    before, *parts = (b"\r\n" + body).split(mark, _MOST_PARTS + 1)
    if not parts or before.strip():
        raise ValueError("the body does not begin with its boundary")
    for i, part in enumerate(parts):
        if part.startswith(b"--"):
            return None
        if i == len(parts) - 1:
            raise ValueError("the body does not end with its boundary, or has too many parts")
        head, found, content = part.partition(b"\r\n\r\n")
        if not found or len(head) > _LONGEST_HEAD:
            raise ValueError("a part of the body has no header, or too long a one")
        if _has_file_name(head):
            return content
    return None


def _has_file_name(head: bytes) -> bool:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            message = Message()
            message["Content-Disposition"] = value.strip()
            return message.get_param("filename", None, "content-disposition") is not None
    return False
