//! Items drawn in proportion to weights.
//!
//! With replacement, the k-th draw is a function of (seed, epoch, k), computed by `alias.rs`.
//!
//! Without replacement, an epoch is drawn at once: each item gets a key, exponentially distributed
//! with its weight as the rate, and items are taken by ascending key (Efraimidis and Spirakis,
//! "Weighted random sampling with a reservoir", 2006). The result is distributed as if each item
//! were drawn from those left. Keys are compared by their logarithms, which neither overflow nor
//! vanish for any two weights.

use std::sync::Arc;

use ndlens_core::room::with_room_for;
use ndlens_core::{DType, View};
use ndlens_kernels::{MapStep, Stores, ValueMap};
use ndlens_transforms::Stream;

use crate::error::{Error, Result};
use crate::order::alias::{AliasDraws, AliasTable};
use crate::order::feistel::mix;

/// The name of the stream that draws come from. A field of this name would share the stream, but
/// draws for items of its own.
const STREAM: &str = "weights";

/// A weight for each item, and the way to draw by them.
#[derive(Debug, Clone)]
pub struct Weights {
    kind: WeightedKind,
    items: usize,
    samples: usize,
    checksum: u64,
}

#[derive(Debug, Clone)]
enum WeightedKind {
    WithReplacement(AliasTable),
    /// The natural logarithm of each weight; -inf for 0.
    WithoutReplacement(Arc<Vec<f64>>),
}

impl Weights {
    /// `samples` draws by these weights, as many as there are items by default.
    ///
    /// # Errors
    ///
    /// [`Error::BadWeight`] for a weight that is negative, infinite or NaN; [`Error::NoWeight`] if
    /// all are 0; [`Error::ZeroSetting`]; [`Error::TooManySamples`] for more draws without
    /// replacement than items with a weight above 0; [`Error::Core`] if there is no memory for a
    /// table.
    pub fn new(weights: &[f64], replacement: bool, samples: Option<usize>) -> Result<Self> {
        let bad = |weight: &f64| !weight.is_finite() || *weight < 0.0;
        if let Some(item) = weights.iter().position(bad) {
            return Err(Error::BadWeight { got: weights[item], item });
        }
        let heaviest = weights.iter().copied().fold(0.0, f64::max);
        if heaviest == 0.0 {
            return Err(Error::NoWeight);
        }
        let samples = samples.unwrap_or(weights.len());
        if samples == 0 {
            return Err(Error::ZeroSetting { name: "num_samples" });
        }
        let weighty = weights.iter().filter(|&&weight| weight > 0.0).count();
        if !replacement && samples > weighty {
            return Err(Error::TooManySamples { samples, weighty });
        }
        let kind = if replacement {
            WeightedKind::WithReplacement(AliasTable::new(weights, heaviest)?)
        } else {
            let mut logarithms = with_room_for(weights.len())?;
            logarithms.extend(weights.iter().map(|&weight| natural_logarithm(weight)));
            WeightedKind::WithoutReplacement(Arc::new(logarithms))
        };
        // Adding 0 turns -0 into 0, which has the same weight.
        let checksum = weights.iter().fold(weights.len() as u64, |sum, weight| {
            mix(sum.wrapping_add(1).rotate_left(32) ^ (weight + 0.0).to_bits())
        });
        Ok(Weights { kind, items: weights.len(), samples, checksum })
    }

    /// As [`new`](Self::new), for the numbers of a view of shape (items,).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); [`Error::WeightsShape`], and [`Error::Kernels`] for elements that are
    /// not numbers.
    pub fn from_view(weights: &View, replacement: bool, samples: Option<usize>) -> Result<Self> {
        let &[items] = weights.shape() else {
            return Err(Error::WeightsShape { got: weights.shape().to_vec() });
        };
        let to_f64 = [MapStep::ToDtype { dtype: DType::F64, scale: false }];
        let map = ValueMap::new(weights.dtype(), 1, &to_f64)?;
        let mut numbers = with_room_for::<f64>(items)?;
        let mut bytes = [0; 1024 * size_of::<f64>()];
        for start in (0..items).step_by(1024) {
            let count = (items - start).min(1024);
            let some = weights.as_ref().narrow(0, start, count)?;
            some.verify()?;
            let bytes = &mut bytes[..count * size_of::<f64>()];
            map.apply(&some, None, bytes, Stores::Cached)?;
            numbers.extend(bytes.as_chunks().0.iter().map(|&number| f64::from_ne_bytes(number)));
        }
        Weights::new(&numbers, replacement, samples)
    }

    /// The number of items, which is that of weights.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The number of draws in an epoch.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The draws of an epoch.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for a list of draws without replacement.
    pub(crate) fn draws(&self, seed: u64, epoch: u32) -> Result<WeightedDraws> {
        let stream = Stream::new(seed, STREAM);
        Ok(match &self.kind {
            WeightedKind::WithReplacement(table) => {
                WeightedDraws::WithReplacement(table.draws(stream, epoch, self.samples))
            }
            WeightedKind::WithoutReplacement(logarithms) => WeightedDraws::WithoutReplacement(
                drawn_without_replacement(logarithms, self.samples, stream, epoch)?,
            ),
        })
    }
}

/// The draws of an epoch by weights.
pub(crate) enum WeightedDraws {
    /// Each draw is from all items, and is computed.
    WithReplacement(AliasDraws),
    /// The list of items, in the order of the draws.
    WithoutReplacement(Vec<usize>),
}

/// The values that the draws depend on, beside the seed, in a few words.
impl std::fmt::Display for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match self.kind {
            WeightedKind::WithReplacement(_) => "with",
            WeightedKind::WithoutReplacement(_) => "without",
        };
        write!(f, "{} by weights {:016x} {how} replacement", self.samples, self.checksum)
    }
}

fn drawn_without_replacement(
    logarithms: &[f64],
    samples: usize,
    stream: Stream,
    epoch: u32,
) -> Result<Vec<usize>> {
    // The logarithm of -ln(uniform) / weight. Of a uniform of 1 it is -inf, before all others, as 0
    // would be.
    let key = |(item, &logarithm): (usize, &f64)| {
        let uniform = 1.0 - stream.draws(epoch, item as u64).uniform();
        (natural_logarithm(-natural_logarithm(uniform)) - logarithm, item)
    };
    let mut keys = with_room_for(logarithms.len())?;
    keys.extend(
        logarithms.iter().enumerate().filter(|&(_, &weight)| weight > f64::NEG_INFINITY).map(key),
    );
    let ascending = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if samples < keys.len() {
        keys.select_nth_unstable_by(samples, ascending);
        keys.truncate(samples);
    }
    keys.sort_unstable_by(ascending);
    let mut drawn = with_room_for(keys.len())?;
    drawn.extend(keys.into_iter().map(|(_, item)| item));
    Ok(drawn)
}

/// The logarithm of a finite number from 0 on, by additions, multiplications and divisions only:
/// `f64::ln` is the C library's, and two machines of one run must not differ in the last bit, since
/// that could exchange two items.
fn natural_logarithm(x: f64) -> f64 {
    /// The factor that makes every subnormal number normal.
    const NORMAL: f64 = (1u64 << 54) as f64;
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if x < f64::MIN_POSITIVE {
        return natural_logarithm(x * NORMAL) - 54.0 * std::f64::consts::LN_2;
    }
    // x = m * 2^e with m within the square roots of a half and of 2.
    let mut exponent = (x.to_bits() >> 52) as i64 - 1023;
    let mut m = f64::from_bits(x.to_bits() & (u64::MAX >> 12) | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    // ln m = 2 (s + s^3/3 + s^5/5 + ..), where s is below 0.172: after s^21, less than 2^-57 is
    // missing.
    let s = (m - 1.0) / (m + 1.0);
    let series =
        (0..=10).rev().fold(0.0, |sum, term| sum * (s * s) + 1.0 / f64::from(2 * term + 1));
    2.0 * s * series + exponent as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chi-squared, over the degrees of freedom, of the counts of items.
    fn chi_squared(counts: &[u32], expected: &[f64]) -> f64 {
        let sum: f64 = counts
            .iter()
            .zip(expected)
            .map(|(&got, &want)| (f64::from(got) - want).powi(2) / want)
            .sum();
        sum / (counts.len() - 1) as f64
    }

    fn epoch(weights: &Weights, seed: u64, epoch: u32) -> Vec<usize> {
        match weights.draws(seed, epoch).unwrap() {
            WeightedDraws::WithReplacement(draws) => {
                (0..draws.len()).map(|k| draws.at(k)).collect()
            }
            WeightedDraws::WithoutReplacement(items) => items,
        }
    }

    #[test]
    fn draws_with_replacement_are_proportional_to_the_weights() {
        for items in [2usize, 100, 1000] {
            // From 1 to 50, in no order.
            let weights: Vec<f64> = (0..items).map(|item| 1.0 + (item * 37 % 50) as f64).collect();
            let samples = items * 1000;
            let mut counts = vec![0; items];
            for item in epoch(&Weights::new(&weights, true, Some(samples)).unwrap(), 1, 2) {
                counts[item] += 1;
            }
            let total: f64 = weights.iter().sum();
            let expected: Vec<f64> =
                weights.iter().map(|weight| weight / total * samples as f64).collect();
            // A thousand degrees of freedom exceed 1.15, a hundred 1.5 and one 10.8, once in a
            // thousand seeds.
            let limit = [(2, 10.8), (100, 1.5), (1000, 1.15)]
                .into_iter()
                .find(|(n, _)| *n == items)
                .unwrap()
                .1;
            let got = chi_squared(&counts, &expected);
            assert!(got < limit, "{items} items: {got}");
        }
    }

    #[test]
    fn draws_without_replacement_are_each_proportional_among_those_left() {
        // Each ordered pair of four items: w_a / 10 * w_b / (10 - w_a). 11 degrees of freedom; 31.3
        // is exceeded once in a thousand seeds.
        let weights = [1.0, 2.0, 3.0, 4.0];
        let drawn = Weights::new(&weights, false, Some(2)).unwrap();
        let (mut counts, mut expected, mut pairs) = (vec![], vec![], vec![]);
        for a in 0..4 {
            for b in (0..4).filter(|&b| b != a) {
                pairs.push([a, b]);
                expected.push(20_000.0 * weights[a] / 10.0 * weights[b] / (10.0 - weights[a]));
                counts.push(0);
            }
        }
        for round in 0..20_000 {
            let pair = epoch(&drawn, 5, round);
            counts[pairs.iter().position(|known| *known == pair[..]).unwrap()] += 1;
        }
        let got = chi_squared(&counts, &expected) * 11.0;
        assert!(got < 31.3, "{got}: {counts:?}");
    }

    #[test]
    fn what_weighs_nothing_never_comes_and_nothing_comes_twice_without_replacement() {
        let weights: Vec<f64> =
            (0..1000).map(|item| if item % 3 == 0 { 0.1 } else { 0.0 }).collect();
        let with = Weights::new(&weights, true, Some(20_000)).unwrap();
        assert!(epoch(&with, 0, 0).iter().all(|item| item % 3 == 0));
        let mut without = epoch(&Weights::new(&weights, false, Some(334)).unwrap(), 0, 0);
        without.sort_unstable();
        assert_eq!(without, (0..1000).step_by(3).collect::<Vec<_>>());
    }

    #[test]
    fn weights_of_any_size_are_drawn_by() {
        for weight in [f64::MAX, 5e-324, 1.0] {
            let weights = Weights::new(&[weight, 0.0, weight, -0.0], true, Some(1000)).unwrap();
            let zeros = epoch(&weights, 0, 0).iter().filter(|&&item| item == 0).count();
            assert!((400..600).contains(&zeros), "{weight:e}: {zeros}");
            let without = Weights::new(&[weight, 0.0, weight], false, Some(2)).unwrap();
            assert!(matches!(epoch(&without, 0, 0)[..], [0, 2] | [2, 0]));
        }
        // One weight above the sum of all others.
        let weights = Weights::new(&[1e-300, 1e300, 1e-300], false, Some(3)).unwrap();
        assert_eq!(epoch(&weights, 0, 0)[0], 1);
    }

    #[test]
    fn all_items_that_are_promised_come_whatever_lies_between_their_weights() {
        let sizes = [f64::MAX, 1e300, 1e30, 1.0, 1e-30, 1e-300, f64::MIN_POSITIVE, 5e-324];
        for (a, first) in sizes.into_iter().enumerate() {
            for (b, second) in sizes.into_iter().enumerate() {
                let all = [first, 0.0, second, first, second];
                for round in 0..20 {
                    let drawn = epoch(&Weights::new(&all, false, Some(4)).unwrap(), 3, round);
                    let mut sorted = drawn.clone();
                    sorted.sort_unstable();
                    assert_eq!(sorted, [0, 2, 3, 4], "{all:?}");
                    // Two items that are 10^20 times as heavy as two others come first.
                    let heavy = if a.abs_diff(b) < 2 {
                        continue;
                    } else {
                        [[0, 3], [2, 4]][usize::from(b < a)]
                    };
                    assert!(
                        drawn[..2].iter().all(|item| heavy.contains(item)),
                        "{all:?}: {drawn:?}"
                    );
                }
                // With replacement the lighter items are almost never drawn, and items of weight 0
                // never.
                let with = epoch(&Weights::new(&all, true, Some(200)).unwrap(), 3, 0);
                assert!(with.iter().all(|&item| item != 1), "{all:?}");
            }
        }
    }

    #[test]
    fn light_items_keep_their_proportions_beside_heavy_ones() {
        // Of two light items, one three times as heavy as the other, the first to come; the heavy
        // one is out of the way.
        for heavy in [1.0, 1e300] {
            let weights = Weights::new(&[heavy, 1e-300, 3e-300], false, Some(3)).unwrap();
            let first = (0..4000).filter(|&round| epoch(&weights, 2, round)[1] == 1).count();
            // A quarter of 4000; six standard deviations are 164.
            assert!((836..1164).contains(&first), "{heavy:e}: {first}");
        }
    }

    #[test]
    fn seeds_and_epochs_draw_differently_and_again_the_same() {
        for replacement in [true, false] {
            let weights = Weights::new(&[1.0; 100], replacement, None).unwrap();
            assert_eq!(epoch(&weights, 1, 0), epoch(&weights, 1, 0));
            assert_ne!(epoch(&weights, 1, 0), epoch(&weights, 1, 1));
            assert_ne!(epoch(&weights, 1, 0), epoch(&weights, 2, 0));
        }
    }

    #[test]
    fn the_checksum_tells_other_weights_and_not_other_zeros() {
        let text = |weights: &[f64]| Weights::new(weights, true, None).unwrap().to_string();
        assert_eq!(text(&[1.0, 0.0]), text(&[1.0, -0.0]));
        assert_ne!(text(&[1.0, 0.0]), text(&[0.0, 1.0]));
        assert_ne!(text(&[1.0, 2.0]), text(&[1.0, 2.0 + 2.0 * f64::EPSILON]));
    }

    #[test]
    fn views_of_any_numbers_are_weights() {
        let of_view =
            |view: View| Weights::from_view(&view, true, None).map(|weights| weights.to_string());
        let expected = Weights::new(&[1.0, 2.0, 0.0], true, None).unwrap().to_string();
        assert_eq!(of_view(View::from_vec(vec![1.0f64, 2.0, 0.0])).unwrap(), expected);
        assert_eq!(of_view(View::from_vec(vec![1.0f32, 2.0, 0.0])).unwrap(), expected);
        assert_eq!(
            of_view(View::from_vec(vec![0u16, 2, 1]).flip(&[0]).unwrap()).unwrap(),
            expected
        );
    }

    #[test]
    fn weights_that_cannot_be_drawn_by_say_why() {
        let message = |weights: &[f64], replacement, samples| {
            Weights::new(weights, replacement, samples).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[1.0, -0.5], true, None),
            "item 1 has weight -0.5: weights must be finite numbers, 0 or more"
        );
        assert_eq!(
            message(&[f64::NAN], true, None),
            "item 0 has weight NaN: weights must be finite numbers, 0 or more"
        );
        assert_eq!(
            message(&[0.0, f64::INFINITY], true, None),
            "item 1 has weight inf: weights must be finite numbers, 0 or more"
        );
        let nothing = "all weights are 0: there is nothing to draw";
        assert_eq!(message(&[0.0, 0.0], true, None), nothing);
        assert_eq!(message(&[], true, None), nothing);
        assert_eq!(message(&[1.0], true, Some(0)), "num_samples must be at least 1, got 0");
        assert_eq!(
            message(&[1.0, 0.0, 2.0], false, None),
            "cannot draw 3 items without replacement: 2 have a weight above 0"
        );
        let matrix = View::from_vec(vec![1.0; 6]).reshape(&[2, 3]).unwrap();
        assert_eq!(
            Weights::from_view(&matrix, true, None).unwrap_err().to_string(),
            "weights must be of shape (items,), got [2, 3]"
        );
    }

    #[test]
    fn the_logarithm_is_one() {
        let mut draws = Stream::new(0, "").draws(0, 0);
        for _ in 0..100_000 {
            let x = 1.0 - draws.uniform();
            let (got, expected) = (natural_logarithm(x), x.ln());
            assert!(
                (got - expected).abs() <= 1e-15 * expected.abs().max(1e-3),
                "{x}: {got} {expected}"
            );
        }
        for x in [f64::MAX, 1e300, f64::MIN_POSITIVE, 1e-310, 5e-324] {
            let (got, expected) = (natural_logarithm(x), x.ln());
            assert!((got - expected).abs() <= 1e-15 * expected.abs(), "{x}: {got} {expected}");
        }
        assert_eq!(natural_logarithm(0.0).to_bits(), f64::NEG_INFINITY.to_bits());
        assert_eq!(natural_logarithm(1.0).to_bits(), 0f64.to_bits());
    }
}
