//! Episodes that people labelled: times in which something was wrong, as YAML or CSV.

use crate::backtest::Episode;
use crate::model::{Labels, Timestamp};

use super::error::ConfigError;
use super::section::{Field, Section};
use super::source::{Place, Source};
use super::yaml;

/// Reads a file: CSV if its first line has commas and begins like one, YAML otherwise.
pub(super) fn read(source: &Source<'_>) -> Result<Vec<Episode>, ConfigError> {
    let head = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut episodes = match head.split(',').any(|name| name.trim() == "start") {
        true => csv(source)?,
        false => yaml(source)?,
    };
    episodes.sort_by_key(|episode| (episode.start, episode.end));
    Ok(episodes)
}

fn yaml(source: &Source<'_>) -> Result<Vec<Episode>, ConfigError> {
    let node = yaml::parse(source)?;
    let mut top = Section::of(source, &node, "a file of episodes")?;
    let mut episodes = Vec::new();
    for item in top.need("episodes", "a file of episodes")?.list()? {
        let what = "an episode";
        let mut section = item.section(what)?;
        let time = |field: Field<'_>| {
            let text = field.word()?;
            instant(&text).ok_or_else(|| field.error(format!("\"{text}\" is no instant; {HOW}")))
        };
        let (start, end) = (section.need("start", what)?, section.need("end", what)?);
        let episode = Episode {
            start: time(start)?,
            end: time(end)?,
            labels: section.get("labels").map(|f| f.labels()).transpose()?.unwrap_or_else(Labels::empty),
            name: section.get("name").map(|f| f.text()).transpose()?.unwrap_or_default(),
        };
        if episode.end < episode.start {
            return Err(end.error("the episode ends before it begins; exchange start and end"));
        }
        section.finish(what)?;
        episodes.push(episode);
    }
    top.finish("a file of episodes")?;
    Ok(episodes)
}

const HOW: &str = "give seconds since the epoch, or 2026-11-23T13:49:07Z";

fn instant(text: &str) -> Option<Timestamp> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    seconds.map(Timestamp::from_seconds).or_else(|| Timestamp::parse_rfc3339(text))
}

/// Columns `start`, `end`, perhaps `name`; every other column is a label. Values have no commas.
fn csv(source: &Source<'_>) -> Result<Vec<Episode>, ConfigError> {
    let mut offset = 0;
    let mut columns: Vec<String> = Vec::new();
    let mut episodes = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let place = Place { start: offset, end: offset + line.trim_end().len() };
        offset += line.len();
        let cells: Vec<&str> = line.trim_end().split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        if line.trim().is_empty() {
            continue;
        }
        if columns.is_empty() {
            columns = cells.iter().map(|cell| (*cell).to_owned()).collect();
            if !columns.iter().any(|name| name == "end") {
                return Err(source.error(place, "the column \"end\" is missing; add it"));
            }
            continue;
        }
        if cells.len() != columns.len() {
            let (found, wanted) = (cells.len(), columns.len());
            return Err(source.error(place, format!("{found} cells under {wanted} columns; values have no commas")));
        }
        let cell = |name: &str| columns.iter().position(|column| column == name).map_or("", |at| cells[at]);
        let time = |name: &str| {
            let text = cell(name);
            instant(text).ok_or_else(|| source.error(place, format!("\"{text}\" is no instant; {HOW}")))
        };
        let (start, end) = (time("start")?, time("end")?);
        if end < start {
            return Err(source.error(place, "the episode ends before it begins; exchange start and end"));
        }
        let pairs = columns.iter().map(String::as_str).zip(cells.iter().copied());
        let pairs = pairs.filter(|(name, value)| !matches!(*name, "start" | "end" | "name") && !value.is_empty());
        let labels = Labels::new(pairs).map_err(|error| source.error(place, error.to_string()))?;
        episodes.push(Episode { start, end, labels, name: cell("name").to_owned() });
    }
    Ok(episodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Variables;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let source = Source {
            name: "e".to_owned(),
            text: text.to_owned(),
            variables: Variables::Literal,
            environment: &|_| None,
        };
        let told = |one: &Episode| format!("{} {} {} {}", one.start.0, one.end.0, one.labels, one.name);
        let found = read(&source).map(|all| all.iter().map(told).collect::<Vec<_>>());
        let found = found.map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned());
        assert_eq!(
            found,
            expected.map(|all| all.iter().map(|s| s.to_string()).collect()).map_err(String::from),
            "{text}"
        );
    }

    #[test]
    fn both_forms_say_the_same() {
        let expected = ["1000 2500 {job=\"a\"} disk", "1767225600000 1767225660000 {} "];
        check("start,end,name,job\n2026-01-01T00:00:00Z,2026-01-01T00:01:00Z,,\n1,2.5,disk,a\n", Ok(&expected));
        check(
            "episodes:\n- {start: 1, end: 2.5, labels: {job: a}, name: disk}\n- start: 2026-01-01T00:00:00Z\n  end: 1767225660\n",
            Ok(&expected),
        );
        check("start,end\n2,1\n", Err("e:2:1: the episode ends before it begins; exchange start and end"));
        check("start,end\n2\n", Err("e:2:1: 1 cells under 2 columns; values have no commas"));
        check("start,stop\n2,1\n", Err("e:1:1: the column \"end\" is missing; add it"));
        check(
            "start,end\nx,1\n",
            Err("e:2:1: \"x\" is no instant; give seconds since the epoch, or 2026-11-23T13:49:07Z"),
        );
        check("episodes:\n- {start: 1, ende: 2}\n", Err("e:2:4: an episode needs the key \"end\"; add it"));
    }
}
