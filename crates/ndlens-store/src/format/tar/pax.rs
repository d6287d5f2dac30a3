//! The records that POSIX puts before a member: those that change its name or its size.
//!
//! ```text
//!  30 path=train/a file\nname.jpg\n12 size=70\n..
//!  ^ bytes of the record, these digits included
//! ```
//!
//! A value ends where its length says, so it may hold line feeds.

/// The records of one member that count here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Records<'a> {
    pub(crate) path: Option<&'a [u8]>,
    pub(crate) size: Option<u64>,
    /// Whether the member's data is that of a sparse file.
    pub(crate) is_sparse: bool,
}

/// The records in these bytes; None if they are malformed. The last record of a key counts.
pub(crate) fn parse(mut bytes: &[u8]) -> Option<Records<'_>> {
    let mut records = Records::default();
    // Some writers fill the rest of a block with zeros and count them.
    while bytes.first().is_some_and(|&first| first != 0) {
        let space = bytes.iter().take(MOST_DIGITS + 1).position(|&byte| byte == b' ')?;
        let len = decimal(&bytes[..space])?;
        let (record, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
        bytes = rest;
        let [line @ .., b'\n'] = record.get(space + 1..)? else { return None };
        let equals = line.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&line[..equals], &line[equals + 1..]);
        match key {
            b"path" => records.path = Some(value),
            b"size" => records.size = Some(decimal(value)?),
            key if key.starts_with(b"GNU.sparse.") => records.is_sparse = true,
            _ => {}
        }
    }
    Some(records)
}

/// Maximum number of digits of 64 bits.
const MOST_DIGITS: usize = 20;

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_their_lengths_say() {
        let bytes = b"17 path=a\nb=c.jpg\n".map(|byte| byte);
        assert_eq!(parse(&bytes), None, "18 bytes that say 17");
        let path: &[u8] = b"a\nb=c.jpg";
        let records = Records { path: Some(path), size: Some(7), is_sparse: false };
        assert_eq!(parse(b"18 path=a\nb=c.jpg\n10 size=7\n"), Some(records));
        assert_eq!(parse(b""), Some(Records::default()));
        assert_eq!(parse(b"10 size=7\n\0\0\0").unwrap().size, Some(7));
        assert!(parse(b"22 GNU.sparse.major=1\n").unwrap().is_sparse);
        assert_eq!(parse(b"10 size=1\n10 size=2\n").unwrap().size, Some(2));
    }

    #[test]
    fn malformed_records_are_none() {
        for bytes in [
            &b"x"[..],
            b"5",
            b" 5",
            b"0 ",
            b"2 ",
            b"3 \n",
            b"99 path=a\n",
            b"9 path=a ",
            b"10 size=x\n",
            b"11 size=-1\n",
            b"30 size=99999999999999999999\n",
            b"99999999999999999999999 path=a\n",
            b"18446744073709551615 path=a\n",
        ] {
            assert_eq!(parse(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
