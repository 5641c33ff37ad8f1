"""Print the polynomials of rust/kernels/src/math/{exp,log,tanh}.rs: minimax fits in 50 digits (needs mpmath)."""

from collections.abc import Callable

from mpmath import atanh, cos, exp, lu_solve, matrix, mp, mpf, nstr, pi, sqrt, tanh

mp.dps = 50
Function = Callable[[mpf], mpf]
NODES = 400


def fit(target: Function, basis: list[Function], low: mpf, high: mpf, rounds: int = 60) -> tuple[list[mpf], mpf]:
    """Lawson's algorithm: least squares whose weights follow the error, until it is level."""
    n = len(basis)
    points = [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / NODES) for i in range(NODES)]
    rows = [[b(x) for b in basis] for x in points]
    values = [target(x) for x in points]
    weights = [mpf(1)] * NODES
    best: tuple[list[mpf], mpf] = ([], mpf("inf"))
    for _ in range(rounds):
        normal, right = matrix(n, n), matrix(n, 1)
        for weight, row, value in zip(weights, rows, values, strict=True):
            if weight > mpf(10) ** -25:
                for j in range(n):
                    right[j] += weight * row[j] * value
                    for k in range(n):
                        normal[j, k] += weight * row[j] * row[k]
        solution = lu_solve(normal, right)
        coefficients = [solution[j] for j in range(n)]
        errors = [
            abs(value - sum(c * b for c, b in zip(coefficients, row, strict=True)))
            for row, value in zip(rows, values, strict=True)
        ]
        if max(errors) < best[1]:
            best = (coefficients, max(errors))
        total = sum(w * e for w, e in zip(weights, errors, strict=True))
        weights = [w * e / total for w, e in zip(weights, errors, strict=True)]
    return best


def over_exp(power: int) -> Function:
    """r^power relative to exp(r)."""
    return lambda r: r**power / exp(r)


def main() -> None:
    """Print each fit's coefficients, lowest power first, and its error in halves of the last place of 1."""
    half_log_2 = mpf("0.34658")  # ln 2 / 2 and what the rounding of n adds to it
    for name, degree, digits in (("exp32", 6, 24), ("exp64", 11, 53)):
        basis = [over_exp(j) for j in range(2, degree + 1)]
        c, error = fit(lambda r: 1 - (1 + r) / exp(r), basis, -half_log_2, half_log_2)
        print(name, nstr(error * mpf(2) ** digits, 3), [float(v) for v in c])
    largest = (sqrt(2) - 1) ** 4 * mpf("1.0000001")  # s^2 at 1 + f = sqrt(2)
    basis = [lambda z, j=j: z**j / 2 for j in range(1, 8)]
    c, error = fit(lambda z: atanh(sqrt(z)) / sqrt(z) - 1, basis, mpf("1e-12"), largest)
    print("log64", nstr(error * mpf(2) ** 53, 3), [float(v) for v in c])
    basis = [lambda u, j=j: u**j * sqrt(u) / tanh(sqrt(u)) for j in range(1, 6)]
    c, error = fit(lambda u: 1 - sqrt(u) / tanh(sqrt(u)), basis, mpf("1e-9"), mpf("0.36"))
    print("tanh32", nstr(error * mpf(2) ** 24, 3), [float(v) for v in c])


if __name__ == "__main__":
    main()
