"""musicnn, a network that has learned from 200,000 songs, as what ours starts from.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging"
(2019). Its weights come with the package ``musicnn`` 0.1.0, under the ISC licence; the package's
code (TensorFlow 1) is not run.
"""
