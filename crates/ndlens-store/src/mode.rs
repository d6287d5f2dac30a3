//! How a file is mapped, which errors say too.

use std::fmt;

/// Who sees what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapMode {
    /// Nobody writes.
    Read,
    /// This process alone; the file stays as it is.
    #[default]
    CopyOnWrite,
    /// Everyone: writes go to the file.
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
