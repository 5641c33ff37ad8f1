//! Quantiles to stand on until `crate::math` has them; right to about 1e-10, and slow.
#![allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod normal {
    pub fn quantile(p: f64) -> f64 {
        let (mut a, mut b) = (-40.0, 40.0);
        for _ in 0..200 {
            let m = (a + b) / 2.0;
            if super::simpson_norm(m) < p { a = m } else { b = m }
        }
        (a + b) / 2.0
    }
}
fn simpson_norm(x: f64) -> f64 {
    if x > 0.0 {
        return 1.0 - simpson_norm(-x);
    }
    0.5 * libm::erfc(-x / 2f64.sqrt())
}
pub mod student_t {
    pub fn quantile(p: f64, df: f64) -> f64 {
        // via beta
        let x = super::beta::quantile(2.0 * p, df / 2.0, 0.5);
        -(df * (1.0 - x) / x).sqrt()
    }
}
pub mod beta {
    pub fn cdf(x: f64, a: f64, b: f64) -> f64 {
        if x <= 0.0 {
            return 0.0;
        }
        if x >= 1.0 {
            return 1.0;
        }
        if x > (a + 1.0) / (a + b + 2.0) {
            return 1.0 - cdf(1.0 - x, b, a);
        }
        let front = libm::exp(
            libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x),
        ) / a;
        let (mut c, mut d) = (1.0, 0.0);
        let mut f = 1.0;
        for i in 0..20000 {
            let m = (i / 2) as f64;
            let num = if i == 0 {
                1.0
            } else if i % 2 == 0 {
                m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
            } else {
                -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
            };
            d = 1.0 + num * d;
            if d.abs() < 1e-300 {
                d = 1e-300;
            }
            d = 1.0 / d;
            c = 1.0 + num / c;
            if c.abs() < 1e-300 {
                c = 1e-300;
            }
            f *= c * d;
            if (1.0 - c * d).abs() < 1e-16 {
                break;
            }
        }
        front * (f - 1.0)
    }
    pub fn quantile(p: f64, a: f64, b: f64) -> f64 {
        let (mut l, mut h) = (0.0, 1.0);
        for _ in 0..1100 {
            let m = (l + h) / 2.0;
            if cdf(m, a, b) < p { l = m } else { h = m }
        }
        (l + h) / 2.0
    }
}
