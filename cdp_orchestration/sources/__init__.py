"""Connectors in. One file is one kind of source; base.py says what a kind must do."""
