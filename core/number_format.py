"""Numbers for people to read."""

_MOST = 15


def shown(value: float, commas: bool = False, least: int = 6) -> str:
    """Formats a number with `least` significant digits, or with all digits before the point if there are more; with an
    exponent beyond 15 digits."""
    if isinstance(value, int):
        return f"{value:,}" if commas else str(value)
    whole = len(f"{abs(value):.0f}") if abs(value) < 10**_MOST else least
    return f"{value:{',' if commas else ''}.{max(whole, least)}g}"
