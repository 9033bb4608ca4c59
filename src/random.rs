//! Counter-based randomness: Philox4x32-10 and the streams drawn from it.
//!
//! Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11). The generator is a pure
//! function of a 128-bit counter and a 64-bit key, so every value has an address: nothing depends on the order in
//! which threads or invocations run, and a resumed run needs no saved generator state.
//!
//! The addressing that every user of this module shares:
//!
//! | word         | holds                                       |
//! |--------------|---------------------------------------------|
//! | key 0, 1     | the seed, low and high half                 |
//! | counter 0, 1 | the block of four words inside the stream   |
//! | counter 2, 3 | the stream id, low and high half            |
//!
//! The high half of a stream id is a [`Purpose`], so that no two uses of one seed share numbers.

/// Multipliers of Philox4x32 (Salmon et al., table 2).
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Weyl increments of the key: the golden ratio and the square root of three, less one.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// One block of Philox4x32-10: four random words for a counter and a key.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c0);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c2);
        let next0 = (p1 >> 32) as u32 ^ c1 ^ k0;
        let next2 = (p0 >> 32) as u32 ^ c3 ^ k1;
        (c0, c1, c2, c3) = (next0, p1 as u32, next2, p0 as u32);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// What a stream of random numbers is for. The discriminants are part of every seeded result: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// First values of the parameters; index: the parameter's place in the model.
    Weights = 1,
    /// The order of training samples; index: the epoch.
    BatchOrder = 2,
    /// Dropout masks; index: the step.
    Dropout = 3,
    /// Data augmentation; index: the step.
    Augmentation = 4,
    /// Built-in digits, training images; index: the image.
    TrainDigits = 5,
    /// Built-in digits, test images; index: the image.
    TestDigits = 6,
    /// Built-in digits, classes of the training images; index: the block of ten images.
    TrainDigitLabels = 7,
    /// Built-in digits, classes of the test images; index: the block of ten images.
    TestDigitLabels = 8,
    /// Built-in stories for training; index: the story.
    TrainStories = 32,
    /// Built-in stories for testing; index: the story.
    TestStories = 33,
    /// Which samples become the test part; index: the class.
    Split = 16,
    /// Which training samples each step takes, where it takes every one with the same probability; index: the epoch.
    Poisson = 65,
    /// How samples are divided among clients; index: 0.
    FederatedSplit = 66,
    /// Which clients take part in a round, whose seed is the round's; index: 0.
    FederatedRound = 67,
    /// The order of a client's samples in a round; index: the client and its pass.
    FederatedOrder = 68,
    /// The masks of a pair of clients in a round, whose seed is the pair's; index: 0.
    FederatedMask = 69,
    /// The noise of a private round, whose seed is the round's; index: 0.
    FederatedNoise = 70,
    /// How much of each picture is mixed with another's; index: the step.
    Mix = 17,
    /// Which training samples become the validation part; index: the class.
    ValidationSplit = 20,
    /// Where training samples begin that may begin anywhere; index: the epoch.
    Starts = 18,
    /// The order of training batches whose samples have about the same length; index: the epoch.
    BucketOrder = 21,
    /// The tokens of a generated text; index: its prompt.
    Generation = 19,
    /// Gaussian noise that is added to what a model sees; index: which of a step's.
    Noise = 24,
    /// Which training samples keep their classes; index: the class.
    Labelled = 25,
    /// The order of the samples that keep their classes, among others; index: the epoch.
    LabelledOrder = 26,
    /// The settings of a trial of a sweep; index: the trial.
    Sweep = 27,
    /// How episodes begin in which an agent learns; index: the environment.
    Episodes = 48,
    /// How episodes begin in which an agent is evaluated or shown; index: the environment.
    EvaluationEpisodes = 49,
    /// Which actions an agent takes while it learns; index: the environment.
    Actions = 50,
    /// Which actions an agent takes that is evaluated or shown; index: the environment.
    EvaluationActions = 51,
    /// Which transitions of a replay buffer make a batch; index: the environment step, modulo 2^32.
    Replay = 52,
    /// The order of the samples that an agent collected; index: the pass over them.
    Rollouts = 53,
    /// Where an attack on an image begins, and what it tries; index: the image.
    Attack = 56,
    /// How an image is corrupted; index: the image.
    Corruption = 57,
    /// What an explanation draws: the noise of an image; index: the image. The order of a column; index: the repeat of the column.
    Explanation = 58,
    /// The order of the pixels of permuted images, whose number is the seed; index: 0.
    Permutation = 28,
    /// Which samples a draw of a bootstrap consists of; index: the draw.
    Bootstrap = 64,
    /// Which half of the samples of a part a temperature is fitted to; index: 0.
    TemperatureHalf = 74,
    /// Which samples a membership attack judges; index: 0 for members of the training data, 1 for others.
    Membership = 72,
    /// Which half of these samples a shadow run is trained on; index: the pair of shadow runs.
    ShadowHalves = 73,
    /// Which training samples the importance of weights is measured on; index: 0.
    Importance = 29,
}

impl Purpose {
    /// The stream id of one index under this purpose.
    pub fn stream(self, index: u32) -> u64 {
        u64::from(self as u32) << 32 | u64::from(index)
    }
}

/// Random numbers one after another from one address: the words of blocks 0, 1, 2, … of a seed's stream.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    stream: [u32; 2],
    next_block: u64,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// The start of the stream `stream` (see [`Purpose::stream`]) of a seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            key: halves(seed),
            stream: halves(stream),
            next_block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    /// The same from its block `block` on.
    pub fn at(seed: u64, stream: u64, block: u64) -> Self {
        Self {
            next_block: block,
            ..Self::new(seed, stream)
        }
    }

    /// The next word.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == self.words.len() {
            let [low, high] = halves(self.next_block);
            self.words = philox4x32([low, high, self.stream[0], self.stream[1]], self.key);
            self.next_block = self.next_block.wrapping_add(1);
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        word
    }

    /// Uniform in [0, 1): the top 24 bits of the next word, so every value is exact and 1 is never reached.
    pub fn unit(&mut self) -> f32 {
        unit_f32(self.next_u32())
    }

    /// Uniform between `low` (included) and `high`; rounding may reach `high` itself.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform integer in 0..`bound`, without bias (Lemire, "Fast random integer generation in an interval", 2019);
    /// 0 where `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound == 0 {
            return 0;
        }
        let reject_under = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(bound);
            if product as u32 >= reject_under {
                return (product >> 32) as u32;
            }
        }
    }

    /// Standard normal: the cosine branch of Box and Muller (1958), two words a value.
    ///
    /// Worked out in f64 and rounded once, so that platforms whose `ln` and `cos` differ in the last bit of an f64
    /// agree on the f32 but for about one value in 10^8. The largest magnitude is 6.7.
    pub fn normal(&mut self) -> f32 {
        let radius = (f64::from(self.next_u32()) + 1.0) / 4_294_967_296.0;
        let angle = f64::from(self.next_u32()) / 4_294_967_296.0;
        ((-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()) as f32
    }

    /// Shuffles in place, every order as likely as any other (Fisher and Yates, Durstenfeld's form from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // A slice past 2^32 items is shuffled from its first 2^32; index lists here are u32.
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            items.swap(last, self.below(bound) as usize);
        }
    }
}

/// A word as a number in [0, 1): its top 24 bits over 2^24. The same formula as in the shaders.
pub fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// The low and the high half: the key of a seed.
pub fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that the authors publish with Random123 (`kat_vectors`, philox4x32 with 10 rounds).
    #[test]
    fn philox_gives_the_published_answers() {
        let cases = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, answer) in cases {
            assert_eq!(philox4x32(counter, key), answer, "counter {counter:x?}");
        }
    }

    #[test]
    fn a_stream_reads_the_blocks_of_its_address_in_order() {
        let seed = 0x0123_4567_89ab_cdef;
        let mut stream = Stream::new(seed, Purpose::Dropout.stream(77));
        let drawn: Vec<u32> = (0..8).map(|_| stream.next_u32()).collect();
        let key = [0x89ab_cdef, 0x0123_4567];
        assert_eq!(drawn[..4], philox4x32([0, 0, 77, 3], key));
        assert_eq!(drawn[4..], philox4x32([1, 0, 77, 3], key));
        let mut later = Stream::at(seed, Purpose::Dropout.stream(77), 1);
        assert_eq!(later.next_u32(), drawn[4]);
    }

    #[test]
    fn streams_of_one_seed_differ_by_purpose_and_by_index() {
        let first = |stream| Stream::new(5, stream).next_u32();
        assert_ne!(
            first(Purpose::Weights.stream(0)),
            first(Purpose::Weights.stream(1))
        );
        assert_ne!(
            first(Purpose::Weights.stream(0)),
            first(Purpose::Dropout.stream(0))
        );
    }

    #[test]
    fn uniform_values_fill_the_unit_interval_and_stay_under_one() {
        assert_eq!(unit_f32(0), 0.0);
        assert!(unit_f32(u32::MAX) < 1.0);
        let mut stream = Stream::new(1, 0);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            tenths[(stream.unit() * 10.0) as usize] += 1;
        }
        for count in tenths {
            // Five standard deviations of a binomial count around 10,000 are 474.
            assert!(count.abs_diff(10_000) < 474, "{tenths:?}");
        }
    }

    #[test]
    fn normal_values_have_the_moments_of_the_standard_normal() {
        let mut stream = Stream::new(2, 0);
        let values: Vec<f64> = (0..100_000).map(|_| f64::from(stream.normal())).collect();
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.016, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.023, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.07, "third moment {}", moment(3));
        assert!(
            (moment(4) - 3.0).abs() < 0.16,
            "fourth moment {}",
            moment(4)
        );
    }

    #[test]
    fn integers_below_a_bound_are_even_and_below_it() {
        let mut stream = Stream::new(3, 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        for count in counts {
            assert!(count.abs_diff(10_000) < 470, "{counts:?}");
        }
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn shuffling_reaches_every_order_equally_often() {
        let mut stream = Stream::new(4, 0);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            *counts.entry(items).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        assert!(
            counts.values().all(|count| count.abs_diff(1_000) < 160),
            "{counts:?}"
        );
    }
}
