//! Pages of shared memory, set aside before they are handed out.

use std::io;

use crate::error::Error;
use crate::os::shared::SharedFile;

/// Bytes that are set aside between two checks of the available memory.
const PIECE_BYTES: usize = 256 << 20;

/// The reason why memory could not be set aside.
pub(crate) enum Shortage {
    Available(u64),
    System(io::Error),
}

impl Shortage {
    pub(crate) fn of(self, len_bytes: usize) -> Error {
        match self {
            Shortage::Available(available) => Error::SharedMemoryExhausted { len_bytes, available },
            Shortage::System(source) => {
                Error::SharedMemory { operation: "reserve", len_bytes, source }
            }
        }
    }
}

/// Sets aside pages for `len` bytes of a file, with a check of the available memory before each
/// piece. No byte of these pages was handed out before, unless the platform has the pages of it
/// already ([`SharedFile::give_back`]).
pub(crate) fn reserve(file: &SharedFile, offset: usize, len: usize) -> Result<(), Shortage> {
    let mut done = 0;
    while done < len {
        // All the rest, not the next piece alone: a shortage half-way would be found late.
        let available = file.available();
        if available < (len - done) as u64 {
            return Err(Shortage::Available(available));
        }
        let piece = (len - done).min(PIECE_BYTES);
        match file.set_aside((offset + done) as u64, piece) {
            Ok(()) => done += piece,
            // The system kept nothing of the piece.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Shortage::System(error)),
        }
    }
    Ok(())
}
