//! A car in a valley whose engine is too weak for the hill: it must swing (Moore, "Efficient memory-based learning for robot
//! control", 1990). Dynamics of Gymnasium's `MountainCar-v0`.

use super::{Canvas, Colour, Environment, Outcome, RegisteredEnvironment};
use crate::random::Stream;

/// See the module.
pub(super) static REGISTERED: RegisteredEnvironment = RegisteredEnvironment {
    name: "mountain-car",
    gymnasium: Some("MountainCar-v0"),
    about: "swing a weak car up a hill",
    observation: &["position", "velocity"],
    actions: &["left", "coast", "right"],
    most_steps: 200,
    frames_per_second: 30,
    make: || Box::new(MountainCar::default()),
};

const LEFT_END: f64 = -1.2;
const RIGHT_END: f64 = 0.6;
const MOST_SPEED: f64 = 0.07;
const GOAL: f64 = 0.5;
const FORCE: f64 = 0.001;
const GRAVITY: f64 = 0.0025;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct MountainCar {
    /// Position and velocity.
    state: [f64; 2],
}

/// The height of the hills.
fn height(position: f64) -> f64 {
    libm::sin(3.0 * position) * 0.45 + 0.55
}

impl Environment for MountainCar {
    fn reset(&mut self, random: &mut Stream) {
        self.state = [f64::from(random.range(-0.6, -0.4)), 0.0];
    }

    fn step(&mut self, action: usize) -> Outcome {
        let [position, speed] = self.state;
        let push = (action as f64 - 1.0) * FORCE;
        let speed = speed + (push + libm::cos(3.0 * position) * -GRAVITY);
        let mut speed = speed.clamp(-MOST_SPEED, MOST_SPEED);
        let position = (position + speed).clamp(LEFT_END, RIGHT_END);
        if position == LEFT_END && speed < 0.0 {
            speed = 0.0;
        }
        self.state = [position, speed];
        Outcome {
            reward: -1.0,
            terminated: position >= GOAL && speed >= 0.0,
        }
    }

    fn observe(&self, into: &mut Vec<f32>) {
        into.extend(self.state.map(|x| x as f32));
    }

    fn state(&self) -> Vec<f64> {
        self.state.to_vec()
    }

    fn restore(&mut self, state: &[f64]) -> Option<()> {
        self.state = state.try_into().ok()?;
        Some(())
    }

    fn draw(&self) -> Canvas {
        let [position, _] = self.state;
        let mut canvas = Canvas::new([LEFT_END, RIGHT_END], [0.0, 1.2]);
        let pieces = 60;
        let place =
            |piece: i32| LEFT_END + (RIGHT_END - LEFT_END) * f64::from(piece) / f64::from(pieces);
        for piece in 0..pieces {
            let (from, to) = (place(piece), place(piece + 1));
            canvas.line([from, height(from)], [to, height(to)], 0.02, Colour::Black);
        }
        canvas.line(
            [GOAL, height(GOAL)],
            [GOAL, height(GOAL) + 0.15],
            0.015,
            Colour::Green,
        );
        canvas.disc([GOAL, height(GOAL) + 0.15], 0.03, Colour::Green);
        canvas.disc([position, height(position) + 0.05], 0.05, Colour::Blue);
        canvas
    }
}
