//! Remote read and federation over the wire.

use std::sync::Arc;

use evenkeel::model::{Histogram, HistogramCounts, HistogramSample, Labels, ResetHint, Timestamp};

use super::client::{Answer, get, send};
use super::running::NOW_MS;
use super::shop::{Row, Shop, batch};

/// A message's fields in the wire form of protocol buffers; all lengths stay below 128.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    out.extend(content);
    out
}

fn number(field: u8, mut n: u64) -> Vec<u8> {
    let mut out = vec![field << 3];
    while n >= 0x80 {
        out.push((n as u8 & 0x7f) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// A request for `name` over the last hour.
fn request(name: &str, accepted: &[u8]) -> Vec<u8> {
    let matcher = [field(2, b"__name__"), field(3, name.as_bytes())].concat();
    let query = [number(1, (NOW_MS - 3_600_000) as u64), number(2, NOW_MS as u64), field(3, &matcher)].concat();
    let mut message = field(1, &query);
    if !accepted.is_empty() {
        message.extend(field(2, accepted));
    }
    snap::raw::Encoder::new().compress_vec(&message).unwrap()
}

async fn read(shop: &Shop, body: &[u8]) -> Answer {
    let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
    send(shop.server.address, "POST", "/api/v1/read", &headers, body).await
}

async fn stored() -> Shop {
    let shop = Shop::open().await;
    let m: &[(&str, &str)] = &[("__name__", "m"), ("a", "b")];
    let written = shop.write(&batch(&[(m, NOW_MS - 1000, 1.5), (m, NOW_MS, 2.5)])).await;
    assert_eq!(written.status, 204);
    shop
}

#[tokio::test]
async fn samples_come_as_one_message() {
    let shop = stored().await;
    let answer = read(&shop, &request("m", &[])).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(answer.header("content-encoding"), Some("snappy"));
    let message = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
    let label = |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let sample = |v: f64, t: i64| {
        field(2, &[[vec![1 << 3 | 1], v.to_le_bytes().to_vec()].concat(), number(2, t as u64)].concat())
    };
    let series = [label("__name__", "m"), label("a", "b"), sample(1.5, NOW_MS - 1000), sample(2.5, NOW_MS)].concat();
    assert_eq!(message, field(1, &field(1, &series)));
    let nothing = read(&shop, &request("n", &[])).await;
    assert_eq!(snap::raw::Decoder::new().decompress_vec(&nothing.body).unwrap(), field(1, b""));
}

#[tokio::test]
async fn chunks_come_as_a_stream() {
    let shop = stored().await;
    let answer = read(&shop, &request("m", &[1, 0])).await;
    assert_eq!(answer.status, 200);
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!((answer.header("content-type"), answer.header("content-encoding")), (Some(kind), None));
    let (length, message) = (usize::from(answer.body[0]), &answer.body[5..]);
    assert_eq!(message.len(), length, "one frame");
    assert!(message.windows(8).any(|part| part == b"__name__"), "{message:?}");
    assert!(read(&shop, &request("n", &[1])).await.body.is_empty());
}

#[tokio::test]
async fn native_histograms_come_in_both_forms() {
    let shop = Shop::open().await;
    let m: &[(&str, &str)] = &[("__name__", "m"), ("a", "b")];
    let mut written = batch(&[(m, NOW_MS - 1000, 1.5)]);
    let histogram = Histogram {
        reset_hint: ResetHint::Gauge,
        schema: 3,
        zero_threshold: 0.5,
        sum: 7.25,
        positive_spans: vec![],
        negative_spans: vec![],
        bounds: vec![],
        counts: HistogramCounts::Integer { count: 5, zero: 5, positive: vec![], negative: vec![] },
    };
    let labels = Labels::new(m.iter().copied()).unwrap();
    let histogram = HistogramSample { t: Timestamp(NOW_MS), start: Timestamp(0), histogram: Arc::new(histogram) };
    written.push_histogram(labels, histogram);
    assert_eq!(shop.write(&written).await.status, 204);
    let answer = read(&shop, &request("m", &[])).await;
    let message = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
    let sum = 7.25f64.to_le_bytes();
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    // Field 4 of the series, which begins with its count.
    assert!(holds(&message, &[1 << 3, 5]) && holds(&message, &[&[3 << 3 | 1][..], &sum].concat()), "{message:?}");
    let answer = read(&shop, &request("m", &[1])).await;
    // Encoding 2, one histogram, a gauge's, of this threshold.
    let head = [3 << 3, 2, 4 << 3 | 2];
    assert!(holds(&answer.body, &head) && holds(&answer.body, &[0, 1, 0b1100_0000, 243]), "{:?}", answer.body);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_words() {
    let shop = stored().await;
    let check = async |body: &[u8], text: &str| {
        let answer = read(&shop, body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(text), "{}", answer.text());
    };
    check(b"", "it is empty").await;
    check(b"no snappy here", "not a valid snappy block").await;
    check(&request("m", &[9]), "accept SAMPLES or STREAMED_XOR_CHUNKS").await;
}

#[tokio::test]
async fn federation_tells_the_newest_samples() {
    let shop = Shop::open().await;
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let samples: &[Row<'_>] = &[
        (&[("__name__", "a"), ("job", "x"), ("instance", "h:1")], NOW_MS - 2000, 1.0),
        (&[("__name__", "a"), ("job", "x"), ("instance", "h:1")], NOW_MS - 1000, 2.0),
        (&[("__name__", "b.c")], NOW_MS, 0.5),
        (&[("__name__", "gone")], NOW_MS, stale),
        (&[("__name__", "old")], NOW_MS - 400_000, 1.0),
    ];
    assert_eq!(shop.write(&batch(samples)).await.status, 204);
    let all = "/federate?match[]=%7B__name__%3D~%22.%2B%22%7D&match[]=a";
    let answer = get(shop.server.address, all).await;
    let expected = format!(
        "# TYPE a untyped\na{{instance=\"h:1\",job=\"x\"}} 2 {}\n# TYPE b_c untyped\nb_c{{instance=\"\"}} 0.5 {NOW_MS}\n",
        NOW_MS - 1000
    );
    assert_eq!((answer.status, answer.text()), (200, expected.as_str()));
    let kind = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    assert_eq!(answer.header("content-type"), Some(kind));
    let whole = send(
        shop.server.address,
        "GET",
        "/federate?match[]=%7B%22b.c%22%7D",
        &[("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8")],
        b"",
    );
    let expected = format!("# TYPE \"b.c\" untyped\n{{instance=\"\",\"b.c\"}} 0.5 {NOW_MS}\n");
    assert_eq!(whole.await.text(), expected);
    assert_eq!(get(shop.server.address, "/federate").await.text(), "");
    assert_eq!(get(shop.server.address, "/federate?match[]=x%7B").await.status, 400);
}
