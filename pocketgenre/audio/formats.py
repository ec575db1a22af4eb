"""List the file name suffixes by which songs are found."""

SONG_SUFFIXES = frozenset(
    {".aac", ".aif", ".aifc", ".aiff", ".flac", ".m4a", ".m4b", ".m4p", ".mka", ".mp3", ".mp4"}
    | {".oga", ".ogg", ".opus", ".wav", ".webm", ".wma"}
)
"""Suffixes in lower case. How a file is decoded depends on its content, not on its suffix."""
