"""CPU of describing one second of vibration at 25.6 kHz, beside the same numbers taken one by one.

Ours is ``edge.features.describe``: shape, velocity, band energies, kurtogram and three envelope spectra with the combs
of all bearing parts, from one Fourier transform. The rival is what is written first: each number from the samples, by
its textbook definition in plain numpy, every band filtered and every envelope made at the full rate, by transforms of
its own. Both must give the same numbers. They take turns on the same snapshots (strikes of an outer race in noise, one
snapshot a seed), and each figure is the median of its rounds. About ten seconds.

    python tests/bench/features.py --rounds 30
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

# One thread: what a gateway has left. Before numpy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from edge.features.bearing import Bearing, Place
from edge.features.comb import combs
from edge.features.describe import BAND_EDGES_HZ, ENVELOPE_FROM_HZ, describe, orders_wanted
from edge.features.envelope import BANDS, EnvelopeSpectrum
from edge.features.spectrum import Array

RATE_HZ, SIZE = 25_600.0, 25_600
RPM = 1772.0
BEARING = Bearing(balls=9, ball_mm=7.94, pitch_mm=39.04)
GOAL_MS = 4.0
SEEDS = (1, 2, 3, 4, 5)
TIME = np.arange(SIZE) / RATE_HZ


def snapshot(seed: int) -> Array:
    """Strikes of an outer race that ring at 4.2 kHz, in noise of their own power, with unbalance; in g."""
    rng = np.random.default_rng(seed)
    hz = BEARING.bpfo * RPM / 60.0
    since = np.mod(TIME + rng.uniform(0.0, 1.0 / hz), 1.0 / hz)
    x = np.exp(-900.0 * since) * np.sin(2.0 * np.pi * 4200.0 * since)
    noise = rng.standard_normal(SIZE) * x.std()
    return np.asarray(x + noise + 0.1 * np.sin(2.0 * np.pi * RPM / 60.0 * TIME), dtype=np.float32)


def ours(x: Array) -> dict[str, float]:
    return dict(describe(x, rate_hz=RATE_HZ, unit="g", bearing=BEARING, speed_rpm=RPM).features)


def one_by_one(samples: Array) -> dict[str, float]:
    x = 9.80665 * np.asarray(samples, dtype=np.float64)
    x = x - x.mean()
    found = {
        "rms_m_s2": float(np.sqrt(np.mean(x**2))),
        "peak_m_s2": float(np.max(np.abs(x))),
        "crest_factor": float(np.max(np.abs(x)) / np.sqrt(np.mean(x**2))),
        "kurtosis": float(np.mean(x**4) / np.mean(x**2) ** 2),
        "skewness": float(np.mean(x**3) / np.mean(x**2) ** 1.5),
        "velocity_rms_mm_s": _velocity(x),
    }
    edges = [edge for edge in BAND_EDGES_HZ if edge <= 0.42 * RATE_HZ]
    for low, high in pairwise(edges):
        found[f"band_{low:g}_{high:g}_hz_m_s2"] = float(np.sqrt(np.mean(_filtered(x, low, high).real ** 2)))
    shaft_hz = RPM / 60.0
    low_hz, high_hz, kurtosis = _kurtogram(x, orders_wanted(BEARING) * shaft_hz)
    found |= {"spectral_kurtosis": kurtosis, "band_low_hz": low_hz, "band_high_hz": high_hz}
    for kind, low, high in (("broad", ENVELOPE_FROM_HZ, RATE_HZ), ("band", low_hz, high_hz)):
        squared = np.abs(_filtered(x, low, high)) ** 2
        lines = 2.0 * np.abs(np.fft.rfft(squared)) / squared.sum()
        lines[0] = 0.0
        envelope = EnvelopeSpectrum(1.0, lines[: int(orders_wanted(BEARING) * shaft_hz) + 1])
        for place, comb in combs({kind: envelope}, shaft_hz, BEARING)[kind].items():
            found[f"{kind}_{place}_height"] = comb.height
    return found


def _filtered(x: Array, low_hz: float, high_hz: float) -> np.ndarray:
    """The analytic signal of a band, at the full rate."""
    hz = np.fft.fftfreq(x.size, 1.0 / RATE_HZ)
    return np.asarray(np.fft.ifft(np.where((hz >= low_hz) & (hz < high_hz), 2.0 * np.fft.fft(x), 0.0)))


def _velocity(x: Array) -> float:
    window = np.hanning(x.size + 1)[:-1]
    bins = np.fft.fft(x * window)
    hz = np.abs(np.fft.fftfreq(x.size, 1.0 / RATE_HZ))
    inside = (hz >= 10.0) & (hz <= 1000.0)
    velocity = np.fft.ifft(np.where(inside, bins / (2j * math.pi * np.maximum(hz, 1e-9)), 0.0))
    return 1000.0 * float(np.sqrt(np.mean(np.abs(velocity) ** 2) / np.mean(window**2)))


def _kurtogram(x: Array, width_min_hz: float) -> tuple[float, float, float]:
    best, top = (ENVELOPE_FROM_HZ, RATE_HZ / 2.0, 0.0), 0.0
    for bands in BANDS:
        width_hz = SIZE // 2 // bands * RATE_HZ / SIZE
        if width_hz < width_min_hz:
            break
        for band in range(math.ceil(ENVELOPE_FROM_HZ / width_hz), bands):
            power = np.abs(_filtered(x, band * width_hz, (band + 1) * width_hz)) ** 2
            kurtosis = float(np.mean(power**2) / np.mean(power) ** 2 - 2.0)
            if kurtosis - 6.0 / math.sqrt(width_hz) > top:
                top = kurtosis - 6.0 / math.sqrt(width_hz)
                best = (band * width_hz, (band + 1) * width_hz, kurtosis)
    return best


def agree(x: Array) -> int:
    """How many numbers both give; they are the same. Raises ``AssertionError``.

    Not compared is the kurtogram's choice: a band's kurtosis at its own low rate is noisier than at the full rate, and
    of two neighbours that both hold the strikes either may win.
    """
    mine, theirs = ours(x), one_by_one(x)
    choice = {"spectral_kurtosis", "band_low_hz", "band_high_hz", *(f"band_{place}_height" for place in Place)}
    for name, value in theirs.items():
        if name not in choice:
            close = math.isclose(mine[name], value, rel_tol=5e-3, abs_tol=0.02)
            assert close, f"{name}: {mine[name]} and {value}"
    return len(theirs)


def cpu_ms(work: Callable[[Array], object], x: Array) -> float:
    gc.collect()
    started = time.process_time_ns()
    work(x)
    return (time.process_time_ns() - started) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each way on each snapshot (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments = parser.parse_args()
    mine, theirs = [], []
    for seed in SEEDS:
        x = snapshot(seed)
        same = agree(x)
        took: list[tuple[float, float]] = []
        for _ in range(arguments.rounds):
            took.append((cpu_ms(ours, x), cpu_ms(one_by_one, x)))  # noqa: PERF401
        mine.append(statistics.median(t for t, _ in took))
        theirs.append(statistics.median(t for _, t in took))
    names = len(ours(snapshot(1)))
    channel_ms, naive_ms = statistics.mean(mine), statistics.mean(theirs)
    if arguments.json:
        print(json.dumps({
            "channel_ms": round(channel_ms, 3), "channel_ms_sd": round(statistics.stdev(mine), 3), "goal_ms": GOAL_MS,
            "naive_ms": round(naive_ms, 3), "features": names, "naive_features": same, "seeds": SEEDS,
        }))  # fmt: skip
        return
    print(f"one channel, {SIZE} samples at {RATE_HZ:g} Hz; CPU, medians of {arguments.rounds} rounds; seeds {SEEDS}")
    print(f"  one by one, at the full rate  {naive_ms:8.2f} ms  ± {statistics.stdev(theirs):.2f}  {same} numbers")
    print(f"  described, one transform      {channel_ms:8.2f} ms  ± {statistics.stdev(mine):.2f}  {names} numbers")
    print(f"naive_ratio={naive_ms / channel_ms:.1f}")
    print(f"channel_ms={channel_ms:.2f}")


if __name__ == "__main__":
    main()
