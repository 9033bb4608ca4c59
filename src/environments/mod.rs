//! Environments in which agents act: a state, which an action changes, and a reward for it. One file each.
//!
//! An [`Environment`] computes on the host, one episode at a time, and knows no time limit; [`Vectorised`] steps several, ends
//! episodes that last too long, and begins new ones. To add one, write its file and add its name to the list at the end of this
//! file; `docs/agents.md` walks through it.

mod canvas;
mod film;
mod settings;
mod vectorised;

pub use canvas::{Canvas, Colour};
pub use film::gif;
pub use settings::EnvironmentSettings;
pub use vectorised::{Episode, VectorOutcome, Vectorised};
pub(crate) use vectorised::{double_words, doubles};

use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use crate::random::Stream;

/// A world with a state that actions change. Everything random is drawn when an episode begins.
pub trait Environment: Send {
    /// Begins an episode.
    fn reset(&mut self, random: &mut Stream);

    /// Takes the action with this index, which is below the number of [`RegisteredEnvironment::actions`].
    fn step(&mut self, action: usize) -> Outcome;

    /// Appends what an agent sees of the state: as many numbers as [`RegisteredEnvironment::observation`] names.
    fn observe(&self, into: &mut Vec<f32>);

    /// The state, from which [`Environment::restore`] goes on.
    fn state(&self) -> Vec<f64>;

    /// Continues from a state that [`Environment::state`] gave. `None` if it is not one.
    fn restore(&mut self, state: &[f64]) -> Option<()>;

    /// A picture of the state.
    fn draw(&self) -> Canvas;
}

/// What an action led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The reward.
    pub reward: f64,
    /// Whether the episode ended in a final state, as opposed to the time limit.
    pub terminated: bool,
}

/// An environment of the registry.
pub struct RegisteredEnvironment {
    /// Name of its file with hyphens, and the value of `environment` in a run's settings.
    pub name: &'static str,
    /// Its identifier in Gymnasium, if it has the same dynamics as one there; a second name.
    pub gymnasium: Option<&'static str>,
    /// One-line description.
    pub about: &'static str,
    /// Names of the numbers of an observation.
    pub observation: &'static [&'static str],
    /// Names of the actions.
    pub actions: &'static [&'static str],
    /// Steps after which an episode is ended.
    pub most_steps: u32,
    /// Steps per second in a film.
    pub frames_per_second: u32,
    /// The environment, before its first episode.
    pub make: fn() -> Box<dyn Environment>,
}

/// The environment called `name`, in any case, or with this identifier in Gymnasium.
///
/// # Errors
/// Lists the existing environments.
pub fn named(name: &str) -> Result<&'static RegisteredEnvironment> {
    let is_it = |known: &&&RegisteredEnvironment| {
        let own = [Some(known.name), known.gymnasium];
        own.iter()
            .flatten()
            .any(|own| own.eq_ignore_ascii_case(name))
    };
    ENVIRONMENTS.iter().find(is_it).copied().ok_or_else(|| {
        let names: Vec<&str> = ENVIRONMENTS.iter().map(|known| known.name).collect();
        Error::Config(format!(
            "there is no environment \"{name}\"; there are {}{}",
            names.join(", "),
            did_you_mean(name, names.iter().copied())
        ))
    })
}

macro_rules! register {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// Every environment, for `wgrad environments` and the shared tests.
        pub static ENVIRONMENTS: &[&RegisteredEnvironment] = &[$(&$module::REGISTERED),*];
    };
}

register! {
    cart_pole,
    mountain_car,
    acrobot,
    grid_world,
    path_planning,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use serde_json::Value;

    fn numbers(value: &Value) -> Vec<f64> {
        let items = value.as_array().unwrap().iter();
        items.map(|x| x.as_f64().unwrap()).collect()
    }

    /// The names of the classic control environments are those of Gymnasium, whose trajectories `make_environments.py` records.
    #[test]
    fn trajectories_are_those_of_gymnasium() {
        let text = std::fs::read_to_string("tests/fixtures/environments.json").unwrap();
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let known = ENVIRONMENTS
            .iter()
            .filter_map(|known| Some((known, known.gymnasium?)));
        for (known, name) in known {
            let trajectories = recorded[name].as_array().unwrap();
            assert!(!trajectories.is_empty());
            for trajectory in trajectories {
                let mut environment = (known.make)();
                environment.restore(&numbers(&trajectory["start"])).unwrap();
                let actions = numbers(&trajectory["actions"]);
                let rewards = numbers(&trajectory["rewards"]);
                let mut seen = Vec::new();
                environment.observe(&mut seen);
                close(&seen, &numbers(&trajectory["first"]), name, 0);
                for (place, &action) in actions.iter().enumerate() {
                    let outcome = environment.step(action as usize);
                    let last = place + 1 == actions.len();
                    assert_eq!(outcome.reward, rewards[place], "{name}, step {place}");
                    let ends = last && trajectory["terminated"] == true;
                    assert_eq!(outcome.terminated, ends, "{name}, step {place}");
                    let limit = place + 1 == known.most_steps as usize;
                    assert_eq!(limit, last && trajectory["truncated"] == true, "{name}");
                    seen.clear();
                    environment.observe(&mut seen);
                    close(
                        &seen,
                        &numbers(&trajectory["observations"][place]),
                        name,
                        place,
                    );
                }
            }
        }
    }

    fn close(seen: &[f32], recorded: &[f64], name: &str, step: usize) {
        assert_eq!(seen.len(), recorded.len());
        for (&a, &b) in seen.iter().zip(recorded) {
            let apart = (f64::from(a) - b).abs();
            assert!(
                apart <= 1e-6 * b.abs().max(1.0),
                "{name}, step {step}: {a} and {b}"
            );
        }
    }

    #[test]
    fn every_environment_goes_on_from_its_state_and_draws_itself() {
        for known in ENVIRONMENTS {
            let mut random = Stream::new(7, Purpose::Episodes.stream(0));
            let mut environment = (known.make)();
            environment.reset(&mut random);
            let mut other = (known.make)();
            for step in 0..50u32 {
                if step == 20 {
                    other.restore(&environment.state()).unwrap();
                }
                let action = (step as usize * 7 / 3) % known.actions.len();
                let outcome = environment.step(action);
                if step >= 20 {
                    assert_eq!(outcome, other.step(action), "{}", known.name);
                    assert_eq!(environment.state(), other.state(), "{}", known.name);
                }
                let mut seen = Vec::new();
                environment.observe(&mut seen);
                assert_eq!(seen.len(), known.observation.len(), "{}", known.name);
                assert!(seen.iter().all(|x| x.is_finite()), "{}", known.name);
                if outcome.terminated {
                    environment.reset(&mut random);
                    other.restore(&environment.state()).unwrap();
                }
            }
            assert!(environment.restore(&[]).is_none(), "{}", known.name);
            let canvas = environment.draw();
            let first = canvas.pixel(0, 0);
            let drawn = (0..canvas.height()).flat_map(|y| (0..canvas.width()).map(move |x| (x, y)));
            assert!(
                drawn.clone().any(|(x, y)| canvas.pixel(x, y) != first),
                "{}",
                known.name
            );
        }
    }

    #[test]
    fn environments_are_found_by_both_names() {
        assert_eq!(named("cart-pole").unwrap().name, "cart-pole");
        assert_eq!(named("CartPole-v1").unwrap().name, "cart-pole");
        let message = named("cartpole").err().unwrap().to_string();
        assert!(
            message.contains("did you mean") && message.contains("mountain-car"),
            "{message}"
        );
    }
}
