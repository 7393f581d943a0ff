//! The wire form of protocol buffers: a walk over borrowed bytes.
//!
//! Invariants:
//! - A walker never reads outside its slice and always moves forward.
//! - Offsets count from the start of the outermost message, so that errors name one place.
//!
//! Source: "Protocol Buffers: Encoding", protobuf.dev.

use super::error::WireError;

/// A fault of the wire form, before anybody knows in which part of the message it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) reason: &'static str,
}

impl Fault {
    pub(super) fn at(self, place: impl ToString) -> WireError {
        WireError::Protobuf { place: place.to_string(), offset: self.offset, fault: self.reason.to_owned() }
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    /// Where its key starts.
    pub(super) offset: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(Fields<'a>),
    Fixed32,
}

impl<'a> Field<'a> {
    /// The content of a length-delimited field.
    pub(super) fn bytes(self) -> Result<Fields<'a>, Fault> {
        match self.value {
            Value::Bytes(fields) => Ok(fields),
            _ => Err(self.wrong_type("a field that should be length-delimited has another wire type")),
        }
    }

    /// The text of a length-delimited field.
    pub(super) fn text(self) -> Result<&'a str, Fault> {
        let fields = self.bytes()?;
        std::str::from_utf8(fields.rest)
            .map_err(|error| Fault { offset: fields.offset + error.valid_up_to(), reason: "a text is not valid UTF-8" })
    }

    /// A `double`.
    pub(super) fn double(self) -> Result<f64, Fault> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type("a field that should be a double has another wire type")),
        }
    }

    /// An `int64`.
    pub(super) fn int64(self) -> Result<i64, Fault> {
        match self.value {
            Value::Varint(bits) => Ok(bits.cast_signed()),
            _ => Err(self.wrong_type("a field that should be a varint has another wire type")),
        }
    }

    /// A `uint64`.
    pub(super) fn uint64(self) -> Result<u64, Fault> {
        self.int64().map(i64::cast_unsigned)
    }

    /// A `sint64`, or a `sint32`, whose value is the same.
    pub(super) fn sint64(self) -> Result<i64, Fault> {
        self.uint64().map(from_zigzag)
    }

    fn wrong_type(&self, reason: &'static str) -> Fault {
        Fault { offset: self.offset, reason }
    }
}

/// What the wire form of a `sint64` stands for.
pub(super) fn from_zigzag(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -(n & 1).cast_signed()
}

/// The wire form of a `sint64`.
pub(super) fn to_zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63).cast_unsigned()
}

/// The fields of a message that are still to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Fields<'a> {
        Fields::at(message, 0)
    }

    /// The fields of a part of a message that begins at `offset` of it.
    pub(super) fn at(part: &'a [u8], offset: usize) -> Fields<'a> {
        Fields { rest: part, offset }
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// The next field, or `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<Field<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset;
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > 0x1fff_ffff {
            return Err(Fault { offset, reason: "a field number is out of range" });
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let content = usize::try_from(length).ok().and_then(|length| self.rest.get(..length));
                let rest = content.ok_or(Fault { offset, reason: "a field is longer than the message around it" })?;
                let content = Fields { rest, offset: self.offset };
                self.skip(rest.len());
                Value::Bytes(content)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            3 | 4 => return Err(Fault { offset, reason: "groups are not part of this message" }),
            _ => return Err(Fault { offset, reason: "a wire type is unknown" }),
        };
        Ok(Some(Field { number, offset, value }))
    }

    /// The next of messages that each have their length before them, or `None` at their end.
    pub(super) fn next_delimited(&mut self) -> Result<Option<Fields<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset;
        let length = self.varint()?;
        let content = usize::try_from(length).ok().and_then(|length| self.rest.get(..length));
        let rest = content.ok_or(Fault { offset, reason: "a message is longer than what is there" })?;
        let message = Fields { rest, offset: self.offset };
        self.skip(rest.len());
        Ok(Some(message))
    }

    /// The next of packed varints, or `None` at their end.
    pub(super) fn next_varint(&mut self) -> Result<Option<u64>, Fault> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    /// The next of packed doubles, or `None` at their end.
    pub(super) fn next_double(&mut self) -> Result<Option<f64>, Fault> {
        if self.rest.is_empty() { Ok(None) } else { self.array().map(|bytes| Some(f64::from_le_bytes(bytes))) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Fault> {
        match *self.rest {
            [byte, ..] if byte < 0x80 => {
                self.skip(1);
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut n = 0u64;
        for (i, byte) in self.rest.iter().enumerate() {
            let digit = u64::from(byte & 0x7f);
            // The tenth byte holds the last of 64 bits; anything more does not fit.
            if i == 9 && *byte > 1 {
                return Err(Fault { offset: self.offset, reason: "a varint does not fit into 64 bits" });
            }
            n |= digit << (7 * i);
            if byte & 0x80 == 0 {
                self.skip(i + 1);
                return Ok(n);
            }
        }
        Err(Fault { offset: self.offset, reason: "a varint is cut off" })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some(array) = self.rest.first_chunk::<N>() else {
            return Err(Fault { offset: self.offset, reason: "a number is cut off" });
        };
        self.skip(N);
        Ok(*array)
    }

    fn skip(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
        self.offset += n;
    }
}

/// Writes fields behind each other.
#[derive(Debug, Default)]
pub(super) struct FieldWriter {
    pub(super) bytes: Vec<u8>,
}

impl FieldWriter {
    pub(super) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push((n as u8 & 0x7f) | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    pub(super) fn bytes_field(&mut self, number: u64, content: &[u8]) {
        self.varint(number << 3 | 2);
        self.varint(content.len() as u64);
        self.bytes.extend_from_slice(content);
    }

    pub(super) fn double_field(&mut self, number: u64, value: f64) {
        self.varint(number << 3 | 1);
        self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    pub(super) fn int64_field(&mut self, number: u64, value: i64) {
        self.varint(number << 3);
        self.varint(value.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_to_64_bits_and_no_further() {
        let check = |bytes: &[u8], expected: Result<u64, &str>| {
            assert_eq!(Fields::new(bytes).varint().map_err(|fault| fault.reason), expected, "{bytes:x?}");
        };
        check(&[0], Ok(0));
        check(&[0xac, 0x02], Ok(300));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Ok(u64::MAX));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], Err("a varint does not fit into 64 bits"));
        check(
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
            Err("a varint does not fit into 64 bits"),
        );
        check(&[0x80], Err("a varint is cut off"));
        check(&[], Err("a varint is cut off"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut writer = FieldWriter::default();
        writer.int64_field(1, -1);
        writer.double_field(2, 1.5);
        writer.bytes_field(3, b"abc");
        let mut fields = Fields::new(&writer.bytes);
        assert_eq!(fields.next().unwrap().unwrap().int64(), Ok(-1));
        assert_eq!(fields.next().unwrap().unwrap().double(), Ok(1.5));
        let last = fields.next().unwrap().unwrap();
        assert_eq!((last.number, last.text()), (3, Ok("abc")));
        assert!(fields.next().unwrap().is_none());
    }
}
