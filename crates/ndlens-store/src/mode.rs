//! The mode in which a file is mapped.

use std::fmt;

/// Mode of a map: the destination of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapMode {
    /// Writes are refused.
    Read,
    /// Writes stay in this process; the file stays as it is.
    #[default]
    CopyOnWrite,
    /// Writes go to the file.
    ReadWrite,
}

impl fmt::Display for MapMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapMode::Read => "r",
            MapMode::CopyOnWrite => "c",
            MapMode::ReadWrite => "r+",
        })
    }
}
