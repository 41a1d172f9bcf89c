"""Bytes read once from front to back, and whole numbers that take as many bytes as they need."""

from __future__ import annotations

from edge.errors import BlockError

_VARINT_MAX = 2**64 - 1


class Source:
    """``data`` from ``at`` on. Raises BlockError where more is asked for than there is."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    @property
    def rest(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise BlockError("block", "it ends early")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def varint(self) -> int:
        """Seven bits a byte, the least significant first, bit 7 where another byte follows; in the fewest bytes."""
        data, at, shift, number = self.data, self.at, 0, 0
        while at < len(data):
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if number > _VARINT_MAX or (byte == 0 and shift > 7):
                    break
                self.at = at
                return number
            if shift > 63:
                break
        raise BlockError("block", "a number in it ends early, or is longer than it needs to be")


def varint(number: int) -> bytes:
    """What ``Source.varint`` reads back; 0 to 2^64 - 1."""
    assert 0 <= number <= _VARINT_MAX
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
