"""A music library as a whole: what is in it, what each song is, and what to do with that.

From the files to the catalogue (:mod:`~pocketgenre.library.scan`), and from the catalogue to
lists, playlists, reports and tags. The catalogue keeps what the network said of each segment, so
every label can be made anew, by another vote or another threshold, without listening again.
"""
