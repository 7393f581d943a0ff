//! Tests of `wire`: seeded mutations of valid bodies, which must be answered and never panic.

use evenkeel::env::Rng;
use evenkeel::model::{Batch, Labels, Sample, Timestamp};
use evenkeel::wire::{Exposition, Format, Line, encode_remote_write, exposition, remote_write, to_exposition};

const TEXT: &str = r#"# HELP http_requests_total Requests\nserved.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a\"b\\c\n"} 1027 1395066363000
http_requests_total { code = "400" , } 3
{"http.latency","le.x"="0.5"} +Inf
# a comment with é
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="é"} 1.458255915e9
nothing NaN -3
"#;

const OPEN_METRICS: &str = r#"# TYPE foo counter
# UNIT foo seconds
# HELP foo Some "text"\n.
foo_total{a="b"} 17.0 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.1
foo_bucket{le="+Inf"} 17 # {} 0.67
foo_created 1520430000.123
# TYPE "a.b" stateset
{"a.b",x="y"} 1
# EOF
"#;

/// Changes up to four places: another byte, a byte that has a meaning, a cut, a doubled piece.
fn mutate(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    const TELLING: &[u8] = b"\n\r\t {}\",=#\\0x+-.eNI_:\xff\xc3\x00\x80";
    let mut bytes = body.to_vec();
    for _ in 0..=rng.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(6) {
            0 => bytes[at] = rng.bits() as u8,
            1 => bytes[at] = TELLING[rng.below(TELLING.len() as u64) as usize],
            2 => bytes.insert(at, TELLING[rng.below(TELLING.len() as u64) as usize]),
            3 => {
                bytes.remove(at);
            }
            4 => bytes.truncate(at),
            _ => {
                let end = at + rng.below((bytes.len() - at) as u64) as usize;
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

/// Reads a text to its end by both ways in and checks that they agree.
fn read_both_ways(text: &[u8], format: Format) {
    let whole = exposition(text, format, Timestamp(5));
    let mut lines = 0;
    let mut failed = false;
    match Exposition::new(text, format) {
        Err(_) => failed = true,
        Ok(reader) => {
            for line in reader {
                match line {
                    Ok(Line::Sample(sample)) => match sample.labels() {
                        Ok(labels) => {
                            lines += 1;
                            assert!(!labels.metric_name().is_empty());
                        }
                        Err(_) => failed = true,
                    },
                    Ok(_) => {}
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        failed = true;
                    }
                }
            }
        }
    }
    assert_eq!(whole.is_err(), failed);
    if let Ok(samples) = whole {
        assert_eq!(samples.len(), lines);
    }
}

#[test]
fn mutated_exposition_texts_are_answered() {
    for (text, format) in [(TEXT, Format::Text), (OPEN_METRICS, Format::OpenMetrics)] {
        assert!(exposition(text.as_bytes(), format, Timestamp(0)).is_ok());
        for seed in 0..20_000 {
            let body = mutate(&mut Rng::new(seed), text.as_bytes());
            let caught = std::panic::catch_unwind(|| read_both_ways(&body, format));
            assert!(caught.is_ok(), "seed {seed}, {format:?}: {:?}", String::from_utf8_lossy(&body));
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_text_is_answered() {
    for (text, format) in [(TEXT, Format::Text), (OPEN_METRICS, Format::OpenMetrics)] {
        for at in 0..text.len() {
            read_both_ways(&text.as_bytes()[..at], format);
            for bit in 0..8 {
                let mut body = text.as_bytes().to_vec();
                body[at] ^= 1 << bit;
                read_both_ways(&body, format);
            }
        }
    }
}

#[test]
fn a_cut_open_metrics_text_is_always_refused() {
    // Without the last newline it is still whole; any shorter text lacks its end.
    for at in 0..OPEN_METRICS.len() - 1 {
        assert!(exposition(&OPEN_METRICS.as_bytes()[..at], Format::OpenMetrics, Timestamp(0)).is_err(), "cut at {at}");
    }
}

#[test]
fn mutated_remote_write_bodies_are_answered() {
    let mut batch = Batch::new();
    for i in 0..8i64 {
        let code = (200 + i).to_string();
        let labels = Labels::new([("__name__", "http_requests_total"), ("code", &code), ("job", "a")]).unwrap();
        batch.push_series(labels, (0..3).map(|n| Sample { t: Timestamp(1_700_000_000_000 + n), v: (i * n) as f64 }));
    }
    let body = encode_remote_write(&batch);
    let decoded = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    assert_eq!(remote_write(&body).unwrap(), batch);
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        // Half of the mutations hit the message behind the compression, which an attacker controls too.
        let mutant = if seed % 2 == 0 {
            mutate(&mut rng, &body)
        } else {
            snap::raw::Encoder::new().compress_vec(&mutate(&mut rng, &decoded)).unwrap()
        };
        let caught = std::panic::catch_unwind(|| {
            if let Ok(batch) = remote_write(&mutant) {
                assert!(batch.series().iter().all(|labels| !labels.metric_name().is_empty()));
            }
        });
        assert!(caught.is_ok(), "seed {seed}: {mutant:x?}");
    }
}

/// A text of up to eight characters, among them all that have a meaning in the formats.
fn odd_text(rng: &mut Rng) -> String {
    const CHARS: [char; 20] =
        ['a', 'Z', '_', ':', '0', '9', ' ', '\t', '\n', '\r', '"', '\\', '{', '}', ',', '=', '#', 'é', '\u{0}', '𝄞'];
    (0..1 + rng.below(8)).map(|_| CHARS[rng.below(CHARS.len() as u64) as usize]).collect()
}

#[test]
fn whatever_is_written_reads_back() {
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let mut written = Vec::new();
        for _ in 0..1 + rng.below(5) {
            let mut labels = Labels::empty().builder();
            labels.set("__name__", &odd_text(&mut rng));
            for _ in 0..rng.below(4) {
                labels.set(&odd_text(&mut rng), &odd_text(&mut rng));
            }
            let value = f64::from_bits(rng.bits());
            let labels = labels.build().unwrap();
            if !value.is_nan() && written.iter().all(|(other, _)| *other != labels) {
                written.push((labels, value));
            }
        }
        let text = to_exposition(&written, &[]);
        let read = exposition(text.as_bytes(), Format::Text, Timestamp(7));
        let mut read = read.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        read.sort_by(|a, b| a.0.cmp(&b.0));
        written.sort_by(|a, b| a.0.cmp(&b.0));
        let mut batch = Batch::new();
        for ((labels, value), (back, sample)) in written.iter().zip(&read) {
            assert_eq!((labels, value.to_bits()), (back, sample.v.to_bits()), "seed {seed}\n{text}");
            batch.push(labels.clone(), *sample);
        }
        assert_eq!(written.len(), read.len(), "seed {seed}\n{text}");
        assert_eq!(remote_write(&encode_remote_write(&batch)).unwrap(), batch, "seed {seed}");
    }
}
