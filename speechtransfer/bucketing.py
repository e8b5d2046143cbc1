"""Groups of like length, so that little of a padded batch is padding."""

from __future__ import annotations

from collections.abc import Sequence

#: Share of a training batch that may be padding.
MOST_WASTE = 0.02


def bucket(sizes: Sequence[float], most: float, waste: float = MOST_WASTE) -> list[list[int]]:
    """Group items of like size: no group over ``most`` when padded, all together at most ``waste`` padding.

    Within that the groups are as full as one cap a group allows: lengths are sparse among long
    utterances, where a tight cap for each group would leave most of them alone in theirs.

    Returns:
        Indices; every item once.
    """
    caps = [waste * step / 4 for step in range(16, 4, -1)]
    trials = (_bucket(sizes, most, cap) for cap in caps)
    return next((groups for groups in trials if padding_waste(groups, sizes) <= waste), _bucket(sizes, most, waste))


def _bucket(sizes: Sequence[float], most: float, cap: float) -> list[list[int]]:
    """From the longest down, so that the first of a group is what the others are padded to."""
    order = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
    groups: list[list[int]] = []
    longest = total = 0.0
    for index in order:
        padded = longest * (len(groups[-1]) + 1) if groups else 0.0
        # The rounding of sums must not part equal lengths; a sample more or less is far above it.
        if groups and padded <= most and padded - (total + sizes[index]) <= (cap + 1e-9) * padded:
            groups[-1].append(index)
            total += sizes[index]
        else:
            groups.append([index])
            longest = total = sizes[index]
    return groups


def padding_waste(groups: Sequence[Sequence[int]], sizes: Sequence[float]) -> float:
    """Share of padded batches that is padding, over all groups."""
    padded = sum(max(sizes[index] for index in group) * len(group) for group in groups)
    return 1 - sum(sizes[index] for group in groups for index in group) / padded if padded else 0.0
