//! What is drawn for a batch.

use serde_json::{Value, json};

use super::{Choice, Mix, Mixer, beta};

/// Columns `left..right` of rows `top..bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// The first column after it.
    pub right: usize,
    /// The first row after it.
    pub bottom: usize,
}

/// The parameters of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnMix {
    /// Which of the mixer's choices.
    choice: usize,
    /// What the beta distribution gave.
    lam: f64,
    /// What comes from the neighbour; without it, a part of every element.
    pub cut: Option<Cut>,
    /// How much of a batch's items is their own.
    pub share: f64,
}

impl Mixer {
    /// Draws for the batch whose first item has this place in the order.
    pub fn draw(&self, epoch: u32, place: u64) -> DrawnMix {
        let choice = self.choose(epoch, place);
        let Choice { mix, stream, .. } = &self.choices[choice];
        let mut draws = stream.draws(epoch, place);
        let lam = beta::draw(mix.alpha(), &mut draws);
        let (Mix::CutMix { .. }, Some([height, width])) = (mix, self.size) else {
            return DrawnMix { choice, lam, cut: None, share: lam };
        };
        // As torchvision has it: the middle is uniform, and what would reach beyond the edges is
        // cut off.
        let (x, y) = (draws.below(width as u64) as usize, draws.below(height as u64) as usize);
        let half = |side: usize| (0.5 * (1.0 - lam).sqrt() * side as f64) as usize;
        let (half_width, half_height) = (half(width), half(height));
        let (left, right) = (x.saturating_sub(half_width), (x + half_width).min(width));
        let (top, bottom) = (y.saturating_sub(half_height), (y + half_height).min(height));
        let area = (right - left) as f64 * (bottom - top) as f64;
        let share = 1.0 - area / (width as f64 * height as f64);
        DrawnMix { choice, lam, cut: Some(Cut { left, top, right, bottom }), share }
    }

    fn choose(&self, epoch: u32, place: u64) -> usize {
        let mut left = self.stream.draws(epoch, place).uniform() * self.weights.iter().sum::<f64>();
        for (choice, weight) in self.weights.iter().enumerate() {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        // Sums are rounded: the last that can be.
        self.weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
    }

    /// The parameters of a batch by the name of what mixes it: `{"MixUp": {"lam": 0.3}}`, or for
    /// `CutMix` lam, the box as (x1, y1, x2, y2) and `lam_adjusted`, what is left outside of it.
    pub fn params_to_json(&self, drawn: &DrawnMix) -> Value {
        let lam = drawn.lam;
        let params = match drawn.cut {
            Some(Cut { left, top, right, bottom }) => {
                json!({"lam": lam, "box": [left, top, right, bottom], "lam_adjusted": drawn.share})
            }
            None => json!({"lam": lam}),
        };
        Value::Object([(self.choices[drawn.choice].name.clone(), params)].into_iter().collect())
    }
}
