//! A snappy block to the bytes of its message, in room that is used again.
//!
//! Invariants:
//! - The announced length is checked before a byte is allocated for it.
//! - Room is given back when the last user of the bytes is done; what is kept is bounded in count
//!   and in bytes.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::model::limits;
use crate::wire::WireError;

/// Room is made in steps, so that bodies of about one size fit into each other's.
const STEP_BYTES: usize = 64 * 1024;

/// Room for decompressed bodies between two requests.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    free: Mutex<Vec<Vec<u8>>>,
}

/// Room in use: its first `len` bytes.
pub(super) struct Room {
    bytes: Vec<u8>,
    len: usize,
    home: Arc<Rooms>,
}

impl Rooms {
    fn take(self: &Arc<Rooms>, len: usize) -> Room {
        let found = {
            let mut free = self.free.lock();
            free.iter().position(|room| room.len() >= len).map(|at| free.swap_remove(at))
        };
        let bytes = found.unwrap_or_else(|| vec![0; len.next_multiple_of(STEP_BYTES)]);
        Room { bytes, len, home: Arc::clone(self) }
    }

    fn give_back(&self, bytes: Vec<u8>) {
        if bytes.len() > limits::BODY_ROOM_BYTES_MAX {
            return;
        }
        let mut free = self.free.lock();
        if free.len() < limits::BODY_ROOMS_MAX {
            free.push(bytes);
        } else if let Some(least) = free.iter_mut().min_by_key(|room| room.len()).filter(|r| r.len() < bytes.len()) {
            // The kept ones grow to the size that is in use.
            *least = bytes;
        }
    }
}

impl Room {
    /// The bytes with others behind them.
    pub(super) fn with(mut self, tail: &[u8]) -> Room {
        if !tail.is_empty() {
            self.bytes.truncate(self.len);
            self.bytes.extend_from_slice(tail);
            self.len = self.bytes.len();
        }
        self
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Room {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.bytes));
    }
}

/// The bytes that a remote-write body takes once decompressed, so that room can be found for them.
///
/// # Errors
/// More than is taken, or more than the body can hold.
pub fn decompressed_bytes(body: &[u8]) -> Result<usize, WireError> {
    let snappy = |reason: String| WireError::Snappy { reason };
    if body.is_empty() {
        return Err(snappy("it is empty".to_owned()));
    }
    let announced = snap::raw::decompress_len(body).map_err(not_snappy)?;
    let max = limits::BODY_DECODED_BYTES_MAX;
    if announced > max {
        return Err(WireError::TooLarge { bytes: announced, max });
    }
    // The densest element of the format makes 64 bytes of 3, so a larger claim is a lie and must
    // not cost memory.
    if announced / 22 > body.len() {
        return Err(snappy(format!("{} bytes cannot hold the {announced} that it announces", body.len())));
    }
    Ok(announced)
}

/// The message in a body.
pub(super) fn decompress(body: &[u8], rooms: &Arc<Rooms>) -> Result<Room, WireError> {
    let mut room = rooms.take(decompressed_bytes(body)?);
    let into = room.bytes.get_mut(..room.len).unwrap_or_default();
    // Either every byte of the slice is written or this fails: nothing of an earlier body shows.
    let written = snap::raw::Decoder::new().decompress(body, into).map_err(not_snappy)?;
    room.len = written;
    Ok(room)
}

fn not_snappy(error: snap::Error) -> WireError {
    WireError::Snappy { reason: error.to_string().trim_start_matches("snappy: ").to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(bytes).unwrap()
    }

    #[test]
    fn room_is_used_again_and_shows_nothing_of_before() {
        let rooms = Arc::new(Rooms::default());
        let first = decompress(&compressed(&[7; 5000]), &rooms).unwrap().into_bytes();
        let place = first.as_ptr();
        assert_eq!(first, vec![7; 5000]);
        drop(first.slice(10..20));
        assert_eq!(rooms.free.lock().len(), 0, "still in use");
        drop(first);
        let second = decompress(&compressed(&[8; 3]), &rooms).unwrap().into_bytes();
        assert_eq!((second.as_ptr(), &*second), (place, [8; 3].as_slice()));
        drop(second);
        // A body that says less than it announces.
        let mut short = compressed(&[9; 40]);
        short[0] = 41;
        assert!(matches!(decompress(&short, &rooms), Err(WireError::Snappy { .. })));
        assert_eq!(rooms.free.lock().len(), 1, "a refused body gives its room back");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rooms = Arc::new(Rooms::default());
        let held: Vec<Room> = (0..2 * limits::BODY_ROOMS_MAX).map(|_| rooms.take(1)).collect();
        drop(held);
        assert_eq!(rooms.free.lock().len(), limits::BODY_ROOMS_MAX);
        drop(rooms.take(limits::BODY_ROOM_BYTES_MAX + 1));
        drop(rooms.take(2 * STEP_BYTES));
        let sizes: Vec<usize> = rooms.free.lock().iter().map(Vec::len).collect();
        assert_eq!(sizes.len(), limits::BODY_ROOMS_MAX);
        assert_eq!(sizes.iter().filter(|size| **size == 2 * STEP_BYTES).count(), 1);
    }

    #[test]
    fn bombs_are_refused_before_they_are_unpacked() {
        let rooms = Arc::new(Rooms::default());
        let announce = |n: u64| {
            let mut writer = crate::wire::protobuf::FieldWriter::default();
            writer.varint(n);
            writer.bytes
        };
        let refused = |body: &[u8]| decompress(body, &rooms).err().unwrap();
        let over = limits::BODY_DECODED_BYTES_MAX as u64 + 1;
        assert!(matches!(refused(&announce(over)), WireError::TooLarge { .. }));
        let mut lie = announce(over - 1);
        lie.extend([0; 100]);
        let text = refused(&lie).to_string();
        assert!(text.contains("cannot hold the 33554432 that it announces"), "{text}");
        assert!(matches!(refused(b""), WireError::Snappy { .. }));
        assert!(matches!(refused(&announce(1 << 40)), WireError::Snappy { .. }));
        assert_eq!(rooms.free.lock().len(), 0, "no room was made for any of them");
        assert!(matches!(refused(b"not snappy at all"), WireError::Snappy { .. }));
        rooms.free.lock().clear();
        // The densest honest block must still pass the plausibility check: 30 MiB from 1.5 MB.
        let dense = compressed(&vec![0; 30 << 20]);
        assert!(dense.len() < 3 << 19, "{}", dense.len());
        assert_eq!(decompress(&dense, &rooms).unwrap().as_ref().len(), 30 << 20);
        assert_eq!(rooms.free.lock().len(), 0, "room of that size is not kept");
    }
}
