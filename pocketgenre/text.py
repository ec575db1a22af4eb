"""Text that comes from files, made fit to be shown."""


def printable(text: str) -> str:
    """A file's name as a person may see it: odd bytes and control characters escaped."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun: "1 song", "2,497 songs"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
