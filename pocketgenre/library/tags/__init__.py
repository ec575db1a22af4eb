"""Read, write and restore the genre in a song's tags.

Only the genre changes: all other frames, atoms and comments, and the audio, keep their bytes.
"""
