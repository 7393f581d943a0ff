//! Writes JSON text.
//!
//! Invariants:
//! - What was opened by a call is closed when it returns; commas are placed by the writer.

use std::fmt::Write;

use crate::model::Labels;

/// A JSON text in the making.
#[derive(Default)]
pub(super) struct Json {
    out: String,
    comma: bool,
}

impl Json {
    pub(super) fn new() -> Json {
        Json::default()
    }

    /// An object whose members `fill` writes.
    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Json)) -> &mut Json {
        self.nested('{', '}', fill)
    }

    /// An array whose elements `fill` writes.
    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Json)) -> &mut Json {
        self.nested('[', ']', fill)
    }

    /// The name of a member; its value must follow.
    pub(super) fn key(&mut self, name: &str) -> &mut Json {
        self.string(name);
        self.out.push(':');
        self.comma = false;
        self
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Json {
        self.separate();
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                // Line separators end a line in older JavaScript readers, the others may be markup
                // where a message is shown; Alertmanager escapes the same.
                c if c < ' ' || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                    // Writing to a String cannot fail.
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
        self
    }

    pub(super) fn number(&mut self, n: u64) -> &mut Json {
        self.separate();
        let _ = write!(self.out, "{n}");
        self
    }

    /// A label set as an object.
    pub(super) fn labels(&mut self, labels: &Labels) -> &mut Json {
        self.object(|json| {
            for label in labels.iter() {
                json.key(label.name).string(label.value);
            }
        })
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    fn nested(&mut self, open: char, close: char, fill: impl FnOnce(&mut Json)) -> &mut Json {
        self.separate();
        self.out.push(open);
        self.comma = false;
        fill(self);
        self.out.push(close);
        self.comma = true;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_commas_placed() {
        let mut json = Json::new();
        json.object(|json| {
            json.key("a\"\\\n\u{1}\u{8}<&>\u{2028}é").number(7);
            json.key("list").array(|json| {
                json.string("x").number(2).object(|_| {});
                json.array(|_| {});
            });
            json.key("labels").labels(&Labels::new([("b", "1"), ("a", "2")]).unwrap());
        });
        let text = String::from_utf8(json.into_bytes()).unwrap();
        assert_eq!(
            text,
            "{\"a\\\"\\\\\\n\\u0001\\b\\u003c\\u0026\\u003e\\u2028é\":7,\"list\":[\"x\",2,{},[]],\"labels\":{\"a\":\"2\",\"b\":\"1\"}}"
        );
    }
}
