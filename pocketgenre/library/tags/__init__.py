"""The genre in a song's own tags: read, written to a whole new copy, and brought back.

Nothing but the genre changes: every other frame, atom or comment is carried over as the bytes it
was, and so is the audio.
"""
