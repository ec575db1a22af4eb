"""Demonstration of the scanner on synthetic songs; the phone page is in ``mobile_demo/web``."""
