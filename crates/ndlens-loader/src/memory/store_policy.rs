//! Whether batches are written through the cache or past it.
//!
//! A batch that is larger than the cache pushes everything else out of it, itself included, and
//! each of its lines is read before it is overwritten. A batch that is written past the cache has
//! neither cost. But a consumer that then reads a small batch at once waits for memory.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use ndlens_kernels::Stores;

use crate::error::{Error, Result};

/// Batches of at least this many second-level caches are written past the cache. The second level
/// belongs to one core, so its size is meaningful on a virtual machine too. The third level is
/// shared with other machines there.
const MIN_STREAM_CACHES: usize = 4;

/// The size for machines that do not report that of their second-level cache.
const USUAL_CACHE_BYTES: usize = 1 << 20;

/// The way to write batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StorePolicy {
    /// Past the cache if a batch is larger than that of a few cores, unless it is mixed next.
    #[default]
    Auto,
    /// Past the cache, whatever their size: for a consumer that copies them elsewhere, or reads
    /// them later.
    Stream,
    /// Through the cache, whatever their size: for a consumer that reads them at once, on a machine
    /// with much cache.
    Cached,
}

impl StorePolicy {
    /// By its name: "auto", "stream" or "cached".
    ///
    /// # Errors
    ///
    /// [`Error::UnknownStores`].
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(StorePolicy::Auto),
            "stream" => Ok(StorePolicy::Stream),
            "cached" => Ok(StorePolicy::Cached),
            _ => Err(Error::UnknownStores { got: name.to_owned() }),
        }
    }

    /// The way to write a batch of `batch_bytes` bytes.
    pub(crate) fn of(self, batch_bytes: usize) -> Stores {
        let stream = match self {
            StorePolicy::Auto => batch_bytes >= cache_bytes().saturating_mul(MIN_STREAM_CACHES),
            StorePolicy::Stream => true,
            StorePolicy::Cached => false,
        };
        if stream { Stores::Stream } else { Stores::Cached }
    }
}

/// The bytes of a second-level cache, read once.
fn cache_bytes() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    if let Some(&bytes) = BYTES.get() {
        return bytes;
    }
    // Not while other threads wait: a fork could copy that state.
    let bytes =
        second_level(Path::new("/sys/devices/system/cpu/cpu0/cache")).unwrap_or(USUAL_CACHE_BYTES);
    *BYTES.get_or_init(|| bytes)
}

/// The size of the second-level cache that Linux reports. Each cache of a CPU has a folder with its
/// level and its size, such as "1024K".
fn second_level(caches: &Path) -> Option<usize> {
    let mut folders = fs::read_dir(caches).ok()?.filter_map(|folder| Some(folder.ok()?.path()));
    let read = |folder: &Path, file: &str| fs::read_to_string(folder.join(file)).ok();
    let folder =
        folders.find(|folder| read(folder, "level").is_some_and(|level| level.trim() == "2"))?;
    let kibibytes: usize = read(&folder, "size")?.trim().strip_suffix('K')?.parse().ok()?;
    kibibytes.checked_mul(1 << 10).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_batches_are_written_past_the_cache_unless_told_otherwise() {
        assert_eq!(StorePolicy::Auto.of(1 << 10), Stores::Cached);
        assert_eq!(StorePolicy::Auto.of(1 << 40), Stores::Stream);
        assert_eq!(StorePolicy::Stream.of(1), Stores::Stream);
        assert_eq!(StorePolicy::Cached.of(1 << 40), Stores::Cached);
    }

    #[test]
    fn the_machine_is_asked_how_large_its_cache_is_and_nonsense_is_no_answer() {
        let caches = tempfile::tempdir().unwrap();
        assert_eq!(second_level(&caches.path().join("nowhere")), None);
        for (index, level, size) in
            [("index0", "1\n", "32K\n"), ("index2", "2\n", "2048K\n"), ("index3", "3\n", "32M\n")]
        {
            let folder = caches.path().join(index);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("level"), level).unwrap();
            fs::write(folder.join("size"), size).unwrap();
        }
        assert_eq!(second_level(caches.path()), Some(2 << 20));
        for nonsense in ["", "K", "many", "-3K", "0K", "99999999999999999999K"] {
            fs::write(caches.path().join("index2/size"), nonsense).unwrap();
            assert_eq!(second_level(caches.path()), None, "{nonsense:?}");
        }
    }
}
