"""Everything that runs on the phone: decoder, MFCC, TFLite classifier, vote.

Nothing here imports TensorFlow, librosa, ``training``, ``export`` or ``server``;
outside ``mobile_demo.cli`` the only third-party imports are NumPy, the decoders
(soundfile, soxr, PyAV) and a TFLite runtime.
"""

__version__ = "0.1.0"
