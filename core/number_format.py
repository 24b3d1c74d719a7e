"""Numbers as people read them."""

_MOST = 15


def shown(value: float, commas: bool = False, least: int = 6) -> str:
    """A number with `least` digits, or all that it has before the point; beyond 15 digits with an exponent."""
    if isinstance(value, int):
        return f"{value:,}" if commas else str(value)
    whole = len(f"{abs(value):.0f}") if abs(value) < 10**_MOST else least
    return f"{value:{',' if commas else ''}.{max(whole, least)}g}"
