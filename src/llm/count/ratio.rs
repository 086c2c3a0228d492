//! How a provider's counts relate to our estimates, learned from what it says of answers.

use crate::limits::{RATIO_MILLIONTHS_MAX, RATIO_MILLIONTHS_MIN, RATIO_TOKENS_MIN};

/// Millionths in one.
const ONE: u64 = 1_000_000;

/// The mean moves this part of the way to each new ratio.
const MEAN_STEP: u64 = 16;

/// The upper bound moves by this part of itself: up by all of it, down by a twentieth, so that it rests where
/// one ratio of twenty is above it.
const UPPER_STEP: u64 = 64;

/// Down steps in one up step, less one: 95 of 100 are below.
const DOWN: u64 = 19;

/// The ratio of actual tokens to estimated ones, for one model.
///
/// All numbers are whole, so that the same requests teach every process the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// `RATIO_MILLIONTHS_MIN` <= `mean` <= `RATIO_MILLIONTHS_MAX`.
    mean: u64,
    /// `mean` <= `upper` <= `RATIO_MILLIONTHS_MAX`.
    upper: u64,
    /// Requests that it was learned from.
    seen: u64,
}

impl Default for Ratio {
    /// What is right for a vocabulary like ours.
    fn default() -> Self {
        Self::starting_at(ONE, ONE / 4 * 5)
    }
}

impl Ratio {
    /// What is known of Claude models before the first answer: Anthropic says that the newer ones make 1 to
    /// 1.35 tokens where the older ones made one, and those made 1.06 of ours.
    pub const CLAUDE: Self = Self { mean: 1_250_000, upper: 1_450_000, seen: 0 };

    /// A ratio of which this much is known beforehand, in millionths.
    pub fn starting_at(mean: u64, upper: u64) -> Self {
        let mean = mean.clamp(RATIO_MILLIONTHS_MIN, RATIO_MILLIONTHS_MAX);
        Self { mean, upper: upper.clamp(mean, RATIO_MILLIONTHS_MAX), seen: 0 }
    }

    /// Learns from an answer: what was estimated of its request, and what the provider has counted, caches
    /// included. Short requests and counts of 0 teach nothing.
    pub fn learn(&mut self, estimated: u64, actual: u64) {
        if estimated < RATIO_TOKENS_MIN || actual == 0 {
            return;
        }
        let ratio = actual.saturating_mul(ONE) / estimated;
        let ratio = ratio.clamp(RATIO_MILLIONTHS_MIN, RATIO_MILLIONTHS_MAX);
        let step = self.upper / UPPER_STEP;
        if self.seen == 0 {
            // The first one says more than what was believed before.
            self.mean = ratio;
            self.upper = ratio + ratio / 8;
        } else {
            self.mean = (self.mean * (MEAN_STEP - 1) + ratio) / MEAN_STEP;
            self.upper = if ratio > self.upper { self.upper + step } else { self.upper - step / DOWN };
        }
        self.upper = self.upper.clamp(self.mean, RATIO_MILLIONTHS_MAX);
        self.seen = self.seen.saturating_add(1);
    }

    /// The tokens to expect where this many are estimated; never 0.
    pub fn expected(&self, estimated: u64) -> u64 {
        scaled(estimated, self.mean)
    }

    /// As many as it will be in 95 of 100 requests; never fewer than [`Ratio::expected`].
    pub fn upper(&self, estimated: u64) -> u64 {
        scaled(estimated, self.upper)
    }

    /// Requests that it was learned from: with none it is what was believed beforehand.
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// The mean and the upper bound, in millionths.
    pub const fn millionths(&self) -> (u64, u64) {
        (self.mean, self.upper)
    }
}

/// Rounded up.
fn scaled(tokens: u64, millionths: u64) -> u64 {
    tokens.saturating_mul(millionths).div_ceil(ONE).max(1)
}
