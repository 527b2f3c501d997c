// SPDX-License-Identifier: Apache-2.0
// hyper's side of the HTTP benchmarks: `hyper_http multi|current PORT`.
// One worker either way; pipeline_flush lets it answer pipelined requests in one write.
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::net::{TcpListener, TcpStream};

static BODY: &[u8] = b"Hello, World!";

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let found = request.uri().path() == "/plaintext";
    let body = if found {
        Bytes::from_static(BODY)
    } else {
        Bytes::new()
    };
    let mut response = Response::new(Full::new(body));
    if !found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    let headers = response.headers_mut();
    headers.insert(
        SERVER,
        HeaderValue::from_static("hyper-response-padded-to-29-b"),
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn connection(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    // An error here is the client's doing (reset, end in mid-request); the next one is served.
    let _ = http1::Builder::new()
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream));
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let port: u16 = args[2].parse().unwrap();
    let mut builder = match args[1].as_str() {
        "multi" => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    if args[1] == "multi" {
        builder.worker_threads(1);
    }
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async move { tokio::spawn(serve(port)).await.unwrap() });
}
