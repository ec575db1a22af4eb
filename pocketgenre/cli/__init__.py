"""Provide the commands. Only here are typer and rich imported."""
