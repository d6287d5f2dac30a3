//! Whether two views touch a common byte.
//!
//! The bytes of a view are `start + sum(stride_i * x_i) + u` with `0 <= x_i < n_i` and
//! `0 <= u < itemsize`. Two views share a byte if two such sums are equal: a linear Diophantine
//! equation with bounded unknowns. It is solved by depth-first search from the largest coefficient
//! down, each step limited to what the smaller ones can still reach and to what their greatest
//! common divisor divides. That is exponential for contrived strides, as it must be (the problem is
//! NP-complete), and immediate for those that slicing makes. `np.shares_memory` answers the same
//! question.

use crate::view::View;

/// A coefficient and the largest value of its unknown; both positive.
#[derive(Debug, Clone, Copy)]
struct Term {
    coefficient: i128,
    most: i128,
}

impl View {
    /// The addresses from the first byte of all elements to the end of the last; None without
    /// elements.
    fn span(&self) -> Option<(i128, i128)> {
        if self.is_empty() || self.itemsize() == 0 {
            return None;
        }
        let first = self.as_ptr().addr() as i128;
        let (mut low, mut high) = (first, first + self.itemsize() as i128);
        for (&n, &stride) in self.shape().iter().zip(self.strides()) {
            let reach = (n as i128 - 1) * stride as i128;
            low += reach.min(0);
            high += reach.max(0);
        }
        Some((low, high))
    }

    /// Whether the address ranges of the two views overlap: `np.may_share_memory`. It is fast, and
    /// true more often than [`shares_memory`](View::shares_memory).
    pub fn may_share_memory(&self, other: &View) -> bool {
        matches!((self.span(), other.span()), (Some(a), Some(b)) if a.0 < b.1 && b.0 < a.1)
    }

    /// Whether some byte belongs to an element of both: `np.shares_memory`. It is exact.
    pub fn shares_memory(&self, other: &View) -> bool {
        let (Some((low, high)), Some((other_low, other_high))) = (self.span(), other.span()) else {
            return false;
        };
        if low >= other_high || other_low >= high {
            return false;
        }
        // Counted from its lowest byte, a view's bytes are sums of positive terms; counted down
        // from its highest, the other's are too. Equal addresses are then terms of both that add up
        // to the distance between the two ends.
        let terms = |view: &View| {
            let axes = view.shape().iter().zip(view.strides());
            let mut terms: Vec<Term> = axes
                .filter(|&(&n, &stride)| n > 1 && stride != 0)
                .map(|(&n, &stride)| Term {
                    coefficient: (stride as i128).abs(),
                    most: n as i128 - 1,
                })
                .collect();
            if view.itemsize() > 1 {
                terms.push(Term { coefficient: 1, most: view.itemsize() as i128 - 1 });
            }
            terms
        };
        let mut all = terms(self);
        all.extend(terms(other));
        all.sort_unstable_by_key(|term| std::cmp::Reverse(term.coefficient));
        // Unknowns with one coefficient are one unknown.
        all.dedup_by(|later, first| {
            let same = later.coefficient == first.coefficient;
            if same {
                first.most += later.most;
            }
            same
        });
        reaches(&all, other_high - 1 - low)
    }
}

/// Whether terms, largest coefficient first, can add up to `target`.
fn reaches(terms: &[Term], target: i128) -> bool {
    if target == 0 {
        return true;
    }
    let Some((&Term { coefficient, most }, rest)) = terms.split_first() else { return false };
    let reach: i128 = rest.iter().map(|term| term.coefficient * term.most).sum();
    let divisor = rest.iter().fold(0, |divisor, term| gcd(divisor, term.coefficient));
    let least = (target - reach).max(0).div_euclid(coefficient)
        + i128::from((target - reach).max(0) % coefficient != 0);
    let most = most.min(target.div_euclid(coefficient));
    if target < 0 || least > most {
        return false;
    }
    if divisor == 0 {
        // No term is left.
        return target % coefficient == 0 && (least..=most).contains(&(target / coefficient));
    }
    // The rest must be a multiple of the divisor; the values of this unknown for which it is
    // repeat with `period`.
    let period = divisor / gcd(divisor, coefficient);
    let Some(first) =
        (least..(least + period).min(most + 1)).find(|x| (target - coefficient * x) % divisor == 0)
    else {
        return false;
    };
    let mut x = first;
    while x <= most {
        if reaches(rest, target - coefficient * x) {
            return true;
        }
        x += period;
    }
    false
}

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::samples::{LARGEST, any_layout};
    use crate::{Buffer, DType, Layout, Order, s};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn views_share_memory_if_a_byte_is_in_both(
            a in any_layout(),
            b in any_layout(),
            shift in 0usize..40,
        ) {
            let buffer = Buffer::zeroed(LARGEST + 40).unwrap();
            let shifted =
                Layout::new(b.shape(), b.strides(), b.offset() + shift, 2, LARGEST + 40).unwrap();
            let bytes = |layout: &Layout| {
                layout.offsets().flat_map(|at| [at, at + 1]).collect::<HashSet<_>>()
            };
            let expected = !bytes(&a).is_disjoint(&bytes(&shifted));
            let a = View::new(buffer.clone(), a, DType::U16).unwrap();
            let b = View::new(buffer, shifted, DType::U16).unwrap();
            prop_assert_eq!(a.shares_memory(&b), expected);
            prop_assert_eq!(b.shares_memory(&a), expected);
            prop_assert!(a.may_share_memory(&b) || !expected);
        }
    }

    #[test]
    fn interleaved_channels_share_nothing_though_they_may() {
        let image = View::zeros(&[1000, 1000, 3], DType::U8, Order::C).unwrap();
        let channel = |c: isize| image.index(&[s(..), s(..), s(c)]).unwrap();
        assert!(channel(0).may_share_memory(&channel(1)));
        assert!(!channel(0).shares_memory(&channel(1)));
        assert!(channel(2).shares_memory(&image));
    }
}
