"""Figures that the documentation states, measured again: each module is a command that prints them."""
