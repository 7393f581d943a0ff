//! Values to measure with: generated shapes, Numenta's benchmark, a recording of node_exporter.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use evenkeel::env::Rng;

/// Series of one kind.
pub(crate) struct Source {
    /// What they are.
    pub(crate) name: String,
    /// Their names and values.
    pub(crate) series: Vec<(String, Vec<f64>)>,
}

/// Values of a generated series.
const COUNT: usize = 3 * 8192;
/// Series of each generated kind.
const SERIES: u64 = 4;

/// Shapes of metrics, generated from fixed seeds.
pub(crate) fn generated() -> Vec<Source> {
    let source = |name: &str, series: &dyn Fn(&mut Rng) -> Vec<f64>| Source {
        name: name.to_owned(),
        series: (0..SERIES).map(|n| (format!("{name} {n}"), series(&mut Rng::new(n + 1)))).collect(),
    };
    let cumulative = |steps: Vec<f64>| {
        let mut sum = 1000.0;
        steps
            .into_iter()
            .map(|step| {
                sum += step;
                sum
            })
            .collect::<Vec<f64>>()
    };
    let poisson = |rng: &mut Rng, mean: f64| {
        if mean > 30.0 {
            return (mean + mean.sqrt() * rng.normal()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), rng.unit(), 0.0);
        while product > limit {
            product *= rng.unit();
            n += 1.0;
        }
        n
    };
    let each =
        |rng: &mut Rng, value: &mut dyn FnMut(&mut Rng) -> f64| (0..COUNT).map(|_| value(rng)).collect::<Vec<f64>>();
    vec![
        source("counter, 100 per second", &|rng| cumulative(each(rng, &mut |rng| poisson(rng, 1500.0)))),
        source("counter, 0.2 per scrape", &|rng| cumulative(each(rng, &mut |rng| poisson(rng, 0.2)))),
        source("cpu seconds, hundredths", &|rng| {
            let mut hundredths = 123_456.0;
            each(rng, &mut |rng| {
                hundredths += poisson(rng, 350.0);
                hundredths / 100.0
            })
        }),
        source("sum of latencies, doubles", &|rng| cumulative(each(rng, &mut |rng| rng.unit() * 30.0))),
        source("memory, multiples of 4096", &|rng| {
            let mut pages = 500_000.0;
            each(rng, &mut |rng| {
                if rng.below(3) > 0 {
                    pages += (40.0 * rng.normal()).round();
                }
                pages * 4096.0
            })
        }),
        source("ratio, 3 decimals", &|rng| each(rng, &mut |rng| (500.0 + 50.0 * rng.normal()).round() / 1000.0)),
        source("temperature, 1 decimal", &|rng| {
            let mut tenths = 210.0;
            each(rng, &mut |rng| {
                tenths += rng.normal().round();
                tenths / 10.0
            })
        }),
        source("load average, 2 decimals", &|rng| {
            let mut load = 1.0;
            each(rng, &mut |rng| {
                load += (rng.unit() * 2.0 - load) * 0.2;
                (load * 100.0f64).round() / 100.0
            })
        }),
        source("gauge, full mantissa", &|rng| {
            let mut level = 50.0;
            each(rng, &mut |rng| {
                level += 0.01 * rng.normal();
                level
            })
        }),
        source("random, 16 digits", &|rng| each(rng, &mut |rng| rng.unit())),
        source("small gauge in steps", &|rng| {
            let mut n = 40.0;
            each(rng, &mut |rng| {
                if rng.below(50) == 0 {
                    n = 30.0 + rng.below(20) as f64;
                }
                n
            })
        }),
        source("up, 0.1 % zeros", &|rng| each(rng, &mut |rng| f64::from(rng.below(1000) > 0))),
        source("constant", &|rng| vec![rng.below(9) as f64; COUNT]),
    ]
}

/// The benchmark's real series, one source for each folder.
pub(crate) fn numenta(folder: &Path) -> std::io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut kinds: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    kinds.sort_by_key(|kind| kind.path());
    for kind in kinds.into_iter().filter(|kind| kind.path().is_dir()) {
        let name = kind.file_name().to_string_lossy().into_owned();
        let mut series = Vec::new();
        let mut files: Vec<_> = std::fs::read_dir(kind.path())?.collect::<Result<_, _>>()?;
        files.sort_by_key(|file| file.path());
        for file in files {
            let text = std::fs::read_to_string(file.path())?;
            let value = |line: &str| line.rsplit_once(',').and_then(|(_, value)| value.trim().parse().ok());
            let values: Vec<f64> = text.lines().skip(1).filter_map(value).collect();
            series.push((file.file_name().to_string_lossy().into_owned(), values));
        }
        sources.push(Source { name: format!("NAB {name}"), series });
    }
    Ok(sources)
}

/// The series of a recording: every second, and as scrapes every 15 s would have seen them.
pub(crate) fn recorded(file: &Path) -> std::io::Result<Vec<Source>> {
    let bytes = std::fs::read(file)?;
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut rest = bytes.as_slice();
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let Some(packed) = behind.get(..length) else { break };
        rest = &behind[length..];
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(packed).read_to_string(&mut text)?;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            match series.get_mut(name) {
                Some(values) => values.push(value),
                None => drop(series.insert(name.to_owned(), vec![value])),
            }
        }
    }
    let every = |step: usize, offsets: usize| {
        let mut columns = Vec::new();
        for (name, values) in &series {
            for offset in 0..offsets {
                columns
                    .push((name.clone(), values.iter().skip(offset * step / offsets).step_by(step).copied().collect()));
            }
        }
        columns
    };
    Ok(vec![
        Source { name: "node_exporter, every 1 s".to_owned(), series: every(1, 1) },
        Source { name: "node_exporter, every 15 s".to_owned(), series: every(15, 1) },
    ])
}
