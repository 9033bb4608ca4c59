//! Two links that hang from a bar, with a motor between them, which must swing the free end up over the bar (Sutton,
//! "Generalization in reinforcement learning", 1996; dynamics of Sutton and Barto's book). Dynamics of Gymnasium's `Acrobot-v1`.

use super::{Canvas, Colour, Environment, Outcome, RegisteredEnvironment};
use crate::random::Stream;
use std::f64::consts::PI;

/// See the module.
pub(super) static REGISTERED: RegisteredEnvironment = RegisteredEnvironment {
    name: "acrobot",
    gymnasium: Some("Acrobot-v1"),
    about: "swing two links up by a motor between them",
    observation: &[
        "cos_1",
        "sin_1",
        "cos_2",
        "sin_2",
        "velocity_1",
        "velocity_2",
    ],
    actions: &["negative", "none", "positive"],
    most_steps: 500,
    frames_per_second: 15,
    make: || Box::new(Acrobot::default()),
};

/// Seconds of a step.
const SECONDS: f64 = 0.2;
const GRAVITY: f64 = 9.8;
/// Distance from a joint to the centre of mass of its link, in metres; links have the length, the mass and the moment of inertia 1.
const CENTRE: f64 = 0.5;
const MOST_SPEEDS: [f64; 2] = [4.0 * PI, 9.0 * PI];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Acrobot {
    /// Angle of the first link from hanging down and of the second one from the first, in radians, and their velocities.
    state: [f64; 4],
}

/// The derivative of the state under a torque.
fn derivative([angle1, angle2, speed1, speed2]: [f64; 4], torque: f64) -> [f64; 4] {
    let (cos, sin) = (libm::cos(angle2), libm::sin(angle2));
    let square = CENTRE * CENTRE;
    let d1 = square + (1.0 + square + 2.0 * CENTRE * cos) + 1.0 + 1.0;
    let d2 = (square + CENTRE * cos) + 1.0;
    let phi2 = CENTRE * GRAVITY * libm::cos(angle1 + angle2 - PI / 2.0);
    let phi1 = -CENTRE * (speed2 * speed2) * sin - 2.0 * CENTRE * speed2 * speed1 * sin
        + (CENTRE + 1.0) * GRAVITY * libm::cos(angle1 - PI / 2.0)
        + phi2;
    let turn2 = (torque + d2 / d1 * phi1 - CENTRE * (speed1 * speed1) * sin - phi2)
        / (square + 1.0 - d2 * d2 / d1);
    let turn1 = -(d2 * turn2 + phi1) / d1;
    [speed1, speed2, turn1, turn2]
}

/// `a + scale * b`.
fn plus(a: [f64; 4], scale: f64, b: [f64; 4]) -> [f64; 4] {
    std::array::from_fn(|i| a[i] + scale * b[i])
}

/// An angle in [-pi, pi].
fn wrapped(mut angle: f64) -> f64 {
    while angle > PI {
        angle -= 2.0 * PI;
    }
    while angle < -PI {
        angle += 2.0 * PI;
    }
    angle
}

impl Acrobot {
    /// Whether the free end is a link's length above the bar.
    fn is_up(&self) -> bool {
        let [angle1, angle2, ..] = self.state;
        -libm::cos(angle1) - libm::cos(angle2 + angle1) > 1.0
    }
}

impl Environment for Acrobot {
    fn reset(&mut self, random: &mut Stream) {
        self.state = [(); 4].map(|()| f64::from(random.range(-0.1, 0.1)));
    }

    /// One step of the Runge-Kutta method of fourth order.
    fn step(&mut self, action: usize) -> Outcome {
        let (torque, state) = (action as f64 - 1.0, self.state);
        let k1 = derivative(state, torque);
        let k2 = derivative(plus(state, SECONDS / 2.0, k1), torque);
        let k3 = derivative(plus(state, SECONDS / 2.0, k2), torque);
        let k4 = derivative(plus(state, SECONDS, k3), torque);
        let sum: [f64; 4] = std::array::from_fn(|i| k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        let [angle1, angle2, speed1, speed2] = plus(state, SECONDS / 6.0, sum);
        self.state = [
            wrapped(angle1),
            wrapped(angle2),
            speed1.clamp(-MOST_SPEEDS[0], MOST_SPEEDS[0]),
            speed2.clamp(-MOST_SPEEDS[1], MOST_SPEEDS[1]),
        ];
        let terminated = self.is_up();
        Outcome {
            reward: if terminated { 0.0 } else { -1.0 },
            terminated,
        }
    }

    fn observe(&self, into: &mut Vec<f32>) {
        let [angle1, angle2, speed1, speed2] = self.state;
        let angles = [angle1, angle2].map(|angle| [libm::cos(angle), libm::sin(angle)]);
        into.extend(angles.as_flattened().iter().map(|&x| x as f32));
        into.extend([speed1, speed2].map(|x| x as f32));
    }

    fn state(&self) -> Vec<f64> {
        self.state.to_vec()
    }

    fn restore(&mut self, state: &[f64]) -> Option<()> {
        self.state = state.try_into().ok()?;
        // Angles beyond any turn would be unwound one turn at a time.
        state.iter().all(|x| x.abs() < 1e3).then_some(())
    }

    fn draw(&self) -> Canvas {
        let [angle1, angle2, ..] = self.state;
        let mut canvas = Canvas::new([-2.2, 2.2], [-2.2, 2.2]);
        canvas.line([-2.2, 1.0], [2.2, 1.0], 0.02, Colour::Green);
        let elbow = [libm::sin(angle1), -libm::cos(angle1)];
        let tip = [
            elbow[0] + libm::sin(angle1 + angle2),
            elbow[1] - libm::cos(angle1 + angle2),
        ];
        canvas.line([0.0, 0.0], elbow, 0.2, Colour::Blue);
        canvas.line(elbow, tip, 0.2, Colour::Brown);
        for joint in [[0.0, 0.0], elbow] {
            canvas.disc(joint, 0.1, Colour::Grey);
        }
        canvas
    }
}
