"""Sound as another microphone would hear it: noise, a room, a telephone; each a function of a seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.signal

from speechtransfer.errors import SettingsError

#: Rooms that an utterance may be heard in; more would be computed (0.1 s each) for little further variety.
_ROOMS = 64
#: Seconds over which a small furnished room's sound decays by 60 dB, from a booth to a bare kitchen.
_DECAYS = (0.1, 0.5)
#: Width, depth and height in metres, and how near to a wall anything stands.
_SIZES, _WALL = ((2.5, 8.0), (2.5, 6.0), (2.3, 3.2)), 0.3
#: Echoes of higher order than this are below the noise and take most of the time.
_ORDER = 17
#: The band that a telephone passes, in Hz (ITU-T G.712).
_TELEPHONE = (300.0, 3400.0)
#: Slopes of a noise's power spectrum, 1 / f ** slope: white (hiss), pink, brown (traffic).
_SLOPES = (0.0, 2.0)


@dataclass(frozen=True)
class Surroundings:
    """How often training sound is changed, each a share of the utterances, other ones each epoch.

    Attributes:
        noise: steady noise of a random colour is added.
        snr: speech over that noise, in dB, at the least and at the most.
        room: heard in one of 64 simulated rooms.
        telephone: passed through a telephone's band.
    """

    noise: float = 0.0
    snr: tuple[float, float] = (5.0, 30.0)
    room: float = 0.0
    telephone: float = 0.0

    @property
    def changes(self) -> bool:
        """Whether any sound is changed."""
        return any((self.noise, self.room, self.telephone))

    def __post_init__(self) -> None:
        """Refuse what is no share and no range.

        Raises:
            SettingsError: naming the value.
        """
        for name in ("noise", "room", "telephone"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name}={getattr(self, name)} must be a share between 0 and 1.")
        if len(self.snr) != 2 or not self.snr[0] <= self.snr[1]:
            raise SettingsError(f"snr={self.snr} must be the least and the most dB.")


def surround(wave: np.ndarray, sample_rate: int, settings: Surroundings, seed: int) -> np.ndarray:
    """Speech (S,) in a room, with noise, over a telephone, in the order in which the world does it.

    Audiomentations draws from the process's own generators, so that a sound would depend on which thread
    asked first; here each item has a generator of its own.

    Returns:
        (S,) float32, in time with ``wave``; the same array where nothing was drawn.
    """
    draw = np.random.default_rng(seed)
    # All are drawn whatever is used, so that one share does not move what another draws.
    chance = draw.random(3)
    room, slope, snr = int(draw.integers(_ROOMS)), draw.uniform(*_SLOPES), draw.uniform(*settings.snr)
    if chance[0] < settings.room:
        wave = in_room(wave, room_response(room, sample_rate))
    if chance[1] < settings.noise:
        wave = add_noise(wave, coloured_noise(len(wave), slope, draw), snr)
    if chance[2] < settings.telephone:
        wave = over_telephone(wave, sample_rate)
    return wave


def coloured_noise(length: int, slope: float, draw: np.random.Generator) -> np.ndarray:
    """(length,) float64 noise whose power falls as 1 / f ** slope (Timmer and Koenig 1995, at this slope)."""
    frequencies = np.arange(length // 2 + 1, dtype=np.float64)
    frequencies[:1] = 1.0
    spectrum = np.fft.rfft(draw.standard_normal(length)) if length else np.zeros(1)
    return np.fft.irfft(spectrum * frequencies ** (-slope / 2), length) if length else np.zeros(0)


def add_noise(wave: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """(S,) speech with (S,) noise at ``snr`` dB below its mean power; silence stays as it is."""
    speech, other = float(np.square(wave, dtype=np.float64).mean()), float(np.square(noise).mean())
    if not speech or not other:
        return wave
    noisy: np.ndarray = wave + noise * np.sqrt(speech / other / 10 ** (snr / 10))
    return noisy.astype(np.float32)


def over_telephone(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """(S,) through a Butterworth band-pass of fourth order, there and back, so that no phase turns."""
    high = min(_TELEPHONE[1], 0.45 * sample_rate)
    sections = scipy.signal.butter(4, (_TELEPHONE[0], high), "bandpass", fs=sample_rate, output="sos")
    passed: np.ndarray = scipy.signal.sosfiltfilt(sections, wave, padlen=0)
    return passed.astype(np.float32)


def in_room(wave: np.ndarray, response: np.ndarray) -> np.ndarray:
    """(S,) as a room returns it, in time with the sound itself and of the same mean power."""
    heard: np.ndarray = scipy.signal.fftconvolve(wave, response)[: len(wave)]
    power = float(np.square(heard).mean())
    if not power:
        return wave
    heard = heard * np.sqrt(np.square(wave, dtype=np.float64).mean() / power)
    return heard.astype(np.float32)


@lru_cache(maxsize=4 * _ROOMS)
def room_response(number: int, sample_rate: int) -> np.ndarray:
    """Impulse response of one of the rooms, from its direct sound on: a box by the image-source method.

    Allen and Berkley 1979, "Image method for efficiently simulating small-room acoustics".
    """
    import pyroomacoustics  # slow to import, and few trainings need it

    draw = np.random.default_rng(number)
    size = [draw.uniform(*limits) for limits in _SIZES]
    # Sabine's formula has no wall that absorbs enough for a short decay in a large room: such a room is dead.
    try:
        absorption, _ = pyroomacoustics.inverse_sabine(draw.uniform(*_DECAYS), size)
    except ValueError:
        absorption = 1.0
    material = pyroomacoustics.Material(min(absorption, 1.0))
    room = pyroomacoustics.ShoeBox(size, fs=sample_rate, materials=material, max_order=_ORDER)
    speaker, microphone = ([draw.uniform(_WALL, side - _WALL) for side in size] for _ in range(2))
    room.add_source(speaker)
    room.add_microphone(microphone)
    room.compute_rir()
    response: np.ndarray = room.rir[0][0]
    return response[int(np.argmax(np.abs(response))) :]
