"""SipHash-2-4 in plain Python, as an independent reference of the hash that splits records.

Aumasson and Bernstein, SipHash: a fast short-input PRF, https://www.aumasson.jp/siphash/siphash.pdf."""

_MASK = 2**64 - 1
_KEY = 0x48B1_1E5E, 0x7EC0_DE5A
"""The key of the hash that splits records, fixed for ever."""


def split_of_key(key: bytes, train: int, validation: int, test: int) -> str:
    """The split of a record or group by relative sizes of the splits."""
    bucket = siphash(key, _KEY) % (train + validation + test)
    return "train" if bucket < train else "validation" if bucket < train + validation else "test"


def siphash(data: bytes, key: tuple[int, int]) -> int:
    """The 64-bit hash of some bytes."""
    words = [
        key[n % 2] ^ int.from_bytes(text, "big")
        for n, text in enumerate((b"somepseu", b"dorandom", b"lygenera", b"tedbytes"))
    ]
    last = data[len(data) // 8 * 8 :]
    blocks = [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - len(last), 8)]
    for block in (*blocks, int.from_bytes(last, "little") | (len(data) % 256) << 56):
        words[3] ^= block
        words = _rounds(words, 2)
        words[0] ^= block
    words[2] ^= 0xFF
    words = _rounds(words, 4)
    return words[0] ^ words[1] ^ words[2] ^ words[3]


def _rounds(words: list[int], count: int) -> list[int]:
    a, b, c, d = words
    for _ in range(count):
        a, c = (a + b) & _MASK, (c + d) & _MASK
        b, d = _rotated(b, 13) ^ a, _rotated(d, 16) ^ c
        a = _rotated(a, 32)
        c, a = (c + b) & _MASK, (a + d) & _MASK
        b, d = _rotated(b, 17) ^ c, _rotated(d, 21) ^ a
        c = _rotated(c, 32)
    return [a, b, c, d]


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & _MASK
