"""The network of the standard model: residual convolutions over every third frame.

Neighbouring frames overlap by three quarters, so every third of them still sees nearly all
samples. A network on a third of the frames is a third of the work, learns from songs of which only
some frames are known, and can be asked three times about a segment: once for the frames 0, 3,
6 ..., once for 1, 4, 7 ... and once for 2, 5, 8 ...
"""
