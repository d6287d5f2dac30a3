//! The instruction sets of this machine, and the one way to the bodies that need them.
//!
//! A [`Level`] is an instruction set that this machine has: it is made by one query of the machine.
//! So code that holds a level may call the bodies of that level. The environment variable
//! `NDLENS_ISA` selects a lower level than the best one, by its name. It is read once. A level that
//! the machine does not have gives the best one. An unknown name is an error, since a typing
//! mistake would otherwise run the wrong code.
//!
//! A body comes in one of three kinds:
//! | body | source | called by |
//! |---|---|---|
//! | in plain Rust | once; compilers make vector code of it | [`Level::run`] |
//! | over registers | once, over the traits of `vector.rs` | `vector_body!` |
//! | of one instruction set | for that alone | `avx2!` or `avx512!`, by [`Level::isa`] |
//!
//! All three compile a body with the same features, those of the one list below. An instruction set
//! is added here, and as an implementation of the traits of `vector.rs`. Levels of different
//! architectures are never compared, since a build has those of its own architecture only.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls bodies compiled for instruction sets; see UNSAFE.md")
)]

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// An instruction set of this architecture with separate bodies, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// The instructions that every machine of the architecture has.
    Scalar,
    /// AVX2, FMA and F16C: 8 floats at once; BMI2: shifts by a number that is not fixed.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, IFMA, VL and VBMI: 16 floats at once, bytes shuffled across the whole
    /// register.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON: 4 floats at once.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// The features of each instruction set, probed for and compiled with: `$has` asks the machine for
/// them, `$compiled!` compiles functions with them, and `$list` is their names.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_64_features {
    ($d:tt $($compiled:ident, $has:ident, $list:ident: [$($feature:tt)+];)+) => {$(
        fn $has() -> bool {
            $(std::is_x86_feature_detected!($feature))&&+
        }

        const $list: &[&str] = &[$($feature),+];

        macro_rules! $compiled {
            ($d($d function:tt)+) => {
                #[target_feature($(enable = $feature),+)]
                $d($d function)+
            };
        }
        pub(crate) use $compiled;
    )+};
}

#[cfg(target_arch = "x86_64")]
x86_64_features! { $
    avx2, has_avx2, AVX2_FEATURES: ["avx2" "fma" "f16c" "bmi1" "bmi2"];
    avx512, has_avx512, AVX512_FEATURES: [
        "avx2" "fma" "f16c" "bmi1" "bmi2"
        "avx512f" "avx512bw" "avx512dq" "avx512ifma" "avx512vl" "avx512vbmi"
    ];
}

impl Isa {
    /// All instruction sets of this architecture, in ascending order.
    #[cfg(target_arch = "x86_64")]
    pub const ALL: &[Isa] = &[Isa::Scalar, Isa::Avx2, Isa::Avx512];
    /// All instruction sets of this architecture, in ascending order.
    #[cfg(target_arch = "aarch64")]
    pub const ALL: &[Isa] = &[Isa::Scalar, Isa::Neon];
    /// All instruction sets of this architecture.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub const ALL: &[Isa] = &[Isa::Scalar];

    /// Its name in `NDLENS_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }

    /// The features that it has beside those of every machine of the architecture, as
    /// `#[target_feature]` calls them.
    pub const fn features(self) -> &'static [&'static str] {
        match self {
            Isa::Scalar => &[],
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => AVX2_FEATURES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => AVX512_FEATURES,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &[],
        }
    }

    /// Whether a feature is one of [`features`](Self::features). A function that is compiled with
    /// features in another crate asserts this of each when it is compiled.
    pub const fn has_feature(self, name: &str) -> bool {
        let (features, name) = (self.features(), name.as_bytes());
        let mut at = 0;
        while at < features.len() {
            let feature = features[at].as_bytes();
            let mut same = 0;
            while same < name.len() && same < feature.len() && name[same] == feature[same] {
                same += 1;
            }
            if same == name.len() && same == feature.len() {
                return true;
            }
            at += 1;
        }
        false
    }

    fn from_name(name: &str) -> Result<Isa> {
        let named = Isa::ALL.iter().find(|isa| isa.name() == name);
        named.copied().ok_or_else(|| {
            let names: Vec<&str> = Isa::ALL.iter().map(|isa| isa.name()).collect();
            let expected = match names.split_last() {
                Some((last, others)) if !others.is_empty() => {
                    format!("{} or {last}", others.join(", "))
                }
                _ => names.concat(),
            };
            Error::UnknownLevel { got: name.to_owned(), expected }
        })
    }

    /// Whether the machine has it.
    fn is_here(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => has_avx512(),
            // All machines of Rust's aarch64 targets have it.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => true,
        }
    }
}

/// An instruction set that this machine has.
///
/// # Invariants
///
/// 1. The machine has all features of the instruction set. They include those of the instruction
///    sets before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(Isa);

impl Level {
    /// The instructions that every machine of the architecture has.
    pub const SCALAR: Level = Level(Isa::Scalar);

    /// All levels of this machine, in ascending order.
    pub fn all() -> impl Iterator<Item = Level> {
        let best = Level::best();
        Isa::ALL.iter().copied().map(Level).take_while(move |level| *level <= best)
    }

    /// The best level of this machine.
    pub fn best() -> Level {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            let here = Isa::ALL.iter().copied().take_while(|isa| isa.is_here());
            here.last().map_or(Level::SCALAR, Level)
        })
    }

    /// The best level of this machine that `NDLENS_ISA` allows.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownLevel`].
    pub fn chosen() -> Result<Level> {
        static CHOSEN: OnceLock<Result<Level>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| match std::env::var_os("NDLENS_ISA") {
                None => Ok(Level::best()),
                Some(name) => {
                    Isa::from_name(&name.to_string_lossy()).map(|isa| Level::best().at_most(isa))
                }
            })
            .clone()
    }

    /// This level, or that of a lower instruction set.
    #[must_use]
    pub fn at_most(self, isa: Isa) -> Level {
        Level(self.0.min(isa))
    }

    /// The instruction set.
    pub fn isa(self) -> Isa {
        self.0
    }

    /// Runs a body that is compiled for each level.
    #[inline]
    pub fn run<B: Body>(self, body: B) -> B::Output {
        match self.0 {
            Isa::Scalar => body.run(),
            // SAFETY: by invariant 1 the machine has the features that the function is compiled
            // with.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { run_with_avx2(body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { run_with_avx512(body) },
            // Compilers use NEON in all code for this architecture.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => body.run(),
        }
    }
}

/// A body in plain Rust: a loop that compilers turn into vector code. Its fields are its arguments.
///
/// ```
/// use ndlens_kernels::{Body, Level};
///
/// struct Double<'a>(&'a mut [f32]);
///
/// impl Body for Double<'_> {
///     type Output = ();
///
///     #[inline(always)]
///     fn run(self) {
///         self.0.iter_mut().for_each(|x| *x *= 2.0);
///     }
/// }
///
/// let mut values = [1.0, 2.0, 3.0];
/// Level::chosen()?.run(Double(&mut values));
/// assert_eq!(values, [2.0, 4.0, 6.0]);
/// # Ok::<(), ndlens_kernels::Error>(())
/// ```
pub trait Body {
    /// Return value of the body.
    type Output;

    /// Runs the body. It must be `#[inline(always)]`, and the functions that it calls must be
    /// inlined too: a function that is not inlined is compiled without the level's features.
    fn run(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
avx2! {
    fn run_with_avx2<B: Body>(body: B) -> B::Output {
        body.run()
    }
}

#[cfg(target_arch = "x86_64")]
avx512! {
    fn run_with_avx512<B: Body>(body: B) -> B::Output {
        body.run()
    }
}

/// Defines a function that picks the body of a level: from one that is written over registers, a
/// function for each level that has them. The generics of the body, except its register, are in
/// brackets, with and without their bounds.
///
/// The function that is picked is unsafe to call: beside the requirements of the body, the machine
/// must have the level's features. A [`Level`] guarantees that.
macro_rules! vector_body {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident[$($bounds:tt)*][$($generics:tt)*] -> $kind:ty;
        $body:ident($($argument:ident: $type:ty),* $(,)?)
    ) => {
        $(#[$meta])*
        $vis fn $name<$($bounds)*>(level: $crate::simd::level::Level) -> Option<$kind> {
            use $crate::simd::level::Isa;
            match level.isa() {
                Isa::Scalar => None,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => {
                    use $crate::simd::x86_64::vector::Avx2;
                    $crate::simd::level::avx2! {
                        unsafe fn compiled<$($bounds)*>($($argument: $type),*) {
                            // SAFETY: the caller guarantees the requirements of the body; this
                            // function has the register's instructions.
                            unsafe { $body::<Avx2, $($generics)*>($($argument),*) }
                        }
                    }
                    Some(compiled::<$($generics)*>)
                }
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => {
                    use $crate::simd::x86_64::vector::Avx512;
                    $crate::simd::level::avx512! {
                        unsafe fn compiled<$($bounds)*>($($argument: $type),*) {
                            // SAFETY: as above.
                            unsafe { $body::<Avx512, $($generics)*>($($argument),*) }
                        }
                    }
                    Some(compiled::<$($generics)*>)
                }
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => {
                    use $crate::simd::aarch64::vector::Neon;
                    unsafe fn compiled<$($bounds)*>($($argument: $type),*) {
                        // SAFETY: the caller guarantees the requirements of the body; all code for
                        // this architecture has the register's instructions.
                        unsafe { $body::<Neon, $($generics)*>($($argument),*) }
                    }
                    Some(compiled::<$($generics)*>)
                }
            }
        }
    };
}
pub(crate) use vector_body;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_set_is_selected_by_name() {
        for &isa in Isa::ALL {
            assert_eq!(Isa::from_name(isa.name()), Ok(isa));
        }
        let error = Isa::from_name("sse").unwrap_err().to_string();
        #[cfg(target_arch = "x86_64")]
        assert_eq!(error, "NDLENS_ISA is \"sse\", expected scalar, avx2 or avx512");
        #[cfg(target_arch = "aarch64")]
        assert_eq!(error, "NDLENS_ISA is \"sse\", expected scalar or neon");
        assert!(Level::chosen().unwrap() <= Level::best());
    }

    #[test]
    fn an_instruction_set_has_the_features_of_its_list() {
        for &isa in Isa::ALL {
            assert!(isa.features().iter().all(|feature| isa.has_feature(feature)));
            for other in ["", "avx", "avx51", "avx512", "avx512f,avx512ifma", "avx512fp16"] {
                assert!(!isa.has_feature(other));
            }
        }
        #[cfg(target_arch = "x86_64")]
        assert!(Isa::Avx512.has_feature("avx512ifma") && !Isa::Avx2.has_feature("avx512ifma"));
    }

    #[test]
    fn every_level_up_to_the_best_is_one_of_the_machine() {
        let levels: Vec<Level> = Level::all().collect();
        assert!(levels.is_sorted());
        assert_eq!((levels[0], levels[levels.len() - 1]), (Level::SCALAR, Level::best()));
        for &isa in Isa::ALL {
            assert!(levels.contains(&Level::best().at_most(isa)));
        }
    }
}
