//! The division of a data set into parts, such as one for training and one for validation.
//!
//! Parts have the requested sizes. Groups are never divided, so with groups the sizes are as near
//! as the groups allow. With classes, each part has its share of every class. In a part, items are
//! in the order of the data: reads go forwards, and a message has one bit for each item.

use ndlens_core::room::with_room_for;

use crate::error::{Error, Result};
use crate::order::permutation::Permutation;
use crate::source::labels::Labels;
use crate::source::selection::Selection;

/// The number that turns a seed into another one, so that items are dealt out in another order than
/// a loader takes them in.
const OF_SPLITS: u64 = 0x73_706C_6974;

/// The sizes of parts.
#[derive(Debug, Clone, PartialEq)]
pub enum PartSizes {
    /// Fractions of all items, which add up to 1.
    Fractions(Vec<f64>),
    /// Numbers of items, which add up to all.
    Counts(Vec<usize>),
}

/// The way to deal items out, beside the sizes of parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dealing<'a> {
    /// Seed of the random order; None deals items out in their order.
    pub seed: Option<u64>,
    /// Items that must stay together.
    pub groups: Option<&'a Labels>,
    /// Items of which each part gets its share.
    pub classes: Option<&'a Labels>,
}

impl PartSizes {
    /// The number of items in each part, of `items` in all.
    fn counts(&self, items: usize) -> Result<Vec<usize>> {
        let counts = match self {
            PartSizes::Counts(counts) => {
                let sum = counts.iter().fold(0usize, |sum, &count| sum.saturating_add(count));
                if sum != items {
                    return Err(Error::PartCounts { got: counts.clone(), sum, items });
                }
                counts.clone()
            }
            PartSizes::Fractions(fractions) => {
                let sum: f64 = fractions.iter().sum();
                // Tenths and thirds are not binary fractions; a forgotten part makes a larger
                // difference.
                let is_whole = (sum - 1.0).abs() < 1e-6;
                if !is_whole || fractions.iter().any(|&part| part.is_nan() || part <= 0.0) {
                    return Err(Error::PartFractions { got: fractions.clone(), sum });
                }
                let mut taken = (0.0, 0usize);
                let count = |&fraction: &f64| {
                    let end =
                        (((taken.0 + fraction) / sum * items as f64).round() as usize).min(items);
                    let count = end - taken.1.min(end);
                    taken = (taken.0 + fraction, end);
                    count
                };
                fractions.iter().map(count).collect()
            }
        };
        match counts.iter().position(|&count| count == 0) {
            Some(part) => Err(Error::EmptyPart { part, items }),
            None if counts.is_empty() => Err(Error::NoParts),
            None => Ok(counts),
        }
    }
}

/// The items of each part.
///
/// # Errors
///
/// [`Error::NoParts`], [`Error::PartCounts`], [`Error::PartFractions`], [`Error::EmptyPart`];
/// [`Error::LabelsLength`]; [`Error::RareLabel`] for a class that has fewer items than there are
/// parts; [`Error::OrderedClasses`] for classes without a seed; [`Error::Core`] if there is no
/// memory for the list of items.
///
/// ```
/// use ndlens_loader::{Dealing, PartSizes, split};
///
/// let dealing = Dealing { seed: Some(0), ..Dealing::default() };
/// let parts = split(10, &PartSizes::Fractions(vec![0.8, 0.2]), dealing)?;
/// assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 2]);
/// # Ok::<(), ndlens_loader::Error>(())
/// ```
pub fn split(items: usize, sizes: &PartSizes, dealing: Dealing<'_>) -> Result<Vec<Selection>> {
    for (name, labels) in [("groups", dealing.groups), ("stratify", dealing.classes)] {
        if let Some(got) = labels.map(Labels::len).filter(|&len| len != items) {
            return Err(Error::LabelsLength { name, got, expected: items });
        }
    }
    if dealing.classes.is_some() && dealing.seed.is_none() {
        return Err(Error::OrderedClasses);
    }
    let counts = sizes.counts(items)?;
    let permutation = dealing.seed.map(|seed| Permutation::new(seed ^ OF_SPLITS, 0, items as u64));
    let at =
        |place: usize| permutation.as_ref().map_or(place, |order| order.at(place as u64) as usize);
    let parts = match (dealing.groups, dealing.classes) {
        (None, None) if permutation.is_none() => {
            let mut start = 0;
            let part = |&count: &usize| {
                start += count;
                Selection::range(start - count, 1, count, items)
            };
            return counts.iter().map(part).collect();
        }
        (None, None) => deal_in_turn(items, &counts, at)?,
        (None, Some(classes)) => deal_classes(&counts, classes, at)?,
        (Some(groups), classes) => deal_groups(&counts, groups, classes, dealing.seed)?,
    };
    let mut chosen = with_room_for(items)?;
    let selection = |part: u32| {
        chosen.clear();
        chosen.extend(parts.iter().map(|&of_item| of_item == part));
        let selection = Selection::of_flags(&chosen)?;
        if selection.is_empty() {
            Err(Error::EmptyPart { part: part as usize, items })
        } else {
            Ok(selection)
        }
    };
    (0..counts.len() as u32).map(selection).collect()
}

/// A list of the part of each item, all 0.
fn part_list(items: usize) -> Result<Vec<u32>> {
    let mut parts = with_room_for(items)?;
    parts.resize(items, 0);
    Ok(parts)
}

/// Deals the first items of an order to the first part, the next ones to the second, and so on.
fn deal_in_turn(items: usize, counts: &[usize], at: impl Fn(usize) -> usize) -> Result<Vec<u32>> {
    let mut parts = part_list(items)?;
    let mut start = 0;
    for (part, &count) in counts.iter().enumerate() {
        (start..start + count).for_each(|place| parts[at(place)] = part as u32);
        start += count;
    }
    Ok(parts)
}

/// Deals items out class by class, each to the part that is furthest below its share of the items
/// so far. So each part gets its share of every run of items, such as a class, and in the end
/// exactly its size.
fn deal_classes(
    counts: &[usize],
    classes: &Labels,
    at: impl Fn(usize) -> usize,
) -> Result<Vec<u32>> {
    let items = classes.len();
    let class_counts = classes.counts()?;
    if let Some(code) = class_counts.iter().position(|&count| count < counts.len()) {
        let (item, count) = (classes.first(code), class_counts[code]);
        return Err(Error::RareLabel { item, count, parts: counts.len() });
    }
    // The items by class, and in random order within a class.
    let mut next = with_room_for(class_counts.len())?;
    next.extend(class_counts.iter().scan(0, |end, &count| {
        *end += count;
        Some(*end - count)
    }));
    let mut by_class = with_room_for::<usize>(items)?;
    by_class.resize(items, 0);
    for item in (0..items).map(at) {
        let place = &mut next[classes.codes()[item] as usize];
        by_class[*place] = item;
        *place += 1;
    }
    let mut parts = part_list(items)?;
    let mut given = vec![0usize; counts.len()];
    for (dealt, &item) in by_class.iter().enumerate() {
        // The deficit of a part, times `items`, which is an integer.
        let lag = |part: usize| {
            (dealt as i128 + 1) * counts[part] as i128 - given[part] as i128 * items as i128
        };
        let open = (0..counts.len()).filter(|&part| given[part] < counts[part]);
        let part = open.max_by_key(|&part| (lag(part), std::cmp::Reverse(part))).unwrap_or(0);
        parts[item] = part as u32;
        given[part] += 1;
    }
    Ok(parts)
}

/// Deals groups out, large ones first and otherwise in random order. Each goes to the part that it
/// overfills least, and among parts that it does not overfill to the least full. Without a seed,
/// groups are dealt out in the order of the data, so that parts follow one another.
fn deal_groups(
    counts: &[usize],
    groups: &Labels,
    classes: Option<&Labels>,
    seed: Option<u64>,
) -> Result<Vec<u32>> {
    let items = groups.len();
    let sizes = groups.counts()?;
    let part_of_group: Vec<u32> = match seed {
        None => {
            let mut before = 0;
            let part = |&size: &usize| {
                let middle = before + size / 2;
                before += size;
                let mut end = 0;
                let reaches = |&count: &usize| {
                    end += count;
                    middle < end
                };
                counts.iter().position(reaches).unwrap_or(counts.len() - 1) as u32
            };
            sizes.iter().map(part).collect()
        }
        Some(seed) => {
            let kinds = classes.map_or(1, Labels::kinds);
            let of_classes = members(groups, classes)?;
            let mut totals = vec![0usize; kinds];
            of_classes.iter().flatten().for_each(|&(class, count)| totals[class] += count);
            let share = |part: usize, class: usize| {
                counts[part] as f64 / items as f64 * totals[class] as f64
            };
            let mut filled = vec![vec![0usize; kinds]; counts.len()];
            let mut part_of_group = part_list(sizes.len())?;
            let order = Permutation::new(seed ^ OF_SPLITS, 0, sizes.len() as u64);
            let mut in_order = with_room_for(sizes.len())?;
            in_order.extend((0..sizes.len() as u64).map(|place| order.at(place) as usize));
            // A group that is much larger than others is dealt out before them, or there would be
            // no room left for it.
            in_order.sort_by_key(|&group| std::cmp::Reverse(sizes[group].checked_ilog2()));
            for group in in_order {
                let over = |part: usize| -> f64 {
                    let of_class = |&(class, count): &(usize, usize)| {
                        (filled[part][class] as f64 + count as f64 - share(part, class)).max(0.0)
                    };
                    of_classes[group].iter().map(of_class).sum()
                };
                let full = |part: usize| -> f64 {
                    let of_class = |&(class, count): &(usize, usize)| {
                        count as f64 * filled[part][class] as f64 / share(part, class)
                    };
                    of_classes[group].iter().map(of_class).sum()
                };
                let key = |part: usize| (over(part), full(part));
                let less = |a: &usize, b: &usize| {
                    let ((over_a, full_a), (over_b, full_b)) = (key(*a), key(*b));
                    over_a.total_cmp(&over_b).then(full_a.total_cmp(&full_b)).then(a.cmp(b))
                };
                let part = (0..counts.len()).min_by(less).unwrap_or(0);
                of_classes[group].iter().for_each(|&(class, count)| filled[part][class] += count);
                part_of_group[group] = part as u32;
            }
            part_of_group
        }
    };
    let mut parts = with_room_for(items)?;
    parts.extend(groups.codes().iter().map(|&group| part_of_group[group as usize]));
    Ok(parts)
}

/// For each group, the number of its items of each class that it has: (class, count).
fn members(groups: &Labels, classes: Option<&Labels>) -> Result<Vec<Vec<(usize, usize)>>> {
    let mut members: Vec<Vec<(usize, usize)>> = with_room_for(groups.kinds())?;
    members.resize(groups.kinds(), vec![]);
    for (item, &group) in groups.codes().iter().enumerate() {
        let class = classes.map_or(0, |classes| classes.codes()[item] as usize);
        let of_group = &mut members[group as usize];
        match of_group.iter_mut().find(|(of, _)| *of == class) {
            Some((_, count)) => *count += 1,
            None => of_group.push((class, 1)),
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndlens_core::View;

    fn labels(numbers: impl IntoIterator<Item = i64>) -> Labels {
        Labels::from_view(&View::from_vec(numbers.into_iter().collect::<Vec<_>>()), "labels")
            .unwrap()
            .unwrap()
    }

    fn parts(items: usize, fractions: &[f64], dealing: Dealing<'_>) -> Vec<Vec<usize>> {
        let parts = split(items, &PartSizes::Fractions(fractions.to_vec()), dealing).unwrap();
        let parts: Vec<Vec<usize>> = parts.iter().map(|part| part.iter().collect()).collect();
        let mut all: Vec<usize> = parts.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..items), "each item is in one part");
        assert!(parts.iter().all(|part| part.is_sorted()));
        parts
    }

    fn seeded(seed: u64) -> Dealing<'static> {
        Dealing { seed: Some(seed), ..Dealing::default() }
    }

    #[test]
    fn parts_have_their_sizes_and_every_item_is_in_one() {
        for items in [7, 10, 1000, 5000] {
            let got = parts(items, &[0.7, 0.2, 0.1], seeded(3));
            let sizes: Vec<usize> = got.iter().map(Vec::len).collect();
            let ends = [0.7, 0.9, 1.0].map(|end: f64| (end * items as f64).round() as usize);
            assert_eq!(sizes, [ends[0], ends[1] - ends[0], ends[2] - ends[1]]);
            assert_ne!(got, parts(items, &[0.7, 0.2, 0.1], seeded(4)));
            assert_eq!(got, parts(items, &[0.7, 0.2, 0.1], seeded(3)));
        }
        let in_turn = parts(10, &[0.5, 0.5], Dealing::default());
        assert_eq!(in_turn, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]);
        let thirds = parts(9, &[1.0 / 3.0; 3], seeded(0));
        assert!(thirds.iter().all(|part| part.len() == 3));
    }

    #[test]
    fn every_part_gets_its_share_of_each_class() {
        let classes =
            labels((0..1000).map(|item| if item % 50 == 0 { 2 } else { i64::from(item % 3 == 0) }));
        let counts = classes.counts().unwrap();
        let fractions = [0.6, 0.3, 0.1];
        let got = parts(1000, &fractions, Dealing { classes: Some(&classes), ..seeded(1) });
        assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [600, 300, 100]);
        for (part, fraction) in got.iter().zip(fractions) {
            for (class, &count) in counts.iter().enumerate() {
                let own =
                    part.iter().filter(|&&item| classes.codes()[item] as usize == class).count();
                assert!(
                    (own as f64 - fraction * count as f64).abs() <= 1.5,
                    "{class}: {own} of {count}"
                );
            }
        }
    }

    #[test]
    fn no_group_is_divided() {
        let groups = labels((0..1000).map(|item| item * 7919 % 83));
        let classes = labels((0..1000).map(|item| (item * 7919 % 83) % 4));
        for classes in [None, Some(&classes)] {
            let got =
                parts(1000, &[0.8, 0.2], Dealing { groups: Some(&groups), classes, ..seeded(5) });
            let of = |part: &[usize]| {
                part.iter()
                    .map(|&item| groups.codes()[item])
                    .collect::<std::collections::HashSet<_>>()
            };
            assert!(of(&got[0]).is_disjoint(&of(&got[1])));
            assert!(got[1].len().abs_diff(200) < 40, "{}", got[1].len());
        }
        let in_turn = parts(
            10,
            &[0.5, 0.5],
            Dealing { groups: Some(&labels([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])), ..Dealing::default() },
        );
        assert_eq!(in_turn, [vec![0, 1, 2, 3], vec![4, 5, 6, 7, 8, 9]]);
    }

    #[test]
    fn a_large_group_goes_where_it_fits() {
        for seed in 0..20 {
            let groups = labels((0..100).map(|item| if item < 60 { 0 } else { item }));
            let got = parts(100, &[0.8, 0.2], Dealing { groups: Some(&groups), ..seeded(seed) });
            assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [80, 20]);
        }
    }

    #[test]
    fn splits_that_cannot_be_say_why() {
        let message = |sizes: PartSizes, dealing: Dealing<'_>| {
            split(10, &sizes, dealing).unwrap_err().to_string()
        };
        let fractions =
            |fractions: &[f64]| message(PartSizes::Fractions(fractions.to_vec()), seeded(0));
        assert_eq!(
            fractions(&[0.8, 0.1]),
            "fractions of parts must be above 0 and add up to 1, got [0.8, 0.1], which add up to \
             0.9"
        );
        assert_eq!(
            fractions(&[1.5, -0.5]),
            "fractions of parts must be above 0 and add up to 1, got [1.5, -0.5], which add up to 1"
        );
        assert_eq!(fractions(&[0.99, 0.01]), "part 1 would have none of 10 items");
        assert_eq!(
            message(PartSizes::Counts(vec![]), seeded(0)),
            "sizes of parts must add up to the 10 items, got [], which add up to 0"
        );
        assert_eq!(
            split(0, &PartSizes::Counts(vec![]), seeded(0)).unwrap_err().to_string(),
            "a split needs at least one part"
        );
        assert_eq!(
            message(PartSizes::Counts(vec![5, 6]), seeded(0)),
            "sizes of parts must add up to the 10 items, got [5, 6], which add up to 11"
        );
        let halves = || PartSizes::Fractions(vec![0.5, 0.5]);
        let (short, rare) = (labels(0..9), labels((0..10).map(|item| i64::from(item == 7))));
        assert_eq!(
            message(halves(), Dealing { groups: Some(&short), ..seeded(0) }),
            "groups must be one for each item: got 9, expected 10"
        );
        assert_eq!(
            message(halves(), Dealing { classes: Some(&rare), ..seeded(0) }),
            "stratify: 1 item has the label of item 7, and each of 2 parts needs one"
        );
        let one = labels([4; 10]);
        assert_eq!(
            message(halves(), Dealing { groups: Some(&one), ..seeded(0) }),
            "part 1 would have none of 10 items"
        );
        assert_eq!(
            message(halves(), Dealing { classes: Some(&one), ..Dealing::default() }),
            "stratify needs a shuffled split: in the order of the data, parts have the classes \
             that stand there"
        );
    }
}
