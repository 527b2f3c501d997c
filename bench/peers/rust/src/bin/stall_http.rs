// SPDX-License-Identifier: Apache-2.0
// Tokio's side of the stall benchmark: `stall_http PORT COUNT`. hyper on two workers, and COUNT
// tasks that compute for 200 ms without yielding, pause for 5 ms, and begin again.
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const COMPUTE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(5);

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    let value = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, value);
    Ok(response)
}

fn compute() {
    let start = Instant::now();
    let mut x: u64 = 1;
    while start.elapsed() < COMPUTE {
        for _ in 0..10_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        }
        x = black_box(x);
    }
}

async fn stall() {
    loop {
        compute();
        tokio::time::sleep(PAUSE).await;
    }
}

async fn serve(port: u16, count: usize) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    for _ in 0..count {
        tokio::spawn(stall());
    }
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let port = args[1].parse().unwrap();
    let count = args[2].parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async move { tokio::spawn(serve(port, count)).await.unwrap() });
}
