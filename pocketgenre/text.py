"""Format text for people."""


def printable(text: str) -> str:
    """Escape control characters and invalid UTF-8, which file names may contain."""
    if text.isprintable():  # as nearly all names; surrogates are not printable
        return text
    text = encode_escaped(text).decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def encode_escaped(text: str) -> bytes:
    """Encode text as UTF-8, and escape surrogates, which file names may contain."""
    return text.encode("utf-8", "backslashreplace")


def count_of(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: ``1 song``, ``2,000 songs``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
