"""Train a genre classifier on musicnn, a network pretrained on 200,000 songs.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging"
(2019). The weights come with the package ``musicnn`` 0.1.0, under the ISC licence; the code of
that package, for TensorFlow 1, is not used.
"""
