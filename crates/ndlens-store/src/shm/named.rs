//! One copy of the data on a machine, found by name.
//!
//! All ranks of a machine call `share(name)` at once. One loads the data, and the others wait and
//! get the same memory. If any of them is killed, at any moment, the others go on, and no memory is
//! left over. So there is no registry that could be wrong: the system is the registry.
//!
//! - The memory is a memfd that is called `ndlens:<name>`. A process finds it among the files that
//!   the user's processes hold (`/proc/<pid>/fd`). It exists as long as a process holds it.
//! - It is valid once its header has the ready flag, which its creator sets last. If the creator
//!   dies before, the memory is never ready, and is freed with its creator.
//! - The holder of the `NameLock` creates it. The lock ends with its process.
//!
//! ```text
//!  rank 0   look: nothing   lock   look: nothing   create, fill, ready   unlock
//!  rank 1   look: nothing   no lock: wait ................................   look: there   attach
//! ```
//!
//! A manifest after the arrays describes them: their structure (one, a tuple, a dict), which of
//! them make up a member of it, and the dtype and shape of each.

use std::fmt;
use std::fs;
use std::process;
use std::sync::Arc;

use ndlens_core::{DType, Layout, Order, View, room};
use serde::{Deserialize, Serialize};

use crate::encoding::{DTypeName, List, from_bytes, try_to_bytes};
use crate::error::{Error, Result, is_shortage};
use crate::shm::arena::Arena;
use crate::shm::holders;
use crate::shm::name_lock::NameLock;
use crate::shm::share::ArenaPlan;

/// The longest name: it is part of a socket's address, which has 107 bytes.
const MOST_NAME_BYTES: usize = 64;

/// Maximum length of a manifest, for some hundred thousand arrays.
const MANIFEST_BYTES_MAX: usize = 16 << 20;

/// The name of shared memory on this machine: 1 to 64 ASCII letters, digits, dots, hyphens and
/// underscores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// # Errors
    ///
    /// [`Error::BadName`].
    pub fn new(name: &str) -> Result<Self> {
        let fits = (1..=MOST_NAME_BYTES).contains(&name.len());
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if fits && plain {
            Ok(Name(name.to_owned()))
        } else {
            Err(Error::BadName { name: name.to_owned() })
        }
    }

    fn label(&self) -> String {
        format!("ndlens:{}", self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The structure of shared arrays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedStructure {
    /// One array.
    Single,
    /// Several, in order.
    Tuple,
    /// Several, in order.
    List,
    /// Several by name, in order.
    Dict(Vec<String>),
}

/// What a member of a structure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// One array.
    Array,
    /// Items of different sizes: three arrays, which are their elements, offsets and shapes.
    Ragged,
}

impl Member {
    /// The number of arrays that it is made of.
    pub const fn arrays(self) -> usize {
        match self {
            Member::Array => 1,
            Member::Ragged => 3,
        }
    }
}

/// What is shared under a name, without elements: a structure, its members, and their arrays.
#[derive(Debug, Clone, Copy)]
pub struct Outline<'a> {
    /// How the members are put together.
    pub structure: &'a NamedStructure,
    /// The members, in order.
    pub members: &'a [Member],
    /// Shape and dtype of each member's arrays, one after another.
    pub arrays: &'a [(&'a [usize], DType)],
}

/// The arrays that are shared under a name.
#[derive(Debug)]
pub struct NamedArrays {
    /// The structure of the members.
    pub structure: NamedStructure,
    /// The members, in order.
    pub members: Vec<Member>,
    /// Each member's arrays one after another, on the shared memory.
    pub views: Vec<View>,
}

/// The next step for a name.
#[derive(Debug)]
pub enum Turn {
    /// The name is shared, with these arrays.
    Attached(NamedArrays),
    /// No process shares the name: the caller creates it.
    Create(Creation),
    /// Another process is creating it: the caller tries again.
    Wait,
}

/// The right to create the memory of a name; given up on drop.
#[derive(Debug)]
pub struct Creation {
    name: Name,
    _lock: NameLock,
}

/// The next step for a name; it never waits.
///
/// # Errors
///
/// [`Error::NameLock`] if the system has no lock; [`Error::NameHidden`] if no other process could
/// find the memory; the errors of [`find`].
pub fn take_turn(name: &Name) -> Result<Turn> {
    if let Some(contents) = find(name)? {
        return Ok(Turn::Attached(contents));
    }
    let address = format!("ndlens/{}/{}", rustix::process::geteuid().as_raw(), name.0);
    let lock = NameLock::try_acquire(&address)
        .map_err(|source| Error::NameLock { name: name.to_string(), source })?;
    let Some(lock) = lock else { return Ok(Turn::Wait) };
    // It may have been created since the first search.
    Ok(match find(name)? {
        Some(contents) => Turn::Attached(contents),
        None if holders::is_hidden(process::id()) => {
            return Err(Error::NameHidden { name: name.to_string(), process: process::id() });
        }
        None => Turn::Create(Creation { name: name.clone(), _lock: lock }),
    })
}

/// The arrays that are shared under a name, if it is shared.
///
/// # Errors
///
/// [`Error::DamagedHandle`] and [`Error::Core`] if the memory contradicts itself;
/// [`Error::SharedMemory`] if this process cannot map it; [`Error::NoProcesses`] if `/proc` cannot
/// be read.
pub fn find(name: &Name) -> Result<Option<NamedArrays>> {
    let Some(arena) = find_arena(&name.label())? else {
        let unknown = |source| Error::NoProcesses { what: format!("the name {name}"), source };
        return holders::check().map(|()| None).map_err(unknown);
    };
    NamedArrays::of(&arena).map(Some)
}

/// A ready arena that a process of this user holds under this label.
///
/// If this process has no memory, addresses or descriptors for it, that is an error: a caller that
/// took it for absent would wait without end, or create it twice.
fn find_arena(label: &str) -> Result<Option<Arc<Arena>>> {
    let wanted = holders::link(label);
    let mut shortage = None;
    for path in holders::descriptors(None, |link| link == wanted) {
        match holders::open(&path).and_then(Arena::adopt) {
            Ok(Some(arena)) if arena.is_ready() => return Ok(Some(arena)),
            Err(source) if is_shortage(&source) => {
                let len_bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len() as usize);
                shortage = Some(Error::SharedMemory { operation: "map", len_bytes, source });
            }
            // It is being filled, or is not an arena, or its process has ended.
            Ok(_) | Err(_) => {}
        }
    }
    shortage.map_or(Ok(None), Err)
}

/// The contents of an arena.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    kind: StructureKind,
    /// The names of a dict; empty for other structures.
    names: List<String>,
    members: List<Member>,
    /// The dtype of each array, its shape, and the byte of the arena at which it starts.
    arrays: List<(DTypeName, Vec<usize>, usize)>,
}

/// The kind of a [`NamedStructure`], without names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum StructureKind {
    Single,
    Tuple,
    List,
    Dict,
}

impl NamedStructure {
    fn kind_and_names(&self) -> (StructureKind, &[String]) {
        match self {
            NamedStructure::Single => (StructureKind::Single, &[]),
            NamedStructure::Tuple => (StructureKind::Tuple, &[]),
            NamedStructure::List => (StructureKind::List, &[]),
            NamedStructure::Dict(names) => (StructureKind::Dict, names),
        }
    }
}

impl Creation {
    /// Zeroed arrays, to be filled; no process can attach them before
    /// [`publish`](Filling::publish).
    ///
    /// # Errors
    ///
    /// As [`empty_shared`](crate::empty_shared); [`Error::NothingToShare`] without an array, since
    /// arrays hold the memory.
    pub fn allocate(self, outline: Outline<'_>) -> Result<Filling> {
        let Outline { structure, members, arrays } = outline;
        if arrays.is_empty() {
            return Err(Error::NothingToShare { name: self.name.to_string() });
        }
        let plan = ArenaPlan::new(arrays)?;
        let places = plan.starts().zip(arrays);
        let arrays =
            places.map(|(start, (shape, dtype))| (DTypeName::of(dtype), shape.to_vec(), start));
        let arrays = List::new(room::list_of(arrays)?);
        let (kind, names) = structure.kind_and_names();
        let names = List::new(room::list_of(names.iter().cloned())?);
        let members = List::new(room::list_of(members.iter().copied())?);
        let manifest = try_to_bytes(&Manifest { kind, names, members, arrays })?;
        check_manifest(manifest.len())?;
        let too_large = || ndlens_core::Error::SizeOverflow { shape: vec![plan.len], itemsize: 1 };
        let (start, end) = (plan.len, plan.len.checked_add(manifest.len()).ok_or_else(too_large)?);
        let arena = Arena::create_sparse(&self.name.label(), end)?;
        arena.reserve(0, end)?;
        arena.populate(0, start);
        let bytes = View::from_vec(manifest);
        let layout = Layout::contiguous(bytes.shape(), 1, Order::C)?;
        View::new(arena.buffer(start, end - start)?, layout, DType::U8)?.assign(&bytes)?;
        arena.set_manifest(start, end - start);
        Ok(Filling {
            views: plan.views(|offset, len| arena.buffer(offset, len))?,
            arena,
            _creation: self,
        })
    }

    /// Copies arrays to shared memory, for all processes that wait for the name.
    ///
    /// # Errors
    ///
    /// As [`share`](crate::share()) and [`allocate`](Self::allocate).
    pub fn share(self, structure: &NamedStructure, views: &[View]) -> Result<Vec<View>> {
        let arrays = room::list_of(views.iter().map(|view| (view.shape(), view.dtype().clone())))?;
        let members = room::repeated(Member::Array, views.len())?;
        let outline = Outline { structure, members: &members, arrays: &arrays };
        let filling = self.allocate(outline)?;
        for (target, source) in filling.views.iter().zip(views) {
            target.assign(source)?;
        }
        Ok(filling.publish())
    }
}

/// Named arrays that are not published yet.
#[derive(Debug)]
pub struct Filling {
    arena: Arc<Arena>,
    views: Vec<View>,
    _creation: Creation,
}

impl Filling {
    /// The arrays, to be written.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Gives the arrays to all processes that wait for the name.
    pub fn publish(self) -> Vec<View> {
        self.arena.set_ready();
        self.views
    }
}

impl NamedArrays {
    fn of(arena: &Arena) -> Result<Self> {
        // Any process of the user can make such memory, with any contents.
        let (start, len) = arena.manifest();
        let buffer = arena.buffer(start, len)?;
        check_manifest(len)?;
        let bytes = View::new(buffer, Layout::contiguous(&[len], 1, Order::C)?, DType::U8)?
            .to_vec::<u8>()?;
        let Manifest { kind, names, members, arrays } = from_bytes(&bytes)?;
        let (names, members, arrays) = (names.into_vec()?, members.into_vec()?, arrays.into_vec()?);
        let view = |(elements, shape, start): &(DTypeName, Vec<usize>, usize)| {
            let dtype = elements.dtype()?;
            let layout = Layout::contiguous(shape, dtype.itemsize(), Order::C)?;
            let buffer = arena.buffer(*start, layout.len() * dtype.itemsize())?;
            Result::Ok(View::new(buffer, layout, dtype)?)
        };
        let views = room::try_list_of::<_, Error>(arrays.iter().map(view))?;
        let (structure, expected) = match kind {
            StructureKind::Single => (NamedStructure::Single, 1),
            StructureKind::Tuple => (NamedStructure::Tuple, members.len()),
            StructureKind::List => (NamedStructure::List, members.len()),
            StructureKind::Dict => {
                let expected = names.len();
                (NamedStructure::Dict(names), expected)
            }
        };
        let parts: usize = members.iter().map(|member| member.arrays()).sum();
        for (what, got, expected) in
            [("members", members.len(), expected), ("arrays", views.len(), parts)]
        {
            if got != expected {
                let problem = format!("its manifest has {got} {what}, expected {expected}");
                return Err(Error::DamagedHandle { problem });
            }
        }
        Ok(NamedArrays { structure, members, views })
    }

    /// Checks that these have the structure, members, shapes and dtypes of what is to be shared.
    ///
    /// # Errors
    ///
    /// [`Error::OtherContents`] if they do not.
    pub fn check(&self, name: &Name, expected: Outline<'_>) -> Result<()> {
        let arrays =
            room::list_of(self.views.iter().map(|view| (view.shape(), view.dtype().clone())))?;
        let got = Outline { structure: &self.structure, members: &self.members, arrays: &arrays };
        if (got.structure, got.members, got.arrays)
            == (expected.structure, expected.members, expected.arrays)
        {
            return Ok(());
        }
        let (name, got, expected) = (name.to_string(), describe(got), describe(expected));
        Err(Error::OtherContents { name, got, expected })
    }
}

fn check_manifest(len: usize) -> Result<()> {
    if len <= MANIFEST_BYTES_MAX {
        return Ok(());
    }
    let problem = format!(
        "its manifest has {len} bytes, expected at most {MANIFEST_BYTES_MAX}: share fewer arrays"
    );
    Err(Error::DamagedHandle { problem })
}

/// An outline as text, for messages.
fn describe(outline: Outline<'_>) -> String {
    let mut arrays = outline.arrays.iter();
    let members = outline.members.iter().map(|member| {
        let mut next =
            || arrays.next().map_or((&[][..], ""), |(shape, dtype)| (*shape, dtype.name()));
        match member {
            Member::Array => {
                let (shape, dtype) = next();
                format!("{dtype} {shape:?}")
            }
            Member::Ragged => {
                let ((elements, dtype), _, (shapes, _)) = (next(), next(), next());
                let (items, rank) = (shapes.first().unwrap_or(&0), shapes.get(1).unwrap_or(&0));
                let elements = elements.first().unwrap_or(&0);
                format!("{items} items of {rank} axes, {elements} elements of {dtype}")
            }
        }
    });
    let listed = |members: &mut dyn Iterator<Item = String>| members.collect::<Vec<_>>().join(", ");
    match outline.structure {
        NamedStructure::Single => listed(&mut { members }),
        NamedStructure::Tuple => format!("({})", listed(&mut { members })),
        NamedStructure::List => format!("[{}]", listed(&mut { members })),
        NamedStructure::Dict(names) => {
            let mut pairs =
                names.iter().zip(members).map(|(name, member)| format!("{name:?}: {member}"));
            format!("{{{}}}", listed(&mut pairs))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str) -> Name {
        Name::new(&format!("test-{}-{of}", std::process::id())).unwrap()
    }

    fn create(name: &Name) -> Creation {
        match take_turn(name).unwrap() {
            Turn::Create(creation) => creation,
            other => panic!("{other:?}"),
        }
    }

    fn arrays(views: &[View]) -> Vec<(&[usize], DType)> {
        views.iter().map(|view| (view.shape(), view.dtype().clone())).collect()
    }

    fn one<'a>(arrays: &'a [(&'a [usize], DType)]) -> Outline<'a> {
        Outline { structure: &NamedStructure::Single, members: &[Member::Array], arrays }
    }

    fn counting() -> View {
        View::from_vec((0..6u16).collect()).reshape(&[2, 3]).unwrap()
    }

    #[test]
    fn what_is_shared_under_a_name_is_found_as_it_came() {
        for structure in [
            NamedStructure::Single,
            NamedStructure::Tuple,
            NamedStructure::List,
            NamedStructure::Dict(vec!["a".into(), "naïve".into()]),
        ] {
            let name = name("structures");
            let sources = if structure == NamedStructure::Single {
                vec![counting()]
            } else {
                vec![counting(), counting().flip(&[0]).unwrap()]
            };
            assert!(find(&name).unwrap().is_none());
            let shared = create(&name).share(&structure, &sources).unwrap();
            let Turn::Attached(found) = take_turn(&name).unwrap() else { panic!("it is shared") };
            assert_eq!(found.structure, structure);
            let (members, arrays) = (vec![Member::Array; sources.len()], arrays(&sources));
            let outline = Outline { structure: &structure, members: &members, arrays: &arrays };
            found.check(&name, outline).unwrap();
            for ((found, shared), source) in found.views.iter().zip(&shared).zip(&sources) {
                assert_eq!(found.as_ptr(), shared.as_ptr());
                assert_eq!(found.to_vec::<u16>().unwrap(), source.to_vec::<u16>().unwrap());
            }
            drop((shared, found));
            assert!(find(&name).unwrap().is_none());
        }
    }

    #[test]
    fn one_creates_and_the_others_wait() {
        let name = name("turns");
        let creation = create(&name);
        assert!(matches!(take_turn(&name).unwrap(), Turn::Wait));
        let filling = creation.allocate(one(&[(&[3], DType::U8)])).unwrap();
        assert!(matches!(take_turn(&name).unwrap(), Turn::Wait));
        assert!(find(&name).unwrap().is_none());
        let shared = filling.publish();
        assert!(matches!(take_turn(&name).unwrap(), Turn::Attached(_)));
        drop(shared);
        assert!(matches!(take_turn(&name).unwrap(), Turn::Create(_)));
    }

    #[test]
    fn a_creation_that_fails_leaves_the_name_free() {
        let name = name("fails");
        let huge: &[usize] = &[1 << 46];
        assert!(create(&name).allocate(one(&[(huge, DType::U8)])).is_err());
        drop(create(&name).allocate(one(&[(&[3], DType::U8)])).unwrap());
        create(&name);
    }

    #[test]
    fn other_contents_than_expected_are_named_beside_them() {
        let name = name("other");
        let shared = create(&name).share(&NamedStructure::Single, &[counting()]).unwrap();
        let structure = NamedStructure::Dict(vec!["x".into()]);
        let found = find(&name).unwrap().unwrap();
        let arrays = arrays(&shared);
        let expected =
            Outline { structure: &structure, members: &[Member::Array], arrays: &arrays };
        assert_eq!(
            found.check(&name, expected).unwrap_err().to_string(),
            format!("shared memory {name} holds uint16 [2, 3], expected {{\"x\": uint16 [2, 3]}}")
        );
    }

    #[test]
    fn items_of_different_sizes_are_three_arrays() {
        let name = name("ragged");
        let parts: [(&[usize], DType); 3] =
            [(&[17], DType::U8), (&[4], DType::I64), (&[4, 2], DType::I64)];
        let structure = NamedStructure::Dict(vec!["a".into(), "r".into()]);
        let members = [Member::Array, Member::Ragged];
        let mut arrays = vec![(&[2usize, 3][..], DType::F32)];
        arrays.extend(parts);
        let outline = Outline { structure: &structure, members: &members, arrays: &arrays };
        let shared = create(&name).allocate(outline).unwrap().publish();
        let found = find(&name).unwrap().unwrap();
        assert_eq!((&found.members[..], found.views.len()), (&members[..], 4));
        found.check(&name, outline).unwrap();
        let other = Outline { structure: &NamedStructure::Single, ..one(&arrays[..1]) };
        assert_eq!(
            found.check(&name, other).unwrap_err().to_string(),
            format!(
                "shared memory {name} holds {{\"a\": float32 [2, 3], \"r\": 4 items of 2 axes, 17 \
                 elements of uint8}}, expected float32 [2, 3]"
            )
        );
        drop((shared, found));
        let nothing = Outline { structure: &NamedStructure::List, members: &[], arrays: &[] };
        assert!(create(&name).allocate(nothing).is_err());
    }

    #[test]
    fn a_manifest_that_lies_is_an_error() {
        let lie = |manifest: &Manifest| {
            let bytes = View::from_vec(try_to_bytes(manifest).unwrap());
            let arena = Arena::create(100 + bytes.len()).unwrap();
            let layout = Layout::contiguous(bytes.shape(), 1, Order::C).unwrap();
            let place =
                View::new(arena.buffer(100, bytes.len()).unwrap(), layout, DType::U8).unwrap();
            place.assign(&bytes).unwrap();
            arena.set_manifest(100, bytes.len());
            NamedArrays::of(&arena).map(|contents| contents.views.len())
        };
        let array = |shape: &[usize], start| (DTypeName::of(&DType::U16), shape.to_vec(), start);
        let manifest = |arrays| Manifest {
            kind: StructureKind::Single,
            names: List::new(vec![]),
            members: List::new(vec![Member::Array]),
            arrays: List::new(arrays),
        };
        assert_eq!(lie(&manifest(vec![array(&[50], 0)])).unwrap(), 1);
        assert!(lie(&manifest(vec![])).is_err());
        assert!(lie(&manifest(vec![array(&[50], 0), array(&[50], 0)])).is_err());
        for (shape, start) in
            [(&[5000][..], 0), (&[1], usize::MAX), (&[1 << 62, 4], 0), (&[0], 5000)]
        {
            assert!(lie(&manifest(vec![array(shape, start)])).is_err(), "{shape:?} {start}");
        }
        // Sparse: it takes addresses alone. Its claims cause no allocation.
        let huge = Arena::create_sparse("ndlens", 1 << 33).unwrap();
        huge.set_manifest(0, 1 << 33);
        assert_eq!(
            NamedArrays::of(&huge).unwrap_err().to_string(),
            "damaged handle: its manifest has 8589934592 bytes, expected at most 16777216: \
             share fewer arrays"
        );
        let arena = Arena::create(100).unwrap();
        for (start, len) in [(0, 101), (usize::MAX, 1), (0, 0), (0, 100)] {
            arena.set_manifest(start, len);
            assert!(NamedArrays::of(&arena).is_err());
        }
    }

    #[test]
    fn names_are_plain_and_short() {
        for good in ["a", "train", "run-1.val_2", &"x".repeat(64)] {
            assert!(Name::new(good).is_ok());
        }
        for bad in ["", "a b", "a/b", "ä", "a\0", "a:b", &"x".repeat(65)] {
            assert!(Name::new(bad).is_err());
        }
        assert_eq!(
            Name::new("a b").unwrap_err().to_string(),
            "bad name \"a b\": expected 1 to 64 ASCII letters, digits, dots, hyphens and \
             underscores"
        );
    }
}
