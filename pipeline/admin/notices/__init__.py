"""Telling people: notices, channels and silences."""
