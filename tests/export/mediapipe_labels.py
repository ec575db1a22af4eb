"""Run by the MediaPipe environment's Python: what its AudioClassifier says of audio.

``mediapipe_labels.py MODEL SAMPLES.npz`` prints, for each array of samples at 22,050 Hz, the
probabilities of each 3 s by genre.
"""

import json
import sys

import numpy as np
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import audio
from mediapipe.tasks.python.components import containers

RATE = 22_050

options = audio.AudioClassifierOptions(base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]))
answers = {}
with (
    audio.AudioClassifier.create_from_options(options) as classifier,
    np.load(sys.argv[2]) as songs,
):
    for name in songs.files:
        data = containers.AudioData.create_from_array(songs[name], RATE)
        answers[name] = [
            {c.category_name: c.score for c in result.classifications[0].categories}
            for result in classifier.classify(data)
        ]
json.dump(answers, sys.stdout)
