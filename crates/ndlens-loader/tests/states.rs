//! What a state promises: ranks that have taken as many batches write the same, at every point of
//! an epoch, and any rank of any number goes on from it, without losing or doubling anything but
//! what `Pad`, `Drop` and `drop_last` say.
//!
//! Every number of items, ranks and items in a batch up to small bounds, for orders that are known
//! and for samplers that are read.

use std::sync::Arc;

use ndlens_core::View;
use ndlens_loader::{
    Config, Epoch, Field, ItemNumbers, Loader, Remainder, Sampled, Sampling, Shard, Shuffler, State,
};

/// The source of a loader's items.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Order,
    Numbers,
    /// A sampler that says its length, or does not.
    Sampler {
        says: bool,
    },
}

const ALL: [From; 4] =
    [From::Order, From::Numbers, From::Sampler { says: true }, From::Sampler { says: false }];

struct Rank {
    loader: Loader,
    from: From,
    items: usize,
    shard: Shard,
}

/// An epoch and what of its sampler is not read.
struct Running {
    epoch: Epoch,
    unread: Option<Vec<i64>>,
}

impl Rank {
    fn new(from: From, items: usize, shard: Shard, batch_size: usize, drop_last: bool) -> Self {
        let field = Field::new("x", Arc::new(View::from_vec((0..items as i64).collect())));
        let config =
            Config { batch_size, drop_last, shuffle: from == From::Order, ..Config::default() };
        let builder = Loader::builder(vec![field], config).unwrap();
        let builder = if from == From::Order { builder } else { builder.sampler() };
        let loader = builder.build().unwrap();
        Rank { loader, from, items, shard }
    }

    /// The numbers of the sampler: the items from the last on.
    fn numbers(&self) -> Vec<i64> {
        (0..self.items as i64).rev().collect()
    }

    fn start(&self) -> Running {
        let sampled = match self.from {
            From::Order => {
                return Running {
                    epoch: self.loader.start_epoch_as(self.shard).unwrap(),
                    unread: None,
                };
            }
            From::Numbers => {
                let numbers = ItemNumbers::from_view(&View::from_vec(self.numbers())).unwrap();
                Sampled::Numbers(numbers)
            }
            From::Sampler { says } => Sampled::Read(Sampling {
                expected: says.then_some(self.items),
                ..Sampling::default()
            }),
        };
        let unread = matches!(sampled, Sampled::Read(_)).then(|| self.numbers());
        Running { epoch: self.loader.start_epoch_of(sampled, self.shard).unwrap(), unread }
    }
}

impl Running {
    /// The next batch, for which the sampler is read as far as it has to be.
    fn next(&mut self) -> Option<Vec<i64>> {
        while let (count @ 1.., Some(unread)) = (self.epoch.to_read(), &mut self.unread) {
            let read: Vec<i64> = unread.drain(..count.min(unread.len())).collect();
            self.epoch.add(&read, None).unwrap();
            if read.len() < count {
                self.epoch.end_sampler(None).unwrap();
            }
        }
        self.epoch.next().map(|batch| batch.unwrap().views()[0].to_vec().unwrap())
    }
}

/// The count of each item.
fn count(seen: &mut [u32], batch: Vec<i64>) {
    for item in batch {
        seen[item as usize] += 1;
    }
}

/// The items of ranks that go on from a state to the end of its epoch.
fn rest(
    of: impl Fn(Shard) -> Rank,
    world_size: usize,
    remainder: Remainder,
    state: &State,
) -> Vec<u32> {
    let mut seen = vec![];
    for rank in 0..world_size {
        let rank = of(Shard { rank, world_size, remainder });
        seen.resize(rank.items, 0);
        rank.loader.load_state(state).unwrap();
        let mut epoch = rank.start();
        while let Some(batch) = epoch.next() {
            count(&mut seen, batch);
        }
        assert_eq!((rank.loader.state().epoch, rank.loader.state().start), (state.epoch + 1, 0));
    }
    seen
}

#[test]
fn equal_numbers_of_batches_are_equal_states_and_nothing_is_lost_or_doubled() {
    for from in ALL {
        for (items, world_size, batch_size) in
            (1..10).flat_map(|items| (1..5).flat_map(move |w| (1..4).map(move |b| (items, w, b))))
        {
            for remainder in [Remainder::Pad, Remainder::Drop, Remainder::Keep] {
                for drop_last in [false, true] {
                    check(from, items, world_size, batch_size, remainder, drop_last);
                }
            }
        }
    }
}

fn check(
    from: From,
    items: usize,
    world_size: usize,
    batch_size: usize,
    remainder: Remainder,
    drop_last: bool,
) {
    let case = format!("{from:?} {items} {world_size} {batch_size} {remainder:?} {drop_last}");
    let of = |shard| Rank::new(from, items, shard, batch_size, drop_last);
    let ranks: Vec<_> =
        (0..world_size).map(|rank| of(Shard { rank, world_size, remainder })).collect();
    let mut epochs: Vec<_> = ranks.iter().map(Rank::start).collect();
    let mut seen = vec![0; items];
    loop {
        let states: Vec<_> = ranks.iter().map(|rank| rank.loader.state()).collect();
        assert!(states.iter().all(|state| *state == states[0]), "{case}: {states:?}");
        if states[0].epoch == 1 {
            assert_eq!(states[0].start, 0);
            break;
        }
        // Any number of ranks goes on from here.
        for other in [1, 2, 3] {
            let rest = rest(of, other, remainder, &states[0]);
            let both: Vec<u32> = seen.iter().zip(&rest).map(|(a, b)| a + b).collect();
            let left = items - states[0].start;
            assert!(
                both.iter().all(|&times| times <= 1) || remainder == Remainder::Pad,
                "{case}: {both:?}"
            );
            let lost = both.iter().filter(|&&times| times == 0).count();
            let most = match (remainder, drop_last) {
                (Remainder::Drop, false) => left % other,
                (_, false) => 0,
                (Remainder::Drop, true) => (left / other) % batch_size * other + left % other,
                (_, true) => (batch_size - 1) * other,
            };
            assert!(lost <= most, "{case}, then {other}: {lost} of {both:?} lost");
            let doubled = both.iter().map(|&times| times.saturating_sub(1)).sum::<u32>() as usize;
            let pads =
                if remainder == Remainder::Pad { left.next_multiple_of(other) - left } else { 0 };
            assert!(doubled <= pads, "{case}, then {other}: {both:?}");
        }
        // The end of a rank that has fewer counts as a batch of none.
        for epoch in &mut epochs {
            if let Some(batch) = epoch.next() {
                count(&mut seen, batch);
            }
        }
    }
    // No rank has more.
    assert!(epochs.iter_mut().all(|epoch| epoch.next().is_none()), "{case}");
}

#[test]
fn samplers_that_are_read_and_numbers_that_are_known_give_the_same_batches() {
    for remainder in [Remainder::Pad, Remainder::Drop, Remainder::Keep] {
        for (items, world_size, batch_size) in
            (1..9).flat_map(|items| (1..12).flat_map(move |w| (1..4).map(move |b| (items, w, b))))
        {
            for rank in 0..world_size {
                let batches = |from| {
                    let rank = Rank::new(
                        from,
                        items,
                        Shard { rank, world_size, remainder },
                        batch_size,
                        false,
                    );
                    let mut epoch = rank.start();
                    std::iter::from_fn(move || epoch.next()).collect::<Vec<_>>()
                };
                let expected = batches(From::Numbers);
                assert_eq!(batches(From::Sampler { says: true }), expected);
                assert_eq!(batches(From::Sampler { says: false }), expected);
            }
        }
    }
}

#[test]
fn workers_make_batches_of_what_is_read_for_them() {
    for num_workers in [0, 1, 3] {
        let config = Config { batch_size: 7, num_workers, prefetch_factor: 3, ..Config::default() };
        let field = Field::new("x", Arc::new(View::from_vec((0..1000i64).collect())));
        let loader = Loader::builder(vec![field], config).unwrap().sampler().build().unwrap();
        let epoch =
            loader.start_epoch_of(Sampled::Read(Sampling::default()), Shard::default()).unwrap();
        let mut running = Running { epoch, unread: Some((0..1000).rev().collect()) };
        assert_eq!(running.epoch.remaining(), None);
        let first = running.next().unwrap();
        // No more is read than may be begun.
        let read = 1000 - running.unread.as_ref().unwrap().len();
        assert_eq!(read, if num_workers == 0 { 7 } else { 21 });
        let mut all = first;
        all.extend(std::iter::from_fn(|| running.next()).flatten());
        assert_eq!(all, (0..1000).rev().collect::<Vec<_>>());
    }
}

#[test]
fn a_batch_of_a_sampler_that_is_not_read_is_an_error_and_not_a_wait() {
    for num_workers in [0, 2] {
        let field = Field::new("x", Arc::new(View::from_vec(vec![0i64; 10])));
        let config = Config { num_workers, ..Config::default() };
        let loader = Loader::builder(vec![field], config).unwrap().sampler().build().unwrap();
        let mut epoch =
            loader.start_epoch_of(Sampled::Read(Sampling::default()), Shard::default()).unwrap();
        assert_eq!(
            epoch.next().unwrap().unwrap_err().to_string(),
            "batch 0 has no items: read the sampler before the batch is asked for"
        );
        assert!(epoch.next().is_none());
    }
}

#[test]
fn a_sampler_that_fails_is_not_at_its_end() {
    for num_workers in [0, 2] {
        let field = Field::new("x", Arc::new(View::from_vec((0..10i64).collect())));
        let config = Config { batch_size: 2, num_workers, ..Config::default() };
        let loader = Loader::builder(vec![field], config).unwrap().sampler().build().unwrap();
        let mut epoch =
            loader.start_epoch_of(Sampled::Read(Sampling::default()), Shard::default()).unwrap();
        epoch.add(&[3, 4], None).unwrap();
        let error = epoch.add(&[5, 10], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the sampler gave item 10 at place 3, but there are 10 items"
        );
        epoch.fail_sampler().unwrap();
        assert_eq!(epoch.next().unwrap().unwrap().views()[0].to_vec::<i64>().unwrap(), [3, 4]);
        assert!(epoch.next().is_none());
        assert_eq!((loader.state().epoch, loader.state().start), (0, 2));
    }
}

#[test]
fn a_batch_may_have_more_items_than_there_are_and_no_more_than_a_sampler_says() {
    let of = |expected| {
        let field = Field::new("x", Arc::new(View::from_vec(vec![7i64, 8])));
        let config = Config { batch_size: 6, ..Config::default() };
        let loader = Loader::builder(vec![field], config).unwrap().sampler().build().unwrap();
        let sampling = Sampling { expected, ..Sampling::default() };
        loader.start_epoch_of(Sampled::Read(sampling), Shard::default()).unwrap()
    };
    for (expected, numbers) in [(None, vec![1; 6]), (Some(9), vec![1; 6]), (Some(4), vec![0; 4])] {
        let mut epoch = of(expected);
        assert_eq!(epoch.to_read(), numbers.len());
        epoch.add(&numbers, None).unwrap();
        let made = epoch.next().unwrap().unwrap().views()[0].to_vec::<i64>().unwrap();
        assert_eq!(made, vec![7 + numbers[0]; numbers.len()]);
    }
    let epoch = of(Some(4));
    epoch.add(&[0; 4], None).unwrap();
    assert_eq!(
        epoch.add(&[0], None).unwrap_err().to_string(),
        "the sampler gives more items than its length, 4"
    );
}

#[test]
fn an_epoch_that_cannot_start_is_still_the_next_one() {
    let field = Field::new("x", Arc::new(View::from_vec(vec![7i64, 8])));
    let config = Config { shuffle: true, shuffler: Shuffler::Torch, ..Config::default() };
    let builder = Loader::builder(vec![field], config).unwrap();
    let loader = builder.samples(1 << 60).build().unwrap();
    let state = State::new(5, 9, None, loader.basis()).unwrap();
    for state in [None, Some(state)] {
        if let Some(state) = &state {
            loader.load_state(state).unwrap();
        }
        let before = (loader.next_start(), loader.state());
        assert!(loader.start_epoch().unwrap_err().to_string().starts_with("cannot allocate"));
        assert_eq!((loader.next_start(), loader.state()), before);
    }
}
