//! Seeded randomness that can be asked for in the middle of an expression.

use std::cell::RefCell;
use std::ops::RangeBounds;

use fastrand::Rng;

/// A random number generator behind a shared reference.
pub struct Dice(RefCell<Rng>);

macro_rules! draws {
    ($($number:ident),*) => {
        $(
            /// A number of this range.
            pub fn $number(&self, range: impl RangeBounds<$number>) -> $number {
                self.0.borrow_mut().$number(range)
            }
        )*
    };
}

impl Dice {
    /// The same seed gives the same numbers.
    pub fn with_seed(seed: u64) -> Self {
        Self(RefCell::new(Rng::with_seed(seed)))
    }

    draws!(u8, u32, i64, u64, u128, usize);

    /// A number from 0 to 1.
    pub fn f64(&self) -> f64 {
        self.0.borrow_mut().f64()
    }

    /// A letter from `a` to `z`.
    pub fn letter(&self) -> char {
        self.0.borrow_mut().lowercase()
    }

    /// True this often.
    pub fn chance(&self, share: f64) -> bool {
        self.f64() < share
    }

    /// One of these; there must be one.
    pub fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.usize(..choices.len())]
    }

    /// A number of the normal distribution.
    pub fn normal(&self) -> f64 {
        // Box and Muller; the first number must not be zero.
        let (a, b) = (1.0 - self.f64(), self.f64());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}
