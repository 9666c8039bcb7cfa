"""The assignment problem: pairs of rows and columns with the least sum of costs.

Shortest augmenting paths after Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear
assignment problems", Computing 38 (1987).
"""

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64], limit: float) -> list[tuple[int, int]]:
    """Pair rows with columns so that the sum of costs is least; a pair costing more than ``limit`` is left apart.

    Args:
        cost: ``[rows, columns]``, finite.
        limit: leaving a row without a column costs this much.

    Returns:
        Pairs (row, column), each row and column at most once.
    """
    rows, columns = cost.shape
    if rows == 0 or columns == 0:
        return []
    # One more column for each row, at the price of staying alone: then every row can be matched.
    alone = np.full((rows, rows), np.inf)
    np.fill_diagonal(alone, limit)
    padded = np.hstack([np.where(cost <= limit, cost, np.inf), alone])
    owner = _solve(padded)
    return sorted((int(owner[column]), column) for column in range(columns) if owner[column] >= 0)


def _solve(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The row of each column (-1: none), with every row matched."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1, np.int64)
    for start in range(rows):
        distance = np.full(columns, np.inf)
        came_from = np.full(columns, -1, np.int64)
        done = np.zeros(columns, bool)
        row, reached, column = start, 0.0, -1
        while True:
            along = reached + cost[row] - row_price[row] - column_price
            better = ~done & (along < distance)
            distance[better] = along[better]
            came_from[better] = row
            column = int(np.argmin(np.where(done, np.inf, distance)))
            reached = float(distance[column])
            if owner[column] < 0:
                break
            done[column] = True
            row = int(owner[column])
        # Prices move so that every pair on a shortest path costs nothing.
        row_price[start] += reached
        passed = np.flatnonzero(done)
        row_price[owner[passed]] += reached - distance[passed]
        column_price[passed] -= reached - distance[passed]
        while True:
            row = int(came_from[column])
            if row == start:
                owner[column] = row
                break
            previous = int(np.flatnonzero(owner == row)[0])
            owner[column] = row
            column = previous
    return owner
