"""Classify audio with MediaPipe's AudioClassifier, in the MediaPipe environment.

``mediapipe_labels.py MODEL SAMPLES.npz`` prints the probabilities by genre of each 3 s segment,
for each array of samples at 22,050 Hz.
"""

import json
import sys

import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import audio
from mediapipe.tasks.python.components import containers

RATE = 22_050

options = audio.AudioClassifierOptions(base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]))
probabilities = {}
with (
    audio.AudioClassifier.create_from_options(options) as classifier,
    np.load(sys.argv[2]) as songs,
):
    for name in songs.files:
        data = containers.AudioData.create_from_array(songs[name], RATE)
        probabilities[name] = [
            {c.category_name: c.score for c in result.classifications[0].categories}
            for result in classifier.classify(data)
        ]
json.dump(probabilities, sys.stdout)
