// SPDX-License-Identifier: Apache-2.0
// Tokio's side of the task benchmarks: `tokio_micro BENCH WORKERS`.
// Work and sizes are those of bench/micro; one warm-up pass, then the pass that is reported.
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, Mutex};
use tokio::task::{spawn, spawn_blocking, yield_now, JoinHandle};

const YIELDS_1: u64 = 1_000_000;
const YIELDS_16: u64 = 100_000;
const YIELDS_10K: u64 = 200;
const SPAWN_SEQ: u64 = 200_000;
const SPAWN_MANY: u64 = 1_000_000;
const PINGPONG: u64 = 200_000;
const STREAM: u64 = 2_000_000;
const ONESHOT: u64 = 200_000;
const MUTEX_TASKS: u64 = 4;
const MUTEX_EACH: u64 = 200_000;
const SLEEPERS: u64 = 1_000_000;
const BLOCKING_SEQ: u64 = 5_000;
const BLOCKING_MANY: u64 = 200_000;
const MEMORY_TASKS: u64 = 100_000;
const STEAL_JOBS: u64 = 20_000;

async fn join_all<T>(handles: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut out = Vec::with_capacity(handles.len());
    for handle in handles {
        out.push(handle.await.unwrap());
    }
    out
}

async fn yields(tasks: u64, each: u64) -> f64 {
    let start = Instant::now();
    let handles = (0..tasks)
        .map(|_| {
            spawn(async move {
                for _ in 0..each {
                    yield_now().await;
                }
            })
        })
        .collect();
    join_all(handles).await;
    ns(start) / (tasks * each) as f64
}

fn ns(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64
}

async fn spawn_join_seq() -> f64 {
    let start = Instant::now();
    let mut sum = 0;
    for i in 0..SPAWN_SEQ {
        sum += spawn(async move { i & 1 }).await.unwrap();
    }
    assert_eq!(sum, SPAWN_SEQ / 2);
    ns(start) / SPAWN_SEQ as f64
}

async fn spawn_join_many() -> f64 {
    let start = Instant::now();
    let mut handles = Vec::with_capacity(SPAWN_MANY as usize);
    for i in 0..SPAWN_MANY {
        handles.push(spawn(async move { i & 1 }));
    }
    let mut sum = 0;
    for handle in handles {
        sum += handle.await.unwrap();
    }
    assert_eq!(sum, SPAWN_MANY / 2);
    ns(start) / SPAWN_MANY as f64
}

async fn chan_pingpong() -> f64 {
    let (ping_tx, mut ping_rx) = mpsc::channel::<u64>(1);
    let (pong_tx, mut pong_rx) = mpsc::channel::<u64>(1);
    let start = Instant::now();
    let echo = spawn(async move {
        while let Some(v) = ping_rx.recv().await {
            pong_tx.send(v + 1).await.unwrap();
        }
    });
    for i in 0..PINGPONG {
        ping_tx.send(i).await.unwrap();
        assert_eq!(pong_rx.recv().await, Some(i + 1));
    }
    drop(ping_tx);
    echo.await.unwrap();
    ns(start) / PINGPONG as f64
}

async fn chan_stream() -> f64 {
    let (tx, mut rx) = mpsc::channel::<u64>(1024);
    let start = Instant::now();
    let producer = spawn(async move {
        for i in 0..STREAM {
            tx.send(i).await.unwrap();
        }
    });
    let mut sum = 0;
    while let Some(v) = rx.recv().await {
        sum += v;
    }
    producer.await.unwrap();
    assert_eq!(sum, STREAM * (STREAM - 1) / 2);
    ns(start) / STREAM as f64
}

async fn oneshots() -> f64 {
    let start = Instant::now();
    for i in 0..ONESHOT {
        let (tx, rx) = oneshot::channel::<u64>();
        spawn(async move { tx.send(i).unwrap() });
        assert_eq!(rx.await, Ok(i));
    }
    ns(start) / ONESHOT as f64
}

async fn mutex_4() -> f64 {
    let lock = Arc::new(Mutex::new(0u64));
    let start = Instant::now();
    let handles = (0..MUTEX_TASKS)
        .map(|_| {
            let lock = lock.clone();
            spawn(async move {
                for _ in 0..MUTEX_EACH {
                    *lock.lock().await += 1;
                }
            })
        })
        .collect();
    join_all(handles).await;
    assert_eq!(*lock.lock().await, MUTEX_TASKS * MUTEX_EACH);
    ns(start) / (MUTEX_TASKS * MUTEX_EACH) as f64
}

async fn sleep_1m() -> f64 {
    let start = Instant::now();
    let mut handles = Vec::with_capacity(SLEEPERS as usize);
    for i in 0..SLEEPERS {
        handles.push(spawn(async move {
            tokio::time::sleep(Duration::from_millis(1 + i % 100)).await;
            1
        }));
    }
    let mut woken = 0;
    for handle in handles {
        woken += handle.await.unwrap();
    }
    assert_eq!(woken, SLEEPERS);
    ns(start) / SLEEPERS as f64
}

async fn blocking_seq() -> f64 {
    let start = Instant::now();
    let mut sum = 0;
    for i in 0..BLOCKING_SEQ {
        sum += spawn_blocking(move || i & 1).await.unwrap();
    }
    assert_eq!(sum, BLOCKING_SEQ / 2);
    ns(start) / BLOCKING_SEQ as f64
}

async fn blocking_many() -> f64 {
    let start = Instant::now();
    let handles = (0..BLOCKING_MANY)
        .map(|_| spawn_blocking(|| std::thread::current().id()))
        .collect();
    let threads: HashSet<_> = join_all(handles).await.into_iter().collect();
    let per = ns(start) / BLOCKING_MANY as f64;
    assert!(!threads.contains(&std::thread::current().id()));
    per
}

fn status_kib(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn resident() -> f64 {
    ((status_kib("VmRSS:") + status_kib("VmPTE:")) * 1024) as f64
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

// All tasks wait on one semaphore, so that the figure holds no channel.
async fn parked_task() -> f64 {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let mut handles = Vec::with_capacity(MEMORY_TASKS as usize);
    let before = resident();
    for _ in 0..MEMORY_TASKS {
        let gate = gate.clone();
        handles.push(spawn(async move { drop(gate.acquire().await) }));
    }
    settle().await;
    let per = (resident() - before) / MEMORY_TASKS as f64;
    gate.close();
    join_all(handles).await;
    per
}

async fn deferred_task() -> f64 {
    let before = resident();
    let mut handles = Vec::with_capacity(MEMORY_TASKS as usize);
    for _ in 0..MEMORY_TASKS {
        handles.push(spawn(tokio::time::sleep(Duration::from_secs(3600))));
    }
    settle().await;
    let per = (resident() - before) / MEMORY_TASKS as f64;
    handles.iter().for_each(|h| h.abort());
    per
}

fn burn(us: u64) {
    let end = Instant::now() + Duration::from_micros(us);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

async fn steal(workers: u64) -> f64 {
    let mut sum = 0;
    let start = Instant::now();
    let mut handles = Vec::with_capacity(STEAL_JOBS as usize);
    for i in 0..STEAL_JOBS {
        let us = 10 + i * 7919 % 991;
        sum += us;
        handles.push(spawn(async move { burn(us) }));
    }
    join_all(handles).await;
    ns(start) / (sum as f64 * 1000.0 / workers as f64)
}

async fn pass(bench: &str, workers: u64) -> Option<f64> {
    Some(match bench {
        "yield-1" => yields(1, YIELDS_1).await,
        "yield-16" => yields(16, YIELDS_16).await,
        "yield-10k" => yields(10_000, YIELDS_10K).await,
        "spawn-join-seq" => spawn_join_seq().await,
        "spawn-join-many" => spawn_join_many().await,
        "chan-pingpong" => chan_pingpong().await,
        "chan-stream-1024" => chan_stream().await,
        "oneshot" => oneshots().await,
        "mutex-4" => mutex_4().await,
        "sleep-1m" => sleep_1m().await,
        "blocking-seq" => blocking_seq().await,
        "blocking-many" => blocking_many().await,
        "parked-task" => parked_task().await,
        "deferred-task" => deferred_task().await,
        "steal" => steal(workers).await,
        _ => return None,
    })
}

fn is_cold(bench: &str) -> bool {
    matches!(bench, "parked-task" | "deferred-task" | "steal")
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let workers: u64 = args[2].parse().unwrap();
    let bench = args[1].clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers as usize)
        .enable_all()
        .build()
        .unwrap();
    // The root runs as a task, on a worker: on the main thread it would pay a wake per join.
    let value = runtime.block_on(async move {
        spawn(async move {
            // A warm-up would fill the allocator's free lists and hide the memory.
            if !is_cold(&bench) {
                pass(&bench, workers).await;
            }
            pass(&bench, workers).await
        })
        .await
        .unwrap()
    });
    match value {
        Some(v) => println!("{{\"value\": {v:.3}}}"),
        None => println!("{{\"value\": null, \"reason\": \"not a Tokio benchmark\"}}"),
    }
    std::process::exit(0);
}
