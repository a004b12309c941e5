"""Hints on merged elements, each `check(merge)`: what composes but may not be meant."""
