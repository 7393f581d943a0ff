//! Hashes that are the same in every process and every release.

/// FNV-1a with 64 bits (Fowler, Noll, Vo), over parts kept apart by their lengths.
pub(super) fn stable_hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut feed = |byte: u8| {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        (part.len() as u64).to_le_bytes().into_iter().for_each(&mut feed);
        part.iter().copied().for_each(&mut feed);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_never_changes() {
        assert_eq!(stable_hash([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(stable_hash([b"ab".as_slice(), b"c"]), stable_hash([b"ab".as_slice(), b"c"]));
        assert_ne!(stable_hash([b"ab".as_slice(), b"c"]), stable_hash([b"a".as_slice(), b"bc"]));
        assert_eq!(stable_hash([b"rule".as_slice()]), 8_721_422_872_390_554_711);
    }
}
