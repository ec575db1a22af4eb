"""The commands of the phone's side. Only here are typer and rich imported."""
