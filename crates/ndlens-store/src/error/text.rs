//! Parts of messages: shortened names, and hints at a remedy.

use std::fmt;
use std::io;

use ndlens_core::DType;

use crate::mode::MapMode;

/// The hint for a dtype that was passed as the mode.
pub(crate) struct DTypeHint<'a>(pub(crate) &'a str);

impl fmt::Display for DTypeHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DType::from_name(self.0).or_else(|| DType::from_typestr(self.0).ok()) {
            Some(_) => write!(f, "; a dtype is given by keyword: dtype={:?}", self.0),
            None => Ok(()),
        }
    }
}

/// The hint for a file that the system refuses to open.
pub(crate) struct IoHint<'a>(pub(crate) &'a io::Error);

impl fmt::Display for IoHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.raw_os_error() {
            Some(libc::EMFILE) => f.write_str(
                "; this process has as many descriptors as `ulimit -n` allows: raise it, or close \
                 some of them",
            ),
            Some(libc::ENFILE) => f.write_str(
                "; all processes together have as many as \
                                               fs.file-max allows",
            ),
            _ => Ok(()),
        }
    }
}

/// The hint for a map that the system refuses.
pub(crate) struct MapHint<'a>(pub(crate) &'a io::Error, pub(crate) MapMode);

impl fmt::Display for MapHint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.raw_os_error(), self.1) {
            (Some(libc::ENOMEM), MapMode::CopyOnWrite) => f.write_str(
                "; mode \"c\" needs as much memory where `ulimit -d` or vm.overcommit_memory says \
                 so: open with mode \"r\", which needs none",
            ),
            (Some(libc::ENOMEM), _) => {
                f.write_str("; `ulimit -v` or vm.max_map_count leaves no addresses for them")
            }
            (Some(libc::ENODEV | libc::EACCES | libc::EPERM | libc::EINVAL), _) => {
                f.write_str("; where files cannot be mapped, copy=True reads them")
            }
            _ => Ok(()),
        }
    }
}

/// The names of a file's arrays, the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    shown: Vec<String>,
    /// Number of names that are not shown.
    more: usize,
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        const MOST: usize = 8;
        let mut names = names.into_iter();
        let shown = names.by_ref().take(MOST).map(str::to_owned).collect();
        Names { shown, more: names.count() }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.shown.iter().map(|name| Shown(name).to_string()).collect();
        match self.more {
            _ if shown.is_empty() => f.write_str("none"),
            0 => f.write_str(&shown.join(", ")),
            more => write!(f, "{} and {more} more", shown.join(", ")),
        }
    }
}

/// A library's message with a lower-case start, as in ours.
pub(crate) fn lower_case(source: &impl fmt::Display) -> String {
    let text = source.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// `tensor "w": `, or nothing.
pub(crate) struct OfTensor<'a>(pub(crate) Option<&'a str>);

impl fmt::Display for OfTensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, "tensor {}: ", Shown(name)))
    }
}

/// Text from a file, quoted, and shortened if it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_CHARS: usize = 60;
        match self.0.char_indices().nth(MOST_CHARS) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// `field "a.b": `, or nothing.
pub(crate) struct InField<'a>(pub(crate) Option<&'a str>);

impl fmt::Display for InField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |field| write!(f, "field {}: ", Shown(field)))
    }
}
