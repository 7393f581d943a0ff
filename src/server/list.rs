//! Long lists in the envelope: label values and series may be millions.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::model::Labels;

use super::answer::push_labels;
use super::number::push_string;
use super::parts::{PART_BYTES, Parts, body_of};

/// An entry of a list.
pub(super) trait Entry: Send + Unpin + 'static {
    fn push_to(&self, out: &mut String);
}

impl Entry for String {
    fn push_to(&self, out: &mut String) {
        push_string(out, self);
    }
}

impl Entry for Labels {
    fn push_to(&self, out: &mut String) {
        push_labels(out, self);
    }
}

/// A list, cut to `limit` entries (0: whole) with a warning if that lost some.
pub(super) fn respond<T: Entry>(mut entries: Vec<T>, limit: usize) -> Response {
    let cut = limit > 0 && entries.len() > limit;
    if cut {
        entries.truncate(limit);
    }
    let list = List { entries, place: Place::Head, cut };
    ([(header::CONTENT_TYPE, "application/json")], body_of(list)).into_response()
}

enum Place {
    Head,
    At(usize),
    End,
}

struct List<T> {
    entries: Vec<T>,
    place: Place,
    cut: bool,
}

impl<T: Entry> Parts for List<T> {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        let mut out = String::new();
        while out.len() < PART_BYTES {
            self.place = match self.place {
                Place::Head => {
                    out.push_str("{\"status\":\"success\",\"data\":[");
                    Place::At(0)
                }
                Place::At(at) => match self.entries.get(at) {
                    Some(entry) => {
                        if at > 0 {
                            out.push(',');
                        }
                        entry.push_to(&mut out);
                        Place::At(at + 1)
                    }
                    None => {
                        let warning = ",\"warnings\":[\"results truncated due to limit\"]";
                        out.push(']');
                        out.push_str(if self.cut { warning } else { "" });
                        out.push('}');
                        Place::End
                    }
                },
                Place::End => break,
            };
        }
        (!out.is_empty()).then(|| out.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_comes_in_parts_and_stays_json() {
        let entries: Vec<String> = (0..50_000).map(|n| format!("\"{n}")).collect();
        let mut list = List { entries: entries.clone(), place: Place::Head, cut: true };
        let (mut whole, mut parts) = (Vec::new(), 0);
        while let Some(part) = list.next_part() {
            assert!(part.len() < PART_BYTES + 100);
            whole.extend(part);
            parts += 1;
        }
        assert!(parts > 3);
        let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(json["data"], serde_json::json!(entries));
        assert_eq!(json["warnings"][0], "results truncated due to limit");
    }
}
