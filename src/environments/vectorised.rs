//! Several environments that are stepped together, with a time limit; one whose episode has ended begins the next one.

use super::{Canvas, Environment, Outcome, RegisteredEnvironment};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// An episode that has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The environment that it was in.
    pub environment: usize,
    /// Sum of its rewards.
    pub total: f64,
    /// Its steps.
    pub length: u32,
    /// Whether it ended in a final state, as opposed to the time limit.
    pub terminated: bool,
}

/// What the actions of all environments led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorOutcome {
    /// The reward of each.
    pub rewards: Vec<f32>,
    /// Whether the episode of each ended in a final state.
    pub terminated: Vec<bool>,
    /// Whether the episode of each ended at the time limit.
    pub truncated: Vec<bool>,
    /// Observations after the actions, before episodes that have ended are followed by new ones: `[environments, numbers]`.
    pub observations: Vec<f32>,
    /// The episodes that ended.
    pub episodes: Vec<Episode>,
}

impl VectorOutcome {
    /// Whether the episode of an environment ended.
    pub fn ended(&self, environment: usize) -> bool {
        self.terminated[environment] || self.truncated[environment]
    }
}

/// See the module. The `k`th episode of an environment follows from the seed, the purpose, the environment's index and `k` alone.
pub struct Vectorised {
    known: &'static RegisteredEnvironment,
    seed: u64,
    purpose: Purpose,
    /// Index of the first environment in the stream of the seed.
    first: usize,
    environments: Vec<Playing>,
    observations: Vec<f32>,
}

/// An environment within an episode.
struct Playing {
    environment: Box<dyn Environment>,
    /// Number of the episode, from 1.
    episode: u32,
    steps: u32,
    total: f64,
}

/// Words of the random stream of an environment that each of its episodes may use.
const EPISODE_BLOCKS: u64 = 1 << 32;

impl Vectorised {
    /// This many environments, in their first episodes. Those of `purpose` with the same seed differ from others.
    ///
    /// # Errors
    /// If one gives numbers that are not finite.
    pub fn new(
        known: &'static RegisteredEnvironment,
        count: usize,
        seed: u64,
        purpose: Purpose,
    ) -> Result<Vectorised> {
        Vectorised::from_place(known, 0, count, seed, purpose)
    }

    /// The same, beginning with the environment of index `first`.
    ///
    /// # Errors
    /// As [`Vectorised::new`].
    pub fn from_place(
        known: &'static RegisteredEnvironment,
        first: usize,
        count: usize,
        seed: u64,
        purpose: Purpose,
    ) -> Result<Vectorised> {
        let playing = |_| Playing {
            environment: (known.make)(),
            episode: 0,
            steps: 0,
            total: 0.0,
        };
        let mut made = Vectorised {
            known,
            seed,
            purpose,
            first,
            environments: (0..count).map(playing).collect(),
            observations: Vec::new(),
        };
        (0..count).for_each(|index| made.reset(index));
        made.observe()?;
        Ok(made)
    }

    /// The environment.
    pub fn known(&self) -> &'static RegisteredEnvironment {
        self.known
    }

    /// Number of environments.
    pub fn count(&self) -> usize {
        self.environments.len()
    }

    /// What the agents see now: `[environments, numbers]`.
    pub fn observations(&self) -> &[f32] {
        &self.observations
    }

    /// A picture of an environment.
    pub fn draw(&self, index: usize) -> Option<Canvas> {
        let playing = self.environments.get(index)?;
        Some(playing.environment.draw())
    }

    fn reset(&mut self, index: usize) {
        let place = self.first + index;
        let playing = &mut self.environments[index];
        let block = u64::from(playing.episode) * EPISODE_BLOCKS;
        let stream = self.purpose.stream(place as u32);
        playing
            .environment
            .reset(&mut Stream::at(self.seed, stream, block));
        playing.episode += 1;
        (playing.steps, playing.total) = (0, 0.0);
    }

    /// Reads the observations.
    fn observe(&mut self) -> Result<()> {
        self.observations.clear();
        for playing in &self.environments {
            playing.environment.observe(&mut self.observations);
        }
        self.check(&self.observations, "an observation")
    }

    /// Takes an action in each environment, or none: then its rewards are 0 and it stays as it is. Ended episodes are followed by new
    /// ones.
    ///
    /// # Errors
    /// If an environment gives numbers that are not finite, or an action is not one.
    pub fn step(&mut self, actions: &[Option<u32>]) -> Result<VectorOutcome> {
        let most = self.known.actions.len();
        let wrong = actions
            .iter()
            .flatten()
            .find(|&&action| action as usize >= most);
        if actions.len() != self.count() || wrong.is_some() {
            return Err(Error::Training(format!(
                "{} environments were given the actions {actions:?}; give each one below {most}",
                self.count()
            )));
        }
        let mut outcome = VectorOutcome::default();
        for (index, (playing, action)) in self.environments.iter_mut().zip(actions).enumerate() {
            let found = match action {
                Some(action) => playing.environment.step(*action as usize),
                None => Outcome {
                    reward: 0.0,
                    terminated: false,
                },
            };
            playing.steps += u32::from(action.is_some());
            playing.total += found.reward;
            let truncated = !found.terminated && playing.steps >= self.known.most_steps;
            outcome.rewards.push(found.reward as f32);
            outcome.terminated.push(found.terminated);
            outcome.truncated.push(truncated);
            playing.environment.observe(&mut outcome.observations);
            if found.terminated || truncated {
                outcome.episodes.push(Episode {
                    environment: index,
                    total: playing.total,
                    length: playing.steps,
                    terminated: found.terminated,
                });
            }
        }
        self.check(&outcome.observations, "an observation")?;
        self.check(&outcome.rewards, "a reward")?;
        if outcome.episodes.is_empty() {
            self.observations.clone_from(&outcome.observations);
            return Ok(outcome);
        }
        for episode in &outcome.episodes {
            self.reset(episode.environment);
        }
        self.observe()?;
        Ok(outcome)
    }

    /// Refuses numbers of the environments that are not finite.
    fn check(&self, numbers: &[f32], what: &str) -> Result<()> {
        let Some(at) = numbers.iter().position(|x| !x.is_finite()) else {
            return Ok(());
        };
        let each = numbers.len() / self.count().max(1);
        let index = at / each.max(1);
        let (episode, step) = self
            .environments
            .get(index)
            .map_or((0, 0), |playing| (playing.episode, playing.steps));
        Err(Error::Training(format!(
            "the environment {} gave {what} of {} in step {step} of episode {episode} of environment {index}; its dynamics must stay finite",
            self.known.name, numbers[at]
        )))
    }

    /// The state of all environments, as words: [`Vectorised::restore`] continues from it.
    pub fn state(&self) -> Vec<u32> {
        let mut words = Vec::new();
        for playing in &self.environments {
            let numbers = playing.environment.state();
            words.extend([playing.episode, playing.steps, numbers.len() as u32]);
            words.extend(double_words(&[playing.total]));
            words.extend(double_words(&numbers));
        }
        words
    }

    /// Continues from a [`state`](Vectorised::state) of as many environments of the same kind.
    ///
    /// # Errors
    /// If it is not one.
    pub fn restore(&mut self, words: &[u32]) -> Result<()> {
        if self.take(words).is_none() {
            return Err(Error::Config(format!(
                "the checkpoint does not hold the state of {} environments {}; resume with the run.toml that it was made with",
                self.count(),
                self.known.name
            )));
        }
        self.observe()
    }

    fn take(&mut self, mut words: &[u32]) -> Option<()> {
        for playing in &mut self.environments {
            let ([episode, steps, count], rest) = words.split_first_chunk()?;
            let (total, rest) = rest.split_at_checked(2)?;
            let (numbers, rest) = rest.split_at_checked(2 * *count as usize)?;
            playing.environment.restore(&doubles(numbers))?;
            (playing.episode, playing.steps) = (*episode, *steps);
            playing.total = *doubles(total).first()?;
            words = rest;
        }
        words.is_empty().then_some(())
    }
}

/// Doubles as words of 32 bits, the low one first.
pub(crate) fn double_words(numbers: &[f64]) -> Vec<u32> {
    let halves = |x: &f64| crate::random::halves(x.to_bits());
    numbers.iter().flat_map(halves).collect()
}

/// The doubles of such words.
pub(crate) fn doubles(words: &[u32]) -> Vec<f64> {
    let (pairs, _) = words.as_chunks::<2>();
    let double = |&[low, high]: &[u32; 2]| f64::from_bits(u64::from(high) << 32 | u64::from(low));
    pairs.iter().map(double).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environments::named;

    fn three() -> Vectorised {
        Vectorised::new(named("cart-pole").unwrap(), 3, 5, Purpose::Episodes).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_episodes_and_a_state_goes_on() {
        let action = |step: u32| [step / 2 % 2, step / 3 % 2, step % 2].map(Some);
        let mut whole = three();
        let first: Vec<VectorOutcome> = (0..200)
            .map(|step| whole.step(&action(step)).unwrap())
            .collect();
        let mut again = three();
        for (step, known) in (0..120).zip(&first) {
            assert_eq!(again.step(&action(step)).unwrap(), *known);
        }
        let state = again.state();
        let mut resumed = three();
        resumed.restore(&state).unwrap();
        assert_eq!(resumed.observations(), again.observations());
        for (step, known) in (120..200).zip(&first[120..]) {
            assert_eq!(resumed.step(&action(step)).unwrap(), *known);
        }
        assert!(first.iter().any(|outcome| !outcome.episodes.is_empty()));
        let message = three().restore(&state[1..]).unwrap_err().to_string();
        assert!(message.contains("3 environments cart-pole"), "{message}");
    }

    #[test]
    fn environments_and_their_episodes_differ() {
        let mut several = three();
        let seen = several.observations().to_vec();
        assert_ne!(seen[..4], seen[4..8]);
        let single = Vectorised::from_place(several.known(), 2, 1, 5, Purpose::Episodes).unwrap();
        assert_eq!(single.observations(), &seen[8..]);
        while !several.step(&[Some(1), None, Some(1)]).unwrap().ended(0) {}
        assert_ne!(several.observations()[..4], seen[..4]);
        assert_eq!(several.observations()[4..8], seen[4..8]);
    }

    #[test]
    fn an_episode_ends_at_the_time_limit() {
        let mut car =
            Vectorised::new(named("mountain-car").unwrap(), 1, 5, Purpose::Episodes).unwrap();
        for step in 1..=200 {
            let outcome = car.step(&[Some(1)]).unwrap();
            assert_eq!(outcome.truncated, [step == 200]);
            assert!(!outcome.terminated[0]);
            if step == 200 {
                assert_eq!(
                    (outcome.episodes[0].total, outcome.episodes[0].length),
                    (-200.0, 200)
                );
                // What the agent saw last is not what it sees next.
                assert_ne!(outcome.observations, car.observations());
            }
        }
        let message = car.step(&[Some(3)]).unwrap_err().to_string();
        assert!(message.contains("below 3"), "{message}");
    }

    /// Divides by zero in its third step.
    struct Broken(f64);

    impl Environment for Broken {
        fn reset(&mut self, _random: &mut Stream) {
            self.0 = 3.0;
        }

        fn step(&mut self, _action: usize) -> Outcome {
            self.0 -= 1.0;
            Outcome {
                reward: 1.0,
                terminated: false,
            }
        }

        fn observe(&self, into: &mut Vec<f32>) {
            into.push((0.0 / self.0) as f32);
        }

        fn state(&self) -> Vec<f64> {
            vec![self.0]
        }

        fn restore(&mut self, _state: &[f64]) -> Option<()> {
            None
        }

        fn draw(&self) -> Canvas {
            Canvas::new([0.0, 1.0], [0.0, 1.0])
        }
    }

    static BROKEN: RegisteredEnvironment = RegisteredEnvironment {
        name: "broken",
        gymnasium: None,
        about: "",
        observation: &["x"],
        actions: &["a"],
        most_steps: 10,
        frames_per_second: 1,
        make: || Box::new(Broken(3.0)),
    };

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_their_step() {
        let mut broken = Vectorised::new(&BROKEN, 2, 1, Purpose::Episodes).unwrap();
        broken.step(&[Some(0); 2]).unwrap();
        broken.step(&[Some(0); 2]).unwrap();
        let message = broken.step(&[Some(0); 2]).unwrap_err().to_string();
        assert!(
            message.contains("broken gave an observation of NaN in step 3 of episode 1"),
            "{message}"
        );
    }
}
