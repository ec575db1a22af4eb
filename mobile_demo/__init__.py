"""Demonstrate a scan on synthetic songs; the phone page is in ``mobile_demo/web``."""
