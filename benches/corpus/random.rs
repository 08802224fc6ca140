//! What the corpus draws from: log-normal sizes and times, skewed choices. Seeded.

use fastrand::Rng;

/// A number with mean 0 and deviation 1 (Box-Muller).
pub fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// A number whose logarithm is normal: half of the draws are below `median`.
pub fn log_normal(random: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * normal(random)).exp()
}

/// A place below `len`; the first are drawn far more often than the last.
pub fn skewed(random: &mut Rng, len: usize, power: f64) -> usize {
    ((random.f64().powf(power) * len as f64) as usize).min(len.saturating_sub(1))
}

/// One of these, the first far more often than the last.
pub fn pick<'a, T>(random: &mut Rng, from: &'a [T]) -> &'a T {
    &from[skewed(random, from.len(), 2.0)]
}
