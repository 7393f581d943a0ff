//! What the peer does not know: functions and syntax newer than it, found by asking it.

use evenkeel::promql::{Function, ValueType};

use crate::Outcome;
use crate::grammar::COMPUTED;
use crate::servers::{Asker, Question};

/// Syntax: its name, texts of which one stands in an expression that uses it, and such an expression.
const SYNTAX: [(&str, &[&str], &str); 5] = [
    ("fill", &["fill (", "fill_left (", "fill_right ("], "up + fill (0) up"),
    ("</", &[" </ "], "up </ 1"),
    (">/", &[" >/ "], "up >/ 1"),
    ("anchored", &[" anchored"], "rate(up[5m] anchored)"),
    ("smoothed", &[" smoothed"], "rate(up[5m] smoothed)"),
];

/// What it does not know: name, and texts of which one stands in an expression that uses it.
pub(crate) struct Unknown(Vec<(String, Vec<String>)>);

impl Unknown {
    /// Asks a peer.
    pub(crate) fn find(peer: &mut Asker) -> Outcome<Unknown> {
        let mut all = Vec::new();
        let mut refused = |probe: &str| -> Outcome<Option<String>> {
            let answer = peer.instant(&Question::at_start(probe))?;
            Ok(answer.error.map(|(_, text)| text))
        };
        for function in Function::ALL {
            let arguments = function.args().iter().map(|kind| match kind {
                ValueType::Scalar => "1",
                ValueType::String => "\"x\"",
                ValueType::Vector => "up",
                ValueType::Matrix => "up[5m]",
            });
            let name = function.name();
            let probe = format!("{name}({})", arguments.collect::<Vec<_>>().join(", "));
            let unknown = refused(&probe)?.is_some_and(|text| text.contains("unknown function"));
            // Without arguments it may be the end of a word, or a keyword behind `@`.
            if unknown && function.args().is_empty() {
                all.push((format!("{name}()"), Vec::new()));
            } else if unknown {
                all.push((format!("{name}()"), vec![format!("{name}(")]));
            } else if refused(&probe)?.is_some_and(|text| text.contains("unexpected")) {
                all.push((format!("{name}()"), Vec::new()));
            }
        }
        for (name, texts, probe) in SYNTAX {
            if refused(probe)?.is_some() {
                all.push((name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect()));
            }
        }
        for duration in COMPUTED {
            let texts = ["[D]", "[D:", ":D]", "offset (D)", "offset -(D)"].map(|text| text.replace('D', duration));
            let probes = [format!("sum_over_time(up[{duration}])"), format!("up offset ({duration})")];
            let mut unknown = false;
            for probe in &probes {
                unknown |= refused(probe)?.is_some();
            }
            if unknown {
                all.push((format!("[{duration}]"), texts.to_vec()));
            }
        }
        Ok(Unknown(all))
    }

    /// What of it an expression uses.
    pub(crate) fn of(&self, text: &str) -> Option<&str> {
        let uses = |name: &str, texts: &[String]| match name.strip_suffix("()") {
            Some(function) if texts.is_empty() => calls(text, function),
            _ => texts.iter().any(|needle| text.contains(needle.as_str())),
        };
        self.0.iter().find(|(name, texts)| uses(name, texts)).map(|(name, _)| name.as_str())
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Whether a function without arguments is called, and not meant as the instant of `@`.
fn calls(text: &str, function: &str) -> bool {
    let call = format!("{function}()");
    text.match_indices(&call).any(|(at, _)| {
        let before = &text[..at];
        !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && !before.ends_with("@ ")
    })
}
