#!/usr/bin/env python3
"""Contact sheets side by side in one small picture, every second pixel of them: docs/images/quality.png.

    docs/images/sheets.py OUT.png runs/quality/{1x,4x,32x}/samples/samples.png

Needs nothing beside Python. Reads what gpumonth sample writes: RGB, 8 bits, not interlaced.
"""
import struct
import sys
import zlib

GAP = 12


def paeth(a, b, c):
    p = a + b - c
    return min((a, b, c), key=lambda v: abs(p - v))


def read_png(path):
    """Rows of RGB bytes."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
    at, packed, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            size, form = struct.unpack(">II", body[:8]), body[8:]
            assert form == b"\x08\x02\x00\x00\x00", f"{path} is not RGB of 8 bits"
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    raw, (width, height), rows = zlib.decompress(packed), size, []
    before = bytearray(3 * width)
    for y in range(height):
        line = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        row = bytearray(line[1:])
        for i in range(3 * width):
            left, up, corner = (row[i - 3], before[i], before[i - 3]) if i >= 3 else (0, before[i], 0)
            row[i] = (row[i] + (0, left, up, (left + up) // 2, paeth(left, up, corner))[line[0]]) & 255
        rows.append(row)
        before = row
    return rows


def write_png(path, rows):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">II", len(rows[0]) // 3, len(rows)) + b"\x08\x02\x00\x00\x00"
    packed = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows), 9)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def half(rows):
    return [b"".join(bytes(row[i:i + 3]) for i in range(0, len(row), 6)) for row in rows[::2]]


sheets = [half(read_png(path)) for path in sys.argv[2:]]
assert sheets and len({len(sheet) for sheet in sheets}) == 1, "sheets of different heights"
write_png(sys.argv[1], [(b"\xff" * 3 * GAP).join(parts) for parts in zip(*sheets)])
