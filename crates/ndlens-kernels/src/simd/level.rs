//! Which instructions this machine has, asked once.
//!
//! The environment variable `NDLENS_ISA` forces a lower instruction set than the best one:
//! `scalar`, `avx2` or `avx512`. It is read once, with the first map. Asking for more than the
//! machine has gives what it has; an unknown name is an error, since a typing mistake would
//! otherwise time the wrong code.

use std::sync::OnceLock;

use crate::error::{Error, Result};

/// An instruction set with bodies of its own, the better the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Isa {
    /// What every machine has.
    Scalar,
    /// AVX2, FMA and F16C: 8 floats at once.
    Avx2,
    /// AVX-512 F, BW, VL and VBMI: 16 floats at once, bytes shuffled across the whole register.
    Avx512,
}

impl Isa {
    /// The best this machine has.
    pub(crate) fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                let avx2 = std::is_x86_feature_detected!("avx2")
                    && std::is_x86_feature_detected!("fma")
                    && std::is_x86_feature_detected!("f16c");
                let avx512 = std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512bw")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512vbmi");
                if avx2 && avx512 {
                    return Isa::Avx512;
                }
                if avx2 {
                    return Isa::Avx2;
                }
            }
            Isa::Scalar
        })
    }

    /// The best this machine has and `NDLENS_ISA` allows.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownIsa`].
    pub(crate) fn chosen() -> Result<Isa> {
        static CHOSEN: OnceLock<Result<Isa>> = OnceLock::new();
        CHOSEN
            .get_or_init(|| match std::env::var_os("NDLENS_ISA") {
                None => Ok(Isa::best()),
                Some(name) => {
                    Isa::from_name(&name.to_string_lossy()).map(|isa| isa.min(Isa::best()))
                }
            })
            .clone()
    }

    fn from_name(name: &str) -> Result<Isa> {
        match name {
            "scalar" => Ok(Isa::Scalar),
            "avx2" => Ok(Isa::Avx2),
            "avx512" => Ok(Isa::Avx512),
            _ => Err(Error::UnknownIsa { got: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_set_is_asked_for_by_name() {
        assert_eq!(Isa::from_name("avx2"), Ok(Isa::Avx2));
        let error = Isa::from_name("sse").unwrap_err();
        assert_eq!(error.to_string(), "NDLENS_ISA is \"sse\", expected scalar, avx2 or avx512");
        assert!(Isa::chosen().unwrap() <= Isa::best());
    }
}
