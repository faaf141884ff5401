"""The training image whose caption is closest to the prompt: the ceiling of pure memorisation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from baselines.hardware import Hardware
from baselines.training.data import captions_file, read_training_data, read_training_image
from submission import Competition
from submission.hashes import file_sha256
from submission.paths import data_home


class CaptionIndex:
    """Cosine similarity of TF-IDF vectors, by an inverted index.

    The weight of a word in a caption is its count times ln((1 + n) / (1 + n_word)) + 1, and vectors are scaled to
    length 1: the smoothed form of Manning, Raghavan and Schütze, "Introduction to Information Retrieval", section 6.2,
    as scikit-learn's TfidfVectorizer has it by default.
    """

    def __init__(self, captions: Sequence[str]) -> None:
        counts = [Counter(words(caption)) for caption in captions]
        occurrences = Counter(word for count in counts for word in count)
        self._size = len(captions)
        self._idf = {word: float(np.log((1 + self._size) / (1 + n)) + 1) for word, n in occurrences.items()}
        postings = defaultdict[str, list[tuple[int, float]]](list)
        for place, count in enumerate(counts):
            for word, weight in self._vector(count).items():
                postings[word].append((place, weight))
        self._postings: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for word, found in postings.items():
            places, weights = zip(*found, strict=True)
            self._postings[word] = np.array(places), np.array(weights)

    def similarities(self, text: str) -> np.ndarray:
        """Cosine of `text` with each caption, (n,) float64 in [0, 1]; words that no caption has count for nothing."""
        result = np.zeros(self._size)
        for word, weight in self._vector(Counter(words(text))).items():
            places, weights = self._postings[word]
            result[places] += weight * weights
        return result

    def nearest(self, text: str) -> int:
        """The index of the closest caption; of equally close ones the first."""
        # Sums in another order may differ in their last bits: rounding keeps equal captions equal.
        return int(np.argmax(self.similarities(text).round(12)))

    def _vector(self, count: Counter[str]) -> dict[str, float]:
        vector = {word: n * self._idf[word] for word, n in sorted(count.items()) if word in self._idf}
        length = float(np.sqrt(sum(weight**2 for weight in vector.values())))
        return {word: weight / length for word, weight in vector.items()}


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


class Nearest:
    """The image's seed chooses among the frames of the closest entry, which all have the same captions.

    Raises MissingPart when the training data is not on this machine.
    """

    def __init__(self, competition: Competition, hardware: Hardware) -> None:
        folder = data_home() / competition.name
        pairs = [(entry, caption) for entry in read_training_data(folder) for caption in entry.captions]
        self._entries = [entry for entry, _ in pairs]
        self._index = CaptionIndex([caption for _, caption in pairs])
        self._image_size = competition.image_size
        captions = captions_file(folder)
        self.weights = {captions.name: file_sha256(captions)}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int]) -> np.ndarray:
        """(B, H, W, 3) uint8. Raises CompetitionError when a training image cannot be read."""
        return np.stack([self._one(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)])

    def _one(self, prompt: str, seed: int) -> np.ndarray:
        frames = self._entries[self._index.nearest(prompt)].frames
        return read_training_image(frames[seed % len(frames)], self._image_size)
