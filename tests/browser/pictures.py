"""Small PNGs: the colours of an interface are few, and a palette of 256 of them takes half the bytes."""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter

from playwright.sync_api import Page

COLOURS = 256
PALETTED = 3  # PNG's colour type
SIGNATURE = b"\x89PNG\r\n\x1a\n"

# The browser knows how to read a PNG: its pixels, four bytes each, as base64.
PIXELS = """async (encoded) => {
  const picture = await createImageBitmap(await (await fetch("data:image/png;base64," + encoded)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  const pixels = new Blob([context.getImageData(0, 0, picture.width, picture.height).data]);
  const reader = new FileReader();
  await new Promise((done) => { reader.onload = done; reader.readAsDataURL(pixels); });
  return reader.result.split(",")[1];
}"""


def paletted(blank: Page, png: bytes, width: int) -> bytes:
    """The same picture with 256 colours: those used most, and for any other the nearest of them."""
    raw = base64.b64decode(blank.evaluate(PIXELS, base64.b64encode(png).decode()))
    pixels = [raw[at : at + 3] for at in range(0, len(raw), 4)]
    used = Counter(pixels)
    palette = [colour for colour, _ in used.most_common(COLOURS)]
    places = {colour: _nearest(colour, palette) for colour in used}
    indexes = bytes(places[pixel] for pixel in pixels)
    lines = [b"\0" + indexes[at : at + width] for at in range(0, len(indexes), width)]  # 0: the line is not filtered
    header = struct.pack(">IIBBBBB", width, len(lines), 8, PALETTED, 0, 0, 0)
    body = (
        (b"IHDR", header),
        (b"PLTE", b"".join(palette)),
        (b"IDAT", zlib.compress(b"".join(lines), 9)),
        (b"IEND", b""),
    )
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in body)


def _nearest(colour: bytes, palette: list[bytes]) -> int:
    """The place in the palette of what differs least from a colour."""
    return min(range(len(palette)), key=lambda at: sum((a - b) ** 2 for a, b in zip(colour, palette[at], strict=True)))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
