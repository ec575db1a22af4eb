"""Provide the commands of the library, the only part of it that imports typer and rich."""
