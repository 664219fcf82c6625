"""Telling people: channels, what they are told, and what is silenced."""
