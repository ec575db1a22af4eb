"""Manage a music library: scan it, list it, and write playlists, reports and tags.

A scan (:mod:`pocketgenre.library.scan`) stores the probabilities of each segment in the catalogue
(:mod:`pocketgenre.library.catalog`). Labels by another vote rule or threshold are computed from
the catalogue, without decoding a file.
"""
