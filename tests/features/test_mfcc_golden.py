"""Golden values: what a port to another language can be checked against without librosa."""

import numpy as np

from pocketgenre.features.mfcc import mfcc


def chirp() -> np.ndarray:
    """100 Hz rising by 100 Hz a second, half scale, one segment."""
    t = np.arange(66_150) / 22_050
    return (0.5 * np.sin(2 * np.pi * (100 * t + 50 * t**2))).astype(np.float32)


# librosa 0.11.0: librosa.feature.mfcc(y=chirp(), sr=22050, n_mfcc=13, n_fft=2048, hop_length=512)
GOLDEN = {
    0: [
        -346.7689,
        172.3693,
        75.3375,
        32.4494,
        33.5863,
        29.0465,
        18.5966,
        16.4152,
        14.8538,
        10.384,
        8.9167,
        8.374,
        5.8952,
    ],
    1: [
        -384.4104,
        145.9961,
        86.0002,
        42.2585,
        30.2646,
        30.5261,
        25.5319,
        17.932,
        14.828,
        14.1799,
        11.7094,
        8.6932,
        7.4581,
    ],
    64: [
        -479.5815,
        39.2944,
        36.2298,
        31.3185,
        24.8421,
        17.1694,
        8.7336,
        0.0056,
        -8.5354,
        -16.4305,
        -23.2683,
        -28.7083,
        -32.4995,
    ],
    129: [
        -247.2017,
        206.8813,
        32.0635,
        20.2571,
        3.7073,
        -8.5066,
        -12.8659,
        -18.8888,
        -17.2873,
        -17.1226,
        -12.3411,
        -8.5921,
        -3.4634,
    ],
}


def test_chirp_gives_librosas_numbers() -> None:
    features = mfcc(chirp())
    for frame, coefficients in GOLDEN.items():
        np.testing.assert_allclose(features[frame], coefficients, atol=1e-3)
