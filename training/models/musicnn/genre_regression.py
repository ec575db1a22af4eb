"""Fit a logistic regression from features to genres, and to the label ``not-music``."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_INVERSE_REGULARIZATION = 1e-3  # C of scikit-learn; 0.0005 is not better (results/accuracy.md)
_SHARPENING = 2  # power of the pseudo-labels, the inverse of a temperature of 0.5
_MIN_SHARE = 0.01  # smaller shares of a pseudo-label are left out, to save time
_MUSIC_WEIGHT = 0.5  # total weight of music of unknown genre, relative to that of a genre


@dataclass(frozen=True, eq=False)
class OtherSegments:
    """Segments without a genre.

    Attributes
    ----------
    features : float32 [shape=(n, features)]
    is_music : bool [shape=(n,)], False for segments that are not music
    weights : weight of each segment, float64 [shape=(n,)]
    """

    features: FloatArray
    is_music: NDArray[np.bool_]
    weights: NDArray[np.float64]


def fit_regression(
    features: FloatArray, targets: IntArray, others: OtherSegments | None = None
) -> tuple[FloatArray, FloatArray]:
    """Fit a logistic regression in which all labels have the same total weight.

    A first regression predicts the genres of music of unknown genre. The second regression is
    trained on the sharpened predictions too, so that such music isn't classified as ``not-music``.
    This is self-training: Lee, "Pseudo-Label" (2013); Berthelot et al., "MixMatch" (2019).

    Parameters
    ----------
    features : features of the segments of known genre, float32 [shape=(n, features)]
    targets : genre of each segment, int64 [shape=(n,)]; each of 0 to genres - 1 occurs
    others : segments without a genre, which add the label ``not-music`` after the genres;
        None without this label

    Returns
    -------
    kernel, bias : float32 [shape=(features, labels)], [shape=(labels,)]
    """
    scaler = StandardScaler().fit(features)
    rows = scaler.transform(features)
    weights = compute_sample_weight("balanced", targets)
    regression = _regression().fit(rows, targets, weights)
    if others is not None:
        genres = len(regression.classes_)
        genre_weight = len(targets) / genres
        music = scaler.transform(others.features[others.is_music])
        shares = regression.predict_proba(music) ** _SHARPENING
        shares /= shares.sum(axis=1, keepdims=True)
        segment, genre = np.nonzero(shares >= _MIN_SHARE)
        music_weights = others.weights[others.is_music][segment] * shares[segment, genre]
        not_music = scaler.transform(others.features[~others.is_music])
        not_music_weights = others.weights[~others.is_music]
        regression = _regression().fit(
            np.concatenate([rows, music[segment], not_music]),
            np.concatenate([targets, genre, np.full(len(not_music), genres)]),
            np.concatenate(
                [
                    weights,
                    _with_total(music_weights, _MUSIC_WEIGHT * genre_weight),
                    _with_total(not_music_weights, genre_weight),
                ]
            ),
        )
    coefficients, intercept = regression.coef_, regression.intercept_
    if len(coefficients) == 1:  # two labels: the softmax of plus and minus half the logit
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercept = np.append(-intercept, intercept) / 2
    kernel = coefficients.T / scaler.scale_[:, np.newaxis]
    bias = intercept - scaler.mean_ @ kernel
    return kernel.astype(np.float32), bias.astype(np.float32)


def _regression() -> LogisticRegression:
    return LogisticRegression(C=_INVERSE_REGULARIZATION, max_iter=3_000)


def _with_total(weights: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = weights / weights.sum() * total
    return scaled
