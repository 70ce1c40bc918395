"""Playback: recorded episodes beat by beat, on a full screen, as text or as a recording; and a seat for a person."""
