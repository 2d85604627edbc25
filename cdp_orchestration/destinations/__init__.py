"""Connectors out. One file is one kind of destination; base.py says what a kind must do."""
