//! Whether two lists of numbers are the same, from eight bytes each.
//!
//! No protection against somebody who wants two lists to agree: a run that resumes asks whether a sampler gives again what it gave.

use std::fmt;

use crate::order::mix;

/// Of a list that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(u64);

impl Digest {
    /// Adds the next number.
    pub fn add(&mut self, number: i64) {
        self.0 = mix(self.0.wrapping_add(1).rotate_left(32) ^ number as u64);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
