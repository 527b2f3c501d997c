// SPDX-License-Identifier: Apache-2.0
// Rayon's side of the benchmarks of parallel loops: `rayon_par BENCH WORKERS`.
// Work and sizes are those of bench/par; a warm-up pass, then five, whose median is reported.
use rayon::prelude::*;
use std::cmp::Ordering;
use std::hint::black_box;
use std::time::Instant;

const PASSES: usize = 5;
const FIB: u64 = 35;
const JOINS: f64 = 14930351.0;
const SORTED: usize = 20_000_000;
const WORDS: usize = 20_000_000;
const ITEMS: u64 = 1_000_000;
const HEAVY: u64 = ITEMS / 100;
const LIGHT_TURNS: u64 = 40;
const HEAVY_TURNS: u64 = LIGHT_TURNS * 99;

fn randoms(count: usize) -> Vec<u64> {
    let mut x: u64 = 88172645463325252;
    (0..count)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        })
        .collect()
}

/// The time of `run` on what `prepare` made; `verify` and dropping are not timed.
fn timed<T, R>(
    per: f64,
    mut prepare: impl FnMut() -> T,
    mut run: impl FnMut(&mut T) -> R,
    mut verify: impl FnMut(&T, &R),
) -> f64 {
    let mut taken = Vec::new();
    for pass in 0..=PASSES {
        let mut work = prepare();
        let start = Instant::now();
        let out = run(&mut work);
        let ns = start.elapsed().as_nanos() as f64;
        verify(&work, &out);
        if pass > 0 {
            taken.push(ns / per);
        }
    }
    taken.sort_by(f64::total_cmp);
    taken[PASSES / 2]
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

/// Called through a pointer that the compiler knows nothing of, as C calls its comparators.
extern "C" fn compare(a: *const u64, b: *const u64) -> i32 {
    let (x, y) = unsafe { (*a, *b) };
    (x > y) as i32 - (x < y) as i32
}

fn sorted(keys: &[u64]) {
    assert!(keys.windows(2).all(|pair| pair[0] <= pair[1]));
}

fn sort(run: impl Fn(&mut Vec<u64>)) -> f64 {
    timed(1e6, || randoms(SORTED), run, |keys, _| sorted(keys))
}

fn sort_compared(keys: &mut [u64]) {
    let compare: extern "C" fn(*const u64, *const u64) -> i32 = black_box(compare);
    keys.par_sort_by(|a, b| match compare(a, b) {
        c if c < 0 => Ordering::Less,
        0 => Ordering::Equal,
        _ => Ordering::Greater,
    });
}

fn hash_item(item: u64) -> u64 {
    let mut x = item + 1;
    let turns = if item >= ITEMS - HEAVY { HEAVY_TURNS } else { LIGHT_TURNS };
    for _ in 0..turns {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        x ^= x >> 29;
    }
    x
}

fn map_reduce() -> f64 {
    let words = randoms(WORDS);
    let want: u64 = words.iter().map(|word| word.count_ones() as u64).sum();
    timed(
        1e6,
        || (),
        |_| words.par_iter().map(|word| word.count_ones() as u64).sum::<u64>(),
        |_, sum| assert_eq!(*sum, want),
    )
}

fn map_collect() -> f64 {
    timed(
        1e6,
        || (),
        |_| (0..ITEMS).into_par_iter().map(hash_item).collect::<Vec<u64>>(),
        |_, out| assert!((0..ITEMS).step_by(97).all(|i| out[i as usize] == hash_item(i))),
    )
}

fn run(name: &str) -> Option<f64> {
    Some(match name {
        "fork-join" => timed(JOINS, || FIB, |n| fib(*n), |_, out| assert_eq!(*out, 9227465)),
        "par-sort" => sort(|keys| keys.par_sort_unstable()),
        "par-sort-key" => sort(|keys| keys.par_sort_unstable_by_key(|key| *key)),
        "par-sort-cmp" => sort(|keys| sort_compared(keys)),
        "map-reduce" => map_reduce(),
        "map-collect" => map_collect(),
        _ => return None,
    })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let workers = args[2].parse().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    match pool.install(|| run(&args[1])) {
        Some(value) => println!("{{\"value\": {value:.4}}}"),
        None => println!("{{\"value\": null, \"reason\": \"Rayon has none\"}}"),
    }
}
