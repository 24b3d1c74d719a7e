"""A sketch of the frequent values of a column, with the same result in any process.

tfx_bsl's sketch picks among equally rare values by the order of a hash table, which differs from process to process.
"""

from collections import Counter

import pyarrow as pa


class FrequentValues:
    """The Misra-Gries sketch, with the interface that TFDV expects of tfx_bsl's.

    Counts are exact as long as there are at most `most` distinct values. Otherwise each is an upper bound, by at most
    the number of all values divided by `most`. See Agarwal et al., Mergeable Summaries (2012), section 3.
    """

    def __init__(self, most: int, longest: int, not_text: bytes, too_long: bytes) -> None:
        """An empty sketch.

        Args:
            most: Number of values that the sketch keeps.
            longest: Length in bytes of the longest value that counts as itself.
            not_text: Stands for all values that are not UTF-8.
            too_long: Stands for all longer values.
        """
        self.most, self.longest, self.not_text, self.too_long = most, longest, not_text, too_long
        self.counts: Counter[bytes] = Counter()
        """Count of each value, less `error`."""
        self.error = 0

    def AddValues(self, values: pa.Array) -> None:
        """Counts the values of a binary array."""
        self.counts.update(self._shown(values))
        if len(self.counts) > 4 * self.most:
            self._compress()

    def Merge(self, other: "FrequentValues") -> None:
        """Adds the counts of another sketch."""
        self.counts.update(other.counts)
        self.error += other.error
        self._compress()

    def Estimate(self) -> pa.Array:
        """The values with their counts, the most frequent first, and equally frequent ones in byte order."""
        self._compress()
        return pa.array(
            [{"values": value, "counts": float(count + self.error)} for value, count in self._ranked()],
            pa.struct({"values": pa.large_binary(), "counts": pa.float64()}),
        )

    def _compress(self) -> None:
        if len(self.counts) > self.most:
            ranked = self._ranked()
            cut = ranked[self.most][1]
            self.counts = Counter({value: count - cut for value, count in ranked[: self.most]})
            self.error += cut

    def _ranked(self) -> list[tuple[bytes, int]]:
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))

    def _shown(self, values: pa.Array) -> list[bytes]:
        values = values.drop_null()
        try:
            values.cast(pa.large_string())
        except pa.ArrowInvalid:
            values = pa.array(
                [value if _is_text(value) else self.not_text for value in values.to_pylist()], values.type
            )
        shown = values.to_pylist()
        if len(max(shown, key=len, default=b"")) > self.longest:
            shown = [self.too_long if len(value) > self.longest else value for value in shown]
        return shown


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
