//! A digest of eight bytes, to compare lists of numbers.
//!
//! It does not protect against an adversary. A run that resumes checks with it that a sampler gives
//! the same numbers again.

use std::fmt;

use crate::order::feistel::mix;

/// The digest of a list that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(u64);

impl Digest {
    /// Adds the next number.
    pub fn add(&mut self, number: i64) {
        self.0 = mix(self.0.wrapping_add(1).rotate_left(32) ^ number as u64);
    }

    /// The digest as a number.
    pub(crate) fn value(self) -> u64 {
        self.0
    }

    /// The digest of its displayed form.
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Digest)).flatten()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_differ_are_told_apart_and_a_digest_goes_on_where_it_was_written_down() {
        let of = |numbers: &[i64]| {
            let mut digest = Digest::default();
            for &number in numbers {
                digest.add(number);
            }
            digest
        };
        let lists: [&[i64]; 7] = [&[], &[0], &[0, 0], &[1, 2], &[2, 1], &[-1], &[i64::MIN]];
        for (place, one) in lists.iter().enumerate() {
            assert!(lists[..place].iter().all(|other| of(other) != of(one)));
        }
        let mut digest = Digest::from_hex(&of(&[5, 6]).to_string()).unwrap();
        digest.add(7);
        assert_eq!(digest, of(&[5, 6, 7]));
        assert_eq!(["", "12", "zzzzzzzzzzzzzzzz"].map(Digest::from_hex), [None; 3]);
    }
}
