//! Whether images are as light as those that a model was trained on.

/// Images are much lighter or darker if their mean, from 0 to 1, differs by more than this.
const FAR: f32 = 0.3;

/// How far images are from those of the training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Brightness {
    own: f32,
    training: f32,
}

impl Brightness {
    /// That of images with the mean `own` of each channel, if it is far from that of the `training` images.
    pub fn far(own: &[f32], training: &[f32]) -> Option<Brightness> {
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len().max(1) as f32;
        let (own_mean, training_mean) = (mean(own), mean(training));
        let comparable = !own.is_empty() && !training.is_empty();
        (comparable && (own_mean - training_mean).abs() > FAR).then_some(Brightness {
            own: own_mean,
            training: training_mean,
        })
    }

    /// Whether the images look inverted: those with the opposite values would be much nearer.
    pub fn looks_inverted(self) -> bool {
        let inverted = (1.0 - self.own - self.training).abs();
        inverted < (self.own - self.training).abs() / 2.0
    }

    /// A sentence without its end: `what` are much lighter than the training images.
    pub fn in_words(self, what: &str) -> String {
        let word = match self.own > self.training {
            true => "lighter",
            false => "darker",
        };
        format!(
            "{what} much {word} than the training images (mean {:.2}, training {:.2})",
            self.own, self.training
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_is_reported_and_the_opposite_is_recognised() {
        assert_eq!(Brightness::far(&[0.4, 0.5, 0.6], &[0.45, 0.45, 0.45]), None);
        assert_eq!(Brightness::far(&[], &[0.5]), None);
        let paper = Brightness::far(&[0.87], &[0.13]).unwrap();
        assert!(paper.looks_inverted());
        assert_eq!(
            paper.in_words("these images are"),
            "these images are much lighter than the training images (mean 0.87, training 0.13)"
        );
        let night = Brightness::far(&[0.05, 0.05, 0.1], &[0.45, 0.45, 0.45]).unwrap();
        assert!(!night.looks_inverted());
        assert!(night.in_words("they are").contains("much darker"));
    }
}
