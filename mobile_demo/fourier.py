"""Power spectra of many frames by two matrix products.

NumPy's FFT works on one number at a time, its matrix product on as many as the
processor's vector registers and cores hold. Split as Cooley and Tukey (1965) split it,
N = A * B, a Fourier transform *is* two batches of small matrix products: more arithmetic,
and yet as fast, on a busy machine faster (``docs/benchmarks.md``).
It also computes in float32 whatever the NumPy version, where NumPy 1's FFT does not.

With n = B*i + j (i < A, j < B) and k = p + A*q (p < A, q < B)::

    inner[p, j]  = sum_i x[B*i + j] * exp(-2j*pi * i*p / A)
    X[p + A*q]   = sum_j inner[p, j] * exp(-2j*pi * j*k / N)

The input is real, so p = 0 .. A/2 is enough: the other bins are mirror images. And
because exp(-2j*pi * (i + A/2)*p / A) is exp(-2j*pi * i*p / A) for even p and its negative
for odd p, the first product needs only sums (even p) and differences (odd p) of the two
halves of a frame. The same holds for the second product and q, if what comes from j >= B/2
is turned by exp(-1j*pi * p / A) before: which the first product's matrix does on the way.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class PowerSpectrum:
    """Plan for ``|rfft(frame)|**2`` of ``n_frames`` frames at a time.

    It owns its work space, since allocating 4 MB anew for each segment costs more than
    the arithmetic; so one plan must not be used by two threads at once.

    Attributes
    ----------
    sums, differences : float32 [shape=(n_fft // 2, n_frames)]
        of the two halves of the frames: what :meth:`of_halves` begins with

    Parameters
    ----------
    n_fft : power of two, >= 16 [samples]
    n_frames : number of frames of each call
    """

    def __init__(self, n_fft: int, n_frames: int) -> None:
        outer = 1 << (n_fft.bit_length() // 2)  # A: 64 of 2048 = 64 * 32
        inner = n_fft // outer  # B
        even = np.arange(0, outer // 2 + 1, 2)
        odd = np.arange(1, outer // 2 + 1, 2)
        # For the columns j < B/2 and for the others.
        self._even = [_first_product(even, outer, turn) for turn in (0.0, 0.5)]
        self._odd = [_first_product(odd, outer, turn) for turn in (0.0, 0.5)]
        p = np.concatenate([even, odd])
        q = np.arange(inner).reshape(-1, 2).T  # the even ones, the odd ones
        k = p[:, np.newaxis] + outer * q[:, np.newaxis]  # (2, p, B/2)
        self._second = _second_product(k, n_fft)
        # Where each of the bins 0 .. n_fft/2 stands, itself or its mirror image, in k's order.
        bins = np.minimum(k, n_fft - k).ravel()
        self._order = np.unique(bins, return_index=True)[1]

        f32 = np.float32
        self.sums = np.empty((n_fft // 2, n_frames), f32)
        self.differences = np.empty((n_fft // 2, n_frames), f32)
        self._turned = np.empty((2, 2 * len(p), inner // 2 * n_frames), f32)
        self._inner = np.empty((2, len(p), inner, n_frames), f32)
        self._spectrum = self._turned.reshape(self._inner.shape)  # which is done with by then
        self._power = np.empty((2, len(p), inner // 2, n_frames), f32)
        self._ordered = np.empty((n_fft // 2 + 1, n_frames), f32)

    def __call__(self, frames: FloatArray) -> FloatArray:
        """Power of each bin of each frame.

        Parameters
        ----------
        frames : float32 [shape=(n_fft, n_frames)], C-contiguous, windowed

        Returns
        -------
        float32 [shape=(1 + n_fft // 2, n_frames)]
            the plan's own buffer, overwritten by the next call.
        """
        first, second = np.split(frames, 2)
        np.add(first, second, out=self.sums)
        np.subtract(first, second, out=self.differences)
        return self.of_halves()

    def of_halves(self) -> FloatArray:
        """The same, once :attr:`sums` and :attr:`differences` are filled."""
        evens = len(self._even[0])
        self._multiply(self._even, self.sums, slice(evens))
        self._multiply(self._odd, self.differences, slice(evens, None))

        early, late = self._turned.reshape(2, *self._inner.shape[1:])
        np.add(early, late, out=self._inner[0])
        np.subtract(early, late, out=self._inner[1])
        np.matmul(self._second, self._inner, out=self._spectrum)
        np.square(self._spectrum, out=self._spectrum)
        real, imaginary = np.split(self._spectrum, 2, axis=2)
        np.add(real, imaginary, out=self._power)
        rows = self._power.reshape(-1, self._power.shape[3])
        # mode="clip": the default one would buffer the output to check the indices first.
        return np.take(rows, self._order, axis=0, out=self._ordered, mode="clip")

    def _multiply(self, matrices: list[FloatArray], half: FloatArray, rows: slice) -> None:
        columns = half.reshape(matrices[0].shape[1], 2, -1)
        for part, matrix in enumerate(matrices):
            np.matmul(matrix, columns[:, part], out=self._turned[part, rows])


def _first_product(p: NDArray[np.int_], outer: int, turn: float) -> FloatArray:
    """Rows (real, imaginary) for each p, columns i = 0 .. A/2 - 1."""
    angles = -2.0 * np.pi * np.outer(p, np.arange(outer // 2) + turn) / outer
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return rows.reshape(2 * len(p), outer // 2).astype(np.float32)


def _second_product(k: NDArray[np.int_], n_fft: int) -> FloatArray:
    """For each parity of q and each p, the complex (B/2, B/2) matrix as a real one.

    Which is [[re, -im], [im, re]].
    """
    angles = -2.0 * np.pi * k[..., np.newaxis] * np.arange(k.shape[2]) / n_fft
    re, im = np.cos(angles), np.sin(angles)
    matrix = np.concatenate(
        [np.concatenate([re, -im], axis=3), np.concatenate([im, re], axis=3)], axis=2
    )
    return matrix.astype(np.float32)
