// SPDX-License-Identifier: Apache-2.0
// Tokio's side of the file and echo benchmarks, one worker:
// `tokio_io file PATH DEPTH cached|cold READS`, as bench/file/file.c does it, reads by
// spawn_blocking, which is what tokio::fs does for each; `tokio_io echo PORT`, as bench/echo.
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BLOCK_BYTES: u64 = 4096;
const FADV_RANDOM: i32 = 1;
const FADV_DONTNEED: i32 = 4;
const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;

#[repr(C)]
struct Timespec {
    sec: i64,
    nsec: i64,
}

extern "C" {
    fn posix_fadvise(fd: i32, offset: i64, length: i64, advice: i32) -> i32;
    fn clock_gettime(id: i32, out: *mut Timespec) -> i32;
}

fn cpu_ns() -> i64 {
    let mut t = Timespec { sec: 0, nsec: 0 };
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.sec * 1_000_000_000 + t.nsec
}

fn advise(file: &File, advice: i32) {
    assert_eq!(unsafe { posix_fadvise(file.as_raw_fd(), 0, 0, advice) }, 0);
}

fn shuffled(blocks: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..blocks as u32).collect();
    let mut state: u64 = 88172645463325252;
    for i in (1..blocks).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(i as usize, (state % (i + 1)) as usize);
    }
    order
}

fn prepare(path: &str, cold: bool) -> (Arc<File>, Vec<u32>) {
    let mut file = File::open(path).unwrap();
    let blocks = file.metadata().unwrap().len() / BLOCK_BYTES;
    if cold {
        file.sync_all().unwrap();
        advise(&file, FADV_DONTNEED);
    } else {
        let mut buf = vec![0u8; 1 << 20];
        while file.read(&mut buf).unwrap() > 0 {}
    }
    advise(&file, FADV_RANDOM);
    (Arc::new(file), shuffled(blocks))
}

async fn read_some(file: Arc<File>, order: Arc<Vec<u32>>, next: Arc<AtomicU64>, reads: u64) {
    let mut buf = vec![0u8; BLOCK_BYTES as usize];
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        if at >= reads {
            return;
        }
        let block = u64::from(order[(at % order.len() as u64) as usize]);
        let file = file.clone();
        buf = tokio::task::spawn_blocking(move || {
            file.read_exact_at(&mut buf, block * BLOCK_BYTES).unwrap();
            buf
        })
        .await
        .unwrap();
        assert_eq!(u64::from_ne_bytes(buf[..8].try_into().unwrap()), block);
    }
}

async fn read_files(args: Vec<String>) {
    let depth: usize = args[3].parse().unwrap();
    let reads: u64 = args[5].parse().unwrap();
    let (file, order) = prepare(&args[2], args[4] == "cold");
    let order = Arc::new(order);
    let next = Arc::new(AtomicU64::new(0));
    let (wall, cpu) = (Instant::now(), cpu_ns());
    let tasks: Vec<_> = (0..depth)
        .map(|_| tokio::spawn(read_some(file.clone(), order.clone(), next.clone(), reads)))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!(
        "{{\"value\": {:.1}, \"cpu_ns\": {:.1}, \"driver\": \"pool\"}}",
        wall.elapsed().as_nanos() as f64 / reads as f64,
        (cpu_ns() - cpu) as f64 / reads as f64
    );
}

async fn serve(mut stream: TcpStream, requests: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let mut buf = [0u8; 4096];
    while let Ok(n) = stream.read(&mut buf).await {
        if n == 0 {
            return;
        }
        let text;
        let answer = if buf[0] == b'?' {
            text = format!("{{\"requests\": {}}}\n", requests.load(Ordering::Relaxed));
            text.as_bytes()
        } else {
            requests.fetch_add(1, Ordering::Relaxed);
            &buf[..n]
        };
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn echo(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let requests = Arc::new(AtomicU64::new(0));
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, requests.clone()));
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move {
        if args[1] == "file" {
            tokio::spawn(read_files(args)).await.unwrap();
        } else {
            let port = args[2].parse().unwrap();
            tokio::spawn(echo(port)).await.unwrap();
        }
    });
}
