"""A PNG, JPEG or WebP without its metadata: what a decoder needs for the pixels, and nothing that can be wrong beside.

Comments, profiles, EXIF and previews lie in pieces of their own. Where a decoder fails because of one of them, the
pixels are read from what is left.

Source: the PNG specification (W3C) section 5; ITU-T T.81 annex B; the WebP container specification (Google).
"""

from __future__ import annotations

import struct

PNG = b"\x89PNG\r\n\x1a\n"
PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
SCAN, END = 0xDA, 0xD9
KEPT_SEGMENTS = (0xE0, 0xEE)  # JFIF and Adobe's, which say how colours are stored
WEBP_CHUNKS = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
WEBP_METADATA = 0x20 | 0x08 | 0x04  # flags of VP8X: profile, EXIF, XMP


def without_metadata(content: bytes, kept: tuple[bytes, ...] = PIXEL_CHUNKS) -> bytes | None:
    """The file's bytes without metadata, or None for a container that is not known here.

    Args:
        content: of the whole file.
        kept: the chunks of a PNG that stay.
    """
    if content.startswith(PNG):
        return _png(content, kept)
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    return None


def _png(content: bytes, kept: tuple[bytes, ...]) -> bytes:
    parts, at = [PNG], len(PNG)
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        if content[at + 4 : at + 8] in kept:
            parts.append(content[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts)


def _jpeg(content: bytes) -> bytes:
    parts, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in (SCAN, END):
            break
        (length,) = struct.unpack_from(">H", content, at + 2)
        application, comment = 0xE0 <= marker <= 0xEF, marker == 0xFE
        if not comment and (not application or marker in KEPT_SEGMENTS):
            parts.append(content[at : at + 2 + length])
        at += 2 + length
    return b"".join([*parts, content[at:]])


def _webp(content: bytes) -> bytes:
    parts, at = [b"WEBP"], 12
    while at + 8 <= len(content):
        name, length = content[at : at + 4], struct.unpack_from("<I", content, at + 4)[0]
        end = at + 8 + length + length % 2
        chunk = content[at:end]
        if name == b"VP8X" and length:
            chunk = chunk[:8] + bytes([chunk[8] & ~WEBP_METADATA]) + chunk[9:]
        if name in WEBP_CHUNKS:
            parts.append(chunk)
        at = end
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
