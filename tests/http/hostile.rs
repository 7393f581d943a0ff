//! Peers that are slow, greedy or confused: each is answered or cut, and the server goes on.

use evenkeel::server::{Hosts, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{get, parse, raw, send};
use super::running::{Running, impatient};

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    all
}

#[tokio::test]
async fn a_header_that_does_not_end_is_cut() {
    let server = Running::start(impatient()).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ").await.unwrap();
    assert!(read_to_end(&mut silent).await.is_empty());
    read_to_end(&mut slow).await;
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
}

#[tokio::test]
async fn a_second_header_has_the_same_limit_as_the_first() {
    let mut options = impatient();
    options.listen.idle_timeout = std::time::Duration::from_secs(60);
    let server = Running::start(options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream.write_all(b"GET / HTTP/1.1\r\nX-").await.unwrap();
    read_to_end(&mut stream).await;
}

#[tokio::test]
async fn a_connection_may_rest_only_so_long() {
    let server = Running::start(impatient()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let answer = parse(&read_to_end(&mut stream).await);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_body_that_stops_is_refused() {
    let server = Running::start(impatient()).await;
    let request = b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 100\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nquery=";
    let answer = parse(&raw(server.address, request).await);
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert_eq!(answer.json()["status"], "error");
}

#[tokio::test]
async fn an_oversized_body_is_refused_before_it_is_read() {
    let server = Running::start(ServerOptions::default()).await;
    let request = b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 99999999999\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nquery=";
    let answer = parse(&raw(server.address, request).await);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let mut options = ServerOptions::default();
    options.body.bytes_max = 8;
    let server = Running::start(options).await;
    let chunked = b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n9\r\nquery=abc\r\n0\r\n\r\n";
    assert_eq!(parse(&raw(server.address, chunked).await).status, 413);
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = Running::start(ServerOptions::default()).await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over there, i speak tls\r\n\r\n".as_slice(),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"G\0T / HTTP/1.1\r\n\r\n",
    ] {
        let answer = raw(server.address, bytes).await;
        assert!(answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    }
    let odd = send(server.address, "BREW", "/api/v1/query", &[], b"").await;
    assert_eq!((odd.status, odd.text()), (405, "Method Not Allowed\n"));
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Running::start(ServerOptions::default()).await;
    let many: String = (0..200).map(|i| format!("X-{i}: 1\r\n")).collect();
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n");
    assert_eq!(parse(&raw(server.address, request.as_bytes()).await).status, 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "a".repeat(100_000));
    let answer = raw(server.address, long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let mut options = ServerOptions::default();
    options.listen.connections_max = 1;
    let server = Running::start(options).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let answer = parse(&read_to_end(&mut second).await);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
}

#[tokio::test]
async fn a_strange_host_is_refused() {
    let server = Running::start(ServerOptions::default()).await;
    let ask = async |host: &str| send(server.address, "GET", "/-/healthy", &[("Host", host)], b"").await;
    assert_eq!(ask("evil.example").await.status, 403);
    assert_eq!(ask("localhost").await.status, 200);
    let open = Running::start(ServerOptions { hosts: Hosts::Any, ..ServerOptions::default() }).await;
    assert_eq!(send(open.address, "GET", "/-/healthy", &[("Host", "a.example")], b"").await.status, 200);
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let server = Running::start(ServerOptions::default()).await;
    for headers in [[("Origin", "http://evil.example")], [("Sec-Fetch-Site", "cross-site")]] {
        for path in ["/-/reload", "/api/v1/deploys", "/api/v1/write"] {
            assert_eq!(send(server.address, "POST", path, &headers, b"").await.status, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn a_stop_lets_requests_finish() {
    let server = Running::start(ServerOptions::default()).await;
    let address = server.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /api/v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 7\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n").await.unwrap();
    // The server asks for the body, so the request is in a handler's hands.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let stopping = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"query=1").await.unwrap();
    let answer = parse(&read_to_end(&mut stream).await);
    assert!(answer.text().contains("status"), "{}", answer.text());
    stopping.await.unwrap();
}
