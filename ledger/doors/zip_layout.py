"""A ZIP that is one archive and nothing else: what two readers could read differently is refused.

A ZIP is read from its end, by a directory that points back to the members. So bytes before the
first member, behind the last, or of two members at once are seen by one reader and not by another,
and a file may be two archives. Here members stand one behind the other from byte 0 to the
directory, and the end record with its comment ends the file (PKWARE APPNOTE 6.3, 4.3).
"""

import struct
import zipfile
from typing import IO, Final

from ledger.errors import MalformedError

_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_LOCAL: Final = struct.Struct("<4s22xHH")  # signature, …, lengths of the name and the extra field
_STREAMED: Final = 0x8
"""Flag: size and CRC stand behind the content, in a data descriptor of one of these sizes."""
_DESCRIPTORS: Final = (12, 16, 20, 24)


def check_layout(file: IO[bytes], archive: zipfile.ZipFile, size_bytes: int) -> None:
    """Returns if ``file``, of ``size_bytes``, is ``archive`` from its first byte to its last.

    Raises MalformedError otherwise, OSError if it cannot be read.
    """
    file.seek(max(0, size_bytes - _END_SIZE - len(archive.comment)))
    if file.read(len(_END)) != _END:
        raise MalformedError("something stands behind the ZIP's end")
    ends = (0,)
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset not in ends:
            raise MalformedError(
                f"{info.filename!r} does not begin where the member before it ends"
            )
        file.seek(info.header_offset)
        header = file.read(_LOCAL.size)
        if len(header) != _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise MalformedError(f"{info.filename!r} has no header of its own")
        _, name, extra = _LOCAL.unpack(header)
        end = info.header_offset + _LOCAL.size + name + extra + info.compress_size
        streamed = _DESCRIPTORS if info.flag_bits & _STREAMED else ()
        ends = (end, *(end + size for size in streamed))
    if archive.start_dir not in ends:
        raise MalformedError("the ZIP's directory does not begin where its last member ends")
