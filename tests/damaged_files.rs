//! Damaged copies of small files, given to every parser: each ends with a value or an error, soon, in memory in proportion to the
//! file, and without a panic. `WGRAD_DAMAGED=N` sets the number of copies for each parser, `WGRAD_PARSER=NAME` takes one parser,
//! `WGRAD_SEED=N` is the first seed. A single test, so that nothing else allocates meanwhile.

mod parsers;

use parsers::{Target, damage::damaged, memory::Counting, targets};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use wgrad::random::Stream;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Gives `copies` damaged copies of the valid files to `target`. Returns how many were accepted, and the most bytes that one took.
fn check(target: &Target, first: u64, copies: u64) -> (u64, usize) {
    let name = &target.name;
    for (number, seed) in target.seeds.iter().enumerate() {
        assert!(target.check(seed).0, "{name} can't read its file {number}");
    }
    let (mut accepted, mut most) = (0, 0);
    for (seed, whole) in (first..first + copies).zip(target.seeds.iter().cycle()) {
        let copy = damaged(whole, &mut Stream::new(seed, 1));
        match catch_unwind(AssertUnwindSafe(|| target.check(&copy))) {
            Ok((read, taken)) => {
                accepted += u64::from(read);
                most = most.max(taken);
            }
            Err(_) => panic!("{name} fails for the copy of seed {seed}"),
        }
    }
    // Other parsers read the same folder.
    target.check(&target.seeds[0]);
    (accepted, most)
}

#[test]
fn every_parser_takes_damaged_files() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let (first, copies) = (number("WGRAD_SEED", 0), number("WGRAD_DAMAGED", 1000));
    let only = std::env::var("WGRAD_PARSER").ok();
    let dir = tempfile::tempdir().unwrap();
    let mut targets = targets(dir.path());
    targets.retain(|target| only.as_ref().is_none_or(|only| target.name == *only));
    assert!(!targets.is_empty(), "no parser is called {only:?}");
    for target in &targets {
        let start = Instant::now();
        let (accepted, most) = check(target, first, copies);
        println!(
            "{:<16} {copies:>8} copies, {accepted:>8} accepted, in {:>6.1} s, at most {:>6} KiB",
            target.name,
            start.elapsed().as_secs_f64(),
            most >> 10
        );
    }
    println!("{} executions", copies * targets.len() as u64);
}
