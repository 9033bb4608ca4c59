//! A pole on a cart, which is pushed to the left or to the right to keep the pole up (Barto, Sutton and Anderson, "Neuronlike
//! adaptive elements that can solve difficult learning control problems", 1983). Dynamics of Gymnasium's `CartPole-v1`.

use super::{Canvas, Colour, Environment, Outcome, RegisteredEnvironment};
use crate::random::Stream;

/// See the module.
pub(super) static REGISTERED: RegisteredEnvironment = RegisteredEnvironment {
    name: "cart-pole",
    gymnasium: Some("CartPole-v1"),
    about: "keep a pole up on a cart",
    observation: &["position", "velocity", "angle", "angular_velocity"],
    actions: &["left", "right"],
    most_steps: 500,
    frames_per_second: 50,
    make: || Box::new(CartPole::default()),
};

const GRAVITY: f64 = 9.8;
const POLE_MASS: f64 = 0.1;
const TOTAL_MASS: f64 = 1.0 + POLE_MASS;
/// Half of the pole's length, in metres.
const LENGTH: f64 = 0.5;
/// In newtons.
const FORCE: f64 = 10.0;
/// Seconds of a step.
const SECONDS: f64 = 0.02;
/// The largest angle before the pole has fallen, in radians: 12 degrees.
const MOST_ANGLE: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
/// The largest distance from the middle, in metres.
const MOST_DISTANCE: f64 = 2.4;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct CartPole {
    /// Position of the cart in metres, its velocity, angle of the pole in radians, its velocity.
    state: [f64; 4],
}

impl Environment for CartPole {
    fn reset(&mut self, random: &mut Stream) {
        self.state = [(); 4].map(|()| f64::from(random.range(-0.05, 0.05)));
    }

    fn step(&mut self, action: usize) -> Outcome {
        let [x, speed, angle, spin] = self.state;
        let force = if action == 1 { FORCE } else { -FORCE };
        let (cos, sin) = (libm::cos(angle), libm::sin(angle));
        let pole = POLE_MASS * LENGTH;
        let push = (force + pole * (spin * spin) * sin) / TOTAL_MASS;
        let turn = (GRAVITY * sin - cos * push)
            / (LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS));
        let acceleration = push - pole * turn * cos / TOTAL_MASS;
        self.state = [
            x + SECONDS * speed,
            speed + SECONDS * acceleration,
            angle + SECONDS * spin,
            spin + SECONDS * turn,
        ];
        let [x, _, angle, _] = self.state;
        Outcome {
            reward: 1.0,
            terminated: x.abs() > MOST_DISTANCE || angle.abs() > MOST_ANGLE,
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
        let [x, _, angle, _] = self.state;
        let mut canvas = Canvas::new([-MOST_DISTANCE, MOST_DISTANCE], [-0.6, 1.8]);
        canvas.line(
            [-MOST_DISTANCE, 0.0],
            [MOST_DISTANCE, 0.0],
            0.02,
            Colour::Black,
        );
        canvas.rectangle([x - 0.25, -0.15], [x + 0.25, 0.15], Colour::Blue);
        let tip = [
            x + 2.0 * LENGTH * libm::sin(angle),
            0.15 + 2.0 * LENGTH * libm::cos(angle),
        ];
        canvas.line([x, 0.15], tip, 0.1, Colour::Brown);
        canvas.disc([x, 0.15], 0.06, Colour::Grey);
        canvas
    }
}
