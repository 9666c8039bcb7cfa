"""Fewer points for the same line: Largest-Triangle-Three-Buckets.

Sveinn Steinarsson, *Downsampling Time Series for Visual Representation*, Master's thesis, University of Iceland, 2013,
section 4.2. The first and the last point stay. What lies between is cut into buckets of equally many points; each gives
the point that makes the largest triangle with the one chosen before it and the mean of the bucket after it.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def chosen(times: Floats, values: Floats, count: int) -> npt.NDArray[np.intp]:
    """Indices, rising, of the ``count`` points to draw; of all where there are no more.

    Args:
        times: rising, any unit, shape (n,).
        values: finite, shape (n,).
        count: at least 3.
    """
    number = len(times)
    if number <= count:
        return np.arange(number)
    width = (number - 2) / (count - 2)
    edges = (np.arange(count - 1) * width).astype(np.intp) + 1
    edges[-1] = number - 1
    sizes = np.diff(edges)
    middle_times = np.append(np.add.reduceat(times[:-1], edges[:-1]) / sizes, times[-1])
    middle_values = np.append(np.add.reduceat(values[:-1], edges[:-1]) / sizes, values[-1])
    found = np.empty(count, dtype=np.intp)
    found[0], found[-1] = 0, number - 1
    at = 0
    for bucket in range(count - 2):
        begin, end = edges[bucket], edges[bucket + 1]
        across, up = middle_times[bucket + 1] - times[at], middle_values[bucket + 1] - values[at]
        areas = np.abs(across * (values[begin:end] - values[at]) - (times[begin:end] - times[at]) * up)
        at = begin + int(np.argmax(areas))
        found[bucket + 1] = at
    return found


def with_extremes(times: Floats, values: Floats, count: int) -> npt.NDArray[np.intp]:
    """As ``chosen``, and besides the least and the greatest value, whether their triangles are large or not: a chart
    that explains a warning must not hide its peak."""
    if len(times) <= count:
        return np.arange(len(times))
    return np.unique(np.append(chosen(times, values, count), [np.argmin(values), np.argmax(values)]))
