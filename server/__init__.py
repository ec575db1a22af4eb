"""Classify uploaded songs over HTTP, exactly as the phone does.

It uses the decoder, the features and the model files of :mod:`pocketgenre`. This package only
receives requests, distributes files to worker processes and formats the responses.
"""
