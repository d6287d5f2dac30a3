//! A compiled pipeline in words, for people who want to see what was fused.

use ndlens_kernels::{MapStep, ValueMap};

/// The work on an item, in the order in which it is done. A transform is given by its name, and a
/// conversion with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// Before the last pass. A transform that only chooses elements moves none: it changes what
    /// the next pass reads.
    pub before: Vec<String>,
    /// In the last pass, which writes the item to its place in the batch.
    pub last: Vec<String>,
    /// In place, in the batch.
    pub in_place: Vec<String>,
}

/// The maps of values that were fused to one, as they are written in Python.
pub(crate) fn words_of_map(map: &ValueMap) -> Vec<String> {
    map.steps().iter().map(words_of).collect()
}

/// A map of values, as it is written in Python.
pub(crate) fn words_of(step: &MapStep) -> String {
    match step {
        MapStep::ToDtype { dtype, scale: false } => format!("ToDtype({dtype})"),
        MapStep::ToDtype { dtype, scale: true } => format!("ToDtype({dtype}, scale=True)"),
        MapStep::Normalize { .. } => "Normalize".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ndlens_core::DType;

    use crate::crop::RandomCrop;
    use crate::layout::ChannelsFirst;
    use crate::pipeline::Pipeline;
    use crate::step::Step;
    use crate::testing::image;
    use crate::values::{Normalize, ToDtype};

    #[test]
    fn the_stages_say_what_the_last_pass_fuses_and_what_comes_around_it() {
        let image = image(8, 8, 3);
        let list = [
            RandomCrop::new(4, 4).boxed(),
            ToDtype { dtype: DType::F32, scale: true }.boxed(),
            Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }.boxed(),
            ChannelsFirst::default().boxed(),
        ];
        let stages = Pipeline::compile(&list, image.shape(), image.dtype()).unwrap().stages();
        assert_eq!(stages.before, ["RandomCrop"]);
        assert_eq!(stages.last, ["ToDtype(float32, scale=True)", "Normalize", "ChannelsFirst"]);
        assert!(stages.in_place.is_empty());
    }
}
