"""Train the network of the standard model: residual convolutions over every third frame.

Neighbouring frames overlap by three quarters, so every third frame still covers nearly all samples.
A network on a third of the frames does a third of the work, and it can be trained on songs of which
only a few frames are available. A segment has three such views: the frames 0, 3, 6 ..., the frames
1, 4, 7 ... and the frames 2, 5, 8 ... The prediction for the segment averages their logits.
"""
