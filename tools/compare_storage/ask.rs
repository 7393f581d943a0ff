//! Questions to a server, in PromQL over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel::model::Labels;
use serde_json::Value;

use crate::Outcome;
use crate::harness::Http;

/// The longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// A connection for questions.
pub(crate) struct Asker {
    http: Http,
}

impl Asker {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Asker> {
        let mut http = Http::connect(address)?;
        http.wait_up_to(ANSWER_WITHIN)?;
        Ok(Asker { http })
    }

    /// The samples of one series in a span, left-open; `None` if there is no such series there.
    ///
    /// # Errors
    ///
    /// If more than one series answers.
    pub(crate) fn samples(&mut self, labels: &Labels, after: i64, until: i64) -> Outcome<Option<Vec<(i64, f64)>>> {
        let answer = self.instant(&format!("{}[{}ms]", selector(labels), until - after), until)?;
        let rows = answer.as_array().ok_or("the result is no list")?;
        match rows.as_slice() {
            [] => Ok(None),
            [row] => {
                Ok(Some(row["values"].as_array().ok_or("a row without values")?.iter().filter_map(sample).collect()))
            }
            rows => Err(format!("{} series answer to {}", rows.len(), selector(labels)).into()),
        }
    }

    /// How many samples of a metric there are in a span, over all its series.
    pub(crate) fn count(&mut self, metric: &str, after: i64, until: i64) -> Outcome<u64> {
        let expression = format!("sum(count_over_time({metric}[{}ms]))", until - after);
        let answer = self.instant(&expression, until)?;
        Ok(answer.get(0).and_then(|row| sample(&row["value"])).map_or(0, |(_, n)| n as u64))
    }

    fn instant(&mut self, expression: &str, at: i64) -> Outcome<Value> {
        let form = format!("query={}&time={}.{:03}", escape(expression), at.div_euclid(1000), at.rem_euclid(1000));
        let answer = self.http.form("/api/v1/query", &form)?;
        if answer.status != 200 {
            return Err(format!("{expression} was answered with {}: {}", answer.status, answer.text()).into());
        }
        let mut value: Value = serde_json::from_slice(&answer.body)?;
        Ok(value["data"]["result"].take())
    }
}

/// Time in seconds and value in quotes, as all of them write it.
fn sample(value: &Value) -> Option<(i64, f64)> {
    let t = (value.get(0)?.as_f64()? * 1000.0).round() as i64;
    Some((t, value.get(1)?.as_str()?.parse().ok()?))
}

/// A selector of exactly these labels.
fn selector(labels: &Labels) -> String {
    let matchers: Vec<String> = labels.iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    format!("{{{}}}", matchers.join(","))
}

/// Percent-encodes all but letters and digits.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}
