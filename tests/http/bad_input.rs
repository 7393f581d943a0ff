//! Writes that cannot be taken: each gets its documented answer, which names the place; nothing of it
//! is stored; the next good write works.

use std::sync::Arc;

use evenkeel::env::disk::Survival;
use evenkeel::model::{Batch, MatchOp, Matcher, STALE_NAN, Sample, TimeRange, Timestamp, limits};
use evenkeel::storage::{Store, StoreOptions};
use evenkeel::wire::encode_remote_write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Answer, get, parse, raw, send};
use super::running::NOW_MS;
use super::shop::{Shop, batch, labels};

/// A message of protocol buffers, field by field.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn bytes(mut self, number: u64, content: impl AsRef<[u8]>) -> Message {
        self.varint(number << 3 | 2);
        self.varint(content.as_ref().len() as u64);
        self.0.extend_from_slice(content.as_ref());
        self
    }

    fn int(mut self, number: u64, n: i64) -> Message {
        self.varint(number << 3);
        self.varint(n.cast_unsigned());
        self
    }

    fn double(mut self, number: u64, v: f64) -> Message {
        self.varint(number << 3 | 1);
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }

    fn label(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Message {
        self.bytes(1, Message::default().bytes(1, name).bytes(2, value).0)
    }

    fn sample(self, t: i64, v: f64) -> Message {
        self.bytes(2, Message::default().double(1, v).int(2, t).0)
    }

    fn series(self, series: Message) -> Message {
        self.bytes(1, series.0)
    }

    fn body(&self) -> Vec<u8> {
        compressed(&self.0)
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

fn message() -> Message {
    Message::default()
}

/// A series with a name and one sample.
fn named(name: &str) -> Message {
    message().label("__name__", name).sample(NOW_MS, 1.0)
}

/// A request with one series that has these labels besides its name.
fn with_label(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    message().series(message().label("__name__", "bad").label(name, value).sample(NOW_MS, 1.0)).body()
}

/// Everything that is stored, as the API shows it: each series with its samples.
async fn stored(shop: &Shop) -> serde_json::Value {
    let everything = "%7B__name__%3D~%22.%2B%22%7D";
    let samples = get(shop.server.address, &format!("/api/v1/query?query={everything}%5B40d%5D")).await;
    let series = get(shop.server.address, &format!("/api/v1/series?match[]={everything}")).await;
    assert_eq!((samples.status, series.status), (200, 200));
    let samples = samples.json()["data"]["result"].take();
    assert_eq!(series.json()["data"].as_array().unwrap().len(), samples.as_array().unwrap().len());
    samples
}

/// Asserts that a write of one more sample of `good` is taken, and that nothing else is there.
async fn goes_on(shop: &Shop, what: &str, good: &mut i64) {
    let t = NOW_MS + *good;
    *good += 1;
    shop.clock.set(t);
    let name: &[(&str, &str)] = &[("__name__", "good")];
    let written = shop.write(&batch(&[(name, t, *good as f64)])).await;
    assert_eq!((written.status, written.text()), (204, ""), "after {what}");
    let there = stored(shop).await;
    assert_eq!(there.as_array().unwrap().len(), 1, "after {what}: {there}");
    assert_eq!(there[0]["metric"].to_string(), r#"{"__name__":"good"}"#, "after {what}");
    let values = there[0]["values"].as_array().unwrap();
    let values: Vec<i64> = values.iter().map(|pair| pair[1].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(values, (1..=*good).collect::<Vec<_>>(), "after {what}");
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_whole() {
    let shop = Shop::open().await;
    let good = message().series(named("other"));
    let snappy = |reason: &str| {
        format!(
            "the body is not a valid snappy block: {reason}; compress it in snappy's block format, not the framed one"
        )
    };
    let place = |place: &str, fault: &str| format!("{place} of the decompressed body: {fault}");
    let mut flipped = good.body();
    flipped.truncate(flipped.len() - 3);
    let two = |second: Message| message().series(named("other")).series(second).body();
    let longer = |bytes: &[u8]| compressed(&[&good.0, bytes].concat());
    let end = good.0.len();
    let cases: Vec<(&str, Vec<u8>, u16, String)> = vec![
        ("nothing", vec![], 400, snappy("it is empty")),
        (
            "text",
            b"hello world".to_vec(),
            400,
            snappy("corrupt input (expected valid offset but got offset 876; dst position: 0)"),
        ),
        (
            "plain protobuf",
            good.0.clone(),
            400,
            snappy("corrupt input (expected valid offset but got offset 266; dst position: 0)"),
        ),
        (
            "snappy's framed format",
            b"\xff\x06\0\0sNaPpY\x01\x05\0\0\0\0\0\0a".to_vec(),
            400,
            snappy("19 bytes cannot hold the 895 that it announces"),
        ),
        (
            "a cut block",
            flipped,
            400,
            snappy("corrupt input (expected literal read of length 39; remaining src: 36; remaining dst: 39)"),
        ),
        (
            "4 GiB announced by six bytes",
            b"\xff\xff\xff\xff\x0f\0".to_vec(),
            413,
            "the body decompresses to 4294967295 bytes; at most 33554432 are taken; send smaller requests".to_owned(),
        ),
        ("a length without end", [0xff; 20].to_vec(), 400, snappy("corrupt input (invalid header)")),
        (
            "a bomb",
            compressed(&vec![0; limits::BODY_DECODED_BYTES_MAX + 1]),
            413,
            "the body decompresses to 33554433 bytes; at most 33554432 are taken; send smaller requests".to_owned(),
        ),
        (
            "a lie about 32 MiB",
            [&[0x80, 0x80, 0x80, 0x10][..], &[0; 100]].concat(),
            400,
            snappy("104 bytes cannot hold the 33554432 that it announces"),
        ),
        (
            "a bomb just inside the limit",
            compressed(&vec![0; limits::BODY_DECODED_BYTES_MAX]),
            400,
            place("the request, byte 0", "a field number is out of range"),
        ),
        (
            "samples of two bytes",
            message()
                .series(Message([named("other").0, [0x12, 0].repeat(limits::SAMPLES_PER_BATCH_MAX)].concat()))
                .body(),
            413,
            "more than 2000000 samples in one body; send smaller requests".to_owned(),
        ),
        (
            "garbage behind",
            longer(&[0x0a]),
            400,
            place(&format!("the request, byte {}", end + 1), "a varint is cut off"),
        ),
        (
            "a cut series",
            longer(&[0x0a, 9, 0]),
            400,
            place(&format!("the request, byte {end}"), "a field is longer than the message around it"),
        ),
        (
            "a group",
            longer(&[0x0b]),
            400,
            place(&format!("the request, byte {end}"), "groups are not part of this message"),
        ),
        (
            "an unknown wire type",
            longer(&[0x0f]),
            400,
            place(&format!("the request, byte {end}"), "a wire type is unknown"),
        ),
        (
            "a series that is a number",
            longer(&[0x08, 1]),
            400,
            place(&format!("series 1, byte {end}"), "a field that should be length-delimited has another wire type"),
        ),
        (
            "a value that is a varint",
            two(message().label("__name__", "x").bytes(2, message().int(1, 3).0)),
            400,
            place(
                &format!("series 1, sample 0, byte {}", end + 19),
                "a field that should be a double has another wire type",
            ),
        ),
        (
            "a label's name that is a number",
            two(message().bytes(1, message().int(1, 3).0)),
            400,
            place(
                &format!("series 1, label 0, byte {}", end + 4),
                "a field that should be length-delimited has another wire type",
            ),
        ),
        (
            "the symbols of remote-write 2.0",
            message().bytes(4, "").bytes(5, "").body(),
            400,
            place("the request, byte 0", "this is a remote-write 2.0 message; send 1.0"),
        ),
    ];
    let mut written = 0;
    for (what, body, status, text) in cases {
        let answer = shop.write_bytes(&body).await;
        assert_eq!((answer.status, answer.text()), (status, format!("{text}\n").as_str()), "{what}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{what}");
        goes_on(&shop, what, &mut written).await;
    }
}

#[tokio::test]
async fn a_series_with_bad_labels_is_refused_and_named() {
    let shop = Shop::open().await;
    let long = |n: usize| "x".repeat(n);
    let mut many = message().label("__name__", "bad").sample(NOW_MS, 1.0);
    for i in 0..limits::LABELS_PER_SERIES_MAX {
        many = many.label(format!("l{i}"), "v");
    }
    let mut endless = message().label("__name__", "bad").sample(NOW_MS, 1.0);
    for i in 0..10_000 {
        endless = endless.label(format!("l{i}"), "v");
    }
    let twice = long(100_000);
    let no_name = "it has no metric name; set the label \"__name__\"".to_owned();
    let cases: Vec<(&str, Vec<u8>, &str, String)> = vec![
        ("no labels", message().series(message().sample(NOW_MS, 1.0)).body(), ", byte 2", no_name.clone()),
        (
            "no metric name",
            message().series(message().label("job", "a").sample(NOW_MS, 1.0)).body(),
            ", byte 2",
            no_name.clone(),
        ),
        ("an empty metric name", message().series(named("")).body(), ", byte 2", no_name),
        (
            "an empty name",
            with_label("", "v"),
            ", label 1, byte 19",
            "the label name is empty; give every label a name".to_owned(),
        ),
        (
            "the same name twice",
            with_label("__name__", "b"),
            ", byte 2",
            "label \"__name__\" stands twice; keep one".to_owned(),
        ),
        ("bytes in a name", with_label(b"a\xff", "v"), ", label 1, byte 24", "a text is not valid UTF-8".to_owned()),
        (
            "bytes in a value",
            with_label("a", b"\xc3\x28"),
            ", label 1, byte 26",
            "a text is not valid UTF-8".to_owned(),
        ),
        (
            "half a surrogate",
            with_label("a", b"ok\xed\xa0\x80"),
            ", label 1, byte 28",
            "a text is not valid UTF-8".to_owned(),
        ),
        (
            "a long name",
            with_label(long(1025), "v"),
            ", byte 3",
            format!("label name \"{}…\" is 1025 bytes long; at most 1024 are taken", long(64)),
        ),
        (
            "a long value",
            with_label("a", long(16_385)),
            ", byte 4",
            "the value of label \"a\" is 16385 bytes long; at most 16384 are taken".to_owned(),
        ),
        (
            "a long name twice",
            message().series(named("bad").label(&twice, "v").label(&twice, "w")).body(),
            ", byte 4",
            format!("label \"{}…\" stands twice; keep one", long(64)),
        ),
        (
            "many labels",
            message().series(many).body(),
            ", byte 3",
            "129 labels on one series; at most 128 are taken".to_owned(),
        ),
        (
            "labels without end",
            message().series(endless).body(),
            ", byte 4",
            "10001 labels on one series; at most 128 are taken".to_owned(),
        ),
    ];
    let mut written = 0;
    for (what, body, place, fault) in cases {
        let answer = shop.write_bytes(&body).await;
        let text = format!(
            "0 samples stored; 1 series refused for their labels; the first: series 0{place} of the decompressed body: {fault}\n"
        );
        assert_eq!((answer.status, answer.text()), (400, text.as_str()), "{what}");
        assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("0"), "{what}");
        goes_on(&shop, what, &mut written).await;
    }
}

#[tokio::test]
async fn what_can_be_stored_of_a_request_is_and_the_rest_is_counted() {
    let shop = Shop::open().await;
    let histogram = named("h").bytes(4, "\u{8}\u{1}").bytes(3, "");
    let request = message()
        .series(named("a"))
        .series(named("b").label("", "x"))
        .series(message().label("__name__", "c").sample(NOW_MS + 86_400_000, 1.0).sample(NOW_MS, 2.0))
        .series(histogram)
        .series(message().sample(NOW_MS, 1.0));
    let answer = shop.write_bytes(&request.body()).await;
    let text = "3 samples stored; \
        2 samples refused: 1 × timestamp too far in the future, 1 × invalid native histogram; the first: timestamp too far in the future at 2026-11-24T15:03:22.000Z in series c; \
        of the first invalid native histogram, in series h: its buckets hold 0 observations, but its count is 1; \
        2 series refused for their labels; the first: series 1, label 1, byte 70 of the decompressed body: the label name is empty; give every label a name\n";
    assert_eq!((answer.status, answer.text()), (400, text));
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("3"));
    let names = get(shop.server.address, "/api/v1/label/__name__/values").await;
    assert_eq!(names.text(), r#"{"status":"success","data":["a","c","h"]}"#);
    // Sent again as it is, everything that is stored is known: nothing changes, nothing is stored twice.
    let before = stored(&shop).await;
    let again = shop.write_bytes(&request.body()).await;
    assert_eq!((again.status, again.text()), (400, text.replace("3 samples stored", "0 samples stored").as_str()));
    assert_eq!(stored(&shop).await, before);
}

/// A sample's time as an offset, and its value.
type Offset = (i64, f64);

/// What is there, what is sent, and what is said of it: the reason and the time.
type TimeCase = (&'static [Offset], Offset, Option<(&'static str, &'static str)>);

#[tokio::test]
async fn times_that_cannot_be_stored_are_refused_one_by_one() {
    const HOUR: i64 = 3_600_000;
    let (order, duplicate) = ("out of order sample", "duplicate sample for timestamp");
    let (future, old) = ("timestamp too far in the future", "timestamp older than the retention");
    let ten_minutes = limits::FUTURE_MAX.0;
    let retention = StoreOptions::default().retention.0;
    let cases: Vec<TimeCase> = vec![
        (&[(0, 1.0)], (0, 1.0), None),
        (&[(0, f64::NAN)], (0, f64::NAN), None),
        (&[(0, 1.0)], (0, 2.0), Some((duplicate, "2026-11-23T15:03:22.000Z"))),
        (&[(0, 0.0)], (0, -0.0), Some((duplicate, "2026-11-23T15:03:22.000Z"))),
        (&[(0, f64::NAN)], (0, f64::from_bits(STALE_NAN)), Some((duplicate, "2026-11-23T15:03:22.000Z"))),
        (&[(0, 1.0)], (-1, 1.0), Some((order, "2026-11-23T15:03:21.999Z"))),
        (&[(-HOUR, 1.0), (0, 1.0)], (-HOUR, 1.0), Some((order, "2026-11-23T14:03:22.000Z"))),
        (&[], (ten_minutes + 1, 1.0), Some((future, "2026-11-23T15:13:22.001Z"))),
        (&[], (i64::MAX - NOW_MS, 1.0), Some((future, "292278994-08-17T07:12:55.807Z"))),
        (&[], (-retention, 1.0), Some((old, "2026-10-24T15:03:22.000Z"))),
        (&[], (i64::MIN, 1.0), Some((old, "-292274998-04-09T07:50:26.192Z"))),
    ];
    for (before, (offset, value), refused) in cases {
        let shop = Shop::open().await;
        let name: &[(&str, &str)] = &[("__name__", "m")];
        for (offset, value) in before {
            assert_eq!(shop.write(&batch(&[(name, NOW_MS + offset, *value)])).await.status, 204);
        }
        let there = stored(&shop).await;
        let answer = shop.write(&batch(&[(name, NOW_MS.saturating_add(offset), value)])).await;
        let expected = match refused {
            None => (204, String::new()),
            Some((reason, at)) => (
                400,
                format!(
                    "0 samples stored; 1 sample refused: 1 × {reason}; the first: {reason} at {at} in series m{}\n",
                    if reason == order {
                        "; late samples are taken within storage.out_of_order of the configuration, 0 unless set; a sender with one queue sends none"
                    } else {
                        ""
                    }
                ),
            ),
        };
        assert_eq!((answer.status, answer.text().to_owned()), expected, "{offset} on {before:?}");
        assert_eq!(stored(&shop).await, there, "{offset} on {before:?}");
        // The bounds themselves are taken.
        shop.clock.set(NOW_MS + 1);
        assert_eq!(shop.write(&batch(&[(name, NOW_MS + 1, 7.0)])).await.status, 204, "{offset} on {before:?}");
    }
    let shop = Shop::open().await;
    let bounds = batch(&[
        (&[("__name__", "old")], NOW_MS - retention + 1, 1.0),
        (&[("__name__", "new")], NOW_MS + ten_minutes, 1.0),
    ]);
    assert_eq!(shop.write(&bounds).await.status, 204);
}

#[tokio::test]
async fn an_error_text_is_bounded() {
    let shop = Shop::open().await;
    let value = "v".repeat(limits::LABEL_VALUE_BYTES_MAX);
    let far = message().series(message().label("__name__", "m").label("a", &value).sample(i64::MAX, 1.0));
    let answer = shop.write_bytes(&far.body()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().ends_with("vvv…\n") && answer.text().len() < 1024, "{}", answer.text());
}

#[tokio::test]
async fn every_bit_of_a_value_is_kept_and_a_staleness_marker_ends_its_series() {
    let shop = Shop::open().await;
    let bits = [
        0x7ff8_0000_0000_0001,
        0x7ff0_0000_0000_0001,
        0xfff8_dead_beef_0001,
        STALE_NAN,
        0x8000_0000_0000_0000,
        1,
        0xfff0_0000_0000_0000,
    ];
    let mut all = Batch::new();
    for (i, bits) in bits.iter().enumerate() {
        let name = format!("m{i}");
        let t = Timestamp(NOW_MS - 1000);
        all.push(labels(&[("__name__", &name)]), Sample { t, v: f64::from_bits(*bits) });
    }
    assert_eq!(shop.write(&all).await.status, 204);
    // What a power cut leaves, read as stored.
    let disk = shop.disk.power_cut(Survival::Least);
    let (store, mut replay) = Store::open(Arc::new(disk), "/db".as_ref(), StoreOptions::default()).unwrap();
    while replay.next().unwrap().is_some() {}
    let everything = [Matcher::new("__name__", MatchOp::Match, ".+").unwrap()];
    let range = TimeRange { after: Timestamp(0), until: Timestamp(NOW_MS) };
    let found = store.snapshot().select(&everything, range, 1000).unwrap();
    let found: Vec<u64> = found.iter().map(|series| series.samples[0].v.to_bits()).collect();
    assert_eq!(found, bits);

    let instant = async |query: &str| {
        let answer = get(shop.server.address, &format!("/api/v1/query?query={query}")).await;
        answer.json()["data"]["result"].to_string()
    };
    assert_eq!(instant("m0").await, r#"[{"metric":{"__name__":"m0"},"value":[1795446202,"NaN"]}]"#);
    assert_eq!(instant("m3").await, "[]", "a staleness marker is no value");
    let marker = f64::from_bits(STALE_NAN);
    let name: &[(&str, &str)] = &[("__name__", "m5")];
    assert_eq!(shop.write(&batch(&[(name, NOW_MS, marker)])).await.status, 204);
    assert_eq!(instant("m5").await, "[]", "the series has ended");
    assert_eq!(instant("m5%20offset%201s").await, r#"[{"metric":{"__name__":"m5"},"value":[1795446202,"5e-324"]}]"#);
    assert_eq!(instant("count_over_time(m5%5B1m%5D)").await, r#"[{"metric":{},"value":[1795446202,"1"]}]"#);
    shop.clock.set(NOW_MS + 1000);
    assert_eq!(shop.write(&batch(&[(name, NOW_MS + 1000, 2.0)])).await.status, 204, "it may begin again");
    assert_eq!(instant("m5").await, r#"[{"metric":{"__name__":"m5"},"value":[1795446203,"2"]}]"#);
}

#[tokio::test]
async fn requests_of_another_protocol_are_refused() {
    let shop = Shop::open().await;
    let body = message().series(named("other")).body();
    let proto = ("Content-Type", "application/x-protobuf");
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "content type \"\" is not taken; send application/x-protobuf"),
        (
            &[("Content-Type", "application/json")],
            "content type \"application/json\" is not taken; send application/x-protobuf",
        ),
        (
            &[("Content-Type", "text/plain; proto=prometheus.WriteRequest")],
            "content type \"text/plain; proto=prometheus.writerequest\" is not taken; send application/x-protobuf",
        ),
        (
            &[("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")],
            "message \"io.prometheus.write.v2.request\" is not taken; send prometheus.WriteRequest (remote-write 1.0)",
        ),
        (&[proto, ("Content-Encoding", "gzip")], "content encoding \"gzip\" is not taken; send snappy"),
        (&[proto, ("Content-Encoding", "deflate")], "content encoding \"deflate\" is not taken; send snappy"),
        (&[proto, ("Content-Encoding", "snappy, gzip")], "content encoding \"snappy, gzip\" is not taken; send snappy"),
        (&[proto, ("Content-Encoding", "")], "content encoding \"\" is not taken; send snappy"),
    ];
    let mut written = 0;
    for (headers, text) in cases {
        let answer = send(shop.server.address, "POST", "/api/v1/write", headers, &body).await;
        assert_eq!((answer.status, answer.text()), (415, format!("{text}\n").as_str()));
        goes_on(&shop, text, &mut written).await;
    }
    let got = send(shop.server.address, "GET", "/api/v1/write", &[], b"").await;
    assert_eq!((got.status, got.text()), (405, "Method Not Allowed\n"));
    goes_on(&shop, "GET", &mut written).await;
}

/// The head of a write with these lines in it.
fn head(lines: &str) -> Vec<u8> {
    format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n{lines}\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn bodies_come_with_a_length_in_chunks_or_not_at_all() {
    let shop = Shop::open().await;
    let address = shop.server.address;
    let body = encode_remote_write(&batch(&[(&[("__name__", "good")], NOW_MS, 1.0)]));
    let text = |answer: &Answer| answer.text().trim_end().to_owned();

    let none = parse(&raw(address, &head("")).await);
    let expected =
        "the body is not a valid snappy block: it is empty; compress it in snappy's block format, not the framed one";
    assert_eq!((none.status, text(&none)), (400, expected.to_owned()));

    let large = parse(&raw(address, &head("Content-Length: 16777217\r\n")).await);
    let expected = "the body is larger than 16777216 bytes; send smaller requests";
    assert_eq!((large.status, text(&large)), (413, expected.to_owned()));

    let mut cut = TcpStream::connect(address).await.unwrap();
    let mut bytes = head(&format!("Content-Length: {}\r\n", body.len()));
    bytes.extend(&body[..body.len() / 2]);
    cut.write_all(&bytes).await.unwrap();
    cut.shutdown().await.unwrap();
    let mut answer = Vec::new();
    cut.read_to_end(&mut answer).await.unwrap();
    let cut = parse(&answer);
    assert_eq!((cut.status, text(&cut).starts_with("the body broke off: ")), (400, true), "{}", cut.text());

    for chunk in ["zz\r\n", "5\r\nabc", "ffffffffffffffffff\r\n"] {
        let mut broken = head("Transfer-Encoding: chunked\r\n");
        broken.extend(chunk.as_bytes());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&broken).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(parse(&answer).status, 400, "{chunk:?}: {}", String::from_utf8_lossy(&answer));
    }
    let smuggled = parse(&raw(address, &head("Transfer-Encoding: gzip\r\nContent-Length: 3\r\n")).await);
    assert_eq!(smuggled.status, 400);
    assert_eq!(get(address, "/api/v1/labels").await.text(), r#"{"status":"success","data":[]}"#);

    let mut chunked = head("Transfer-Encoding: chunked\r\n");
    for part in body.chunks(7) {
        chunked.extend(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend(part);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(parse(&raw(address, &chunked).await).status, 204);
    goes_on(&shop, "all of it", &mut 1).await;
}
