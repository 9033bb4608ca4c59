//! A car that must find its way to a goal around obstacles: the kinematic model of a bicycle (Rajamani, "Vehicle Dynamics and
//! Control", 2012), nine distances as a laser scanner measures them, steering, accelerator and brake. Every episode has another map.

use super::{Canvas, Colour, Environment, Outcome, RegisteredEnvironment};
use crate::random::Stream;
use std::f64::consts::PI;

/// See the module.
pub(super) static REGISTERED: RegisteredEnvironment = RegisteredEnvironment {
    name: "path-planning",
    gymnasium: None,
    about: "drive a car around obstacles to a goal",
    observation: &[
        "distance_right",
        "distance_2",
        "distance_3",
        "distance_4",
        "distance_ahead",
        "distance_6",
        "distance_7",
        "distance_8",
        "distance_left",
        "speed",
        "cos_goal",
        "sin_goal",
        "distance_goal",
    ],
    actions: &["straight", "left", "right", "accelerate", "brake"],
    most_steps: 200,
    frames_per_second: 10,
    make: || Box::new(PathPlanning::default()),
};

/// Metres of a side of the map.
const SIDE: f64 = 20.0;
/// Seconds of a step.
const SECONDS: f64 = 0.2;
/// Metres between the axles.
const WHEELBASE: f64 = 1.0;
/// Radius of the disc that stands for the car in collisions, in metres.
const RADIUS: f64 = 0.5;
/// Angle of the front wheels in a turn, in radians.
const STEERING: f64 = 0.5;
/// In metres per second, and per second squared.
const MOST_SPEED: f64 = 3.0;
const ACCELERATION: f64 = 1.5;
/// Speed at the start of an episode.
const FIRST_SPEED: f64 = 1.0;
/// The goal is reached within this distance, in metres.
const GOAL_RADIUS: f64 = 1.0;
/// Range of the scanner, in metres, and the directions that it measures, from the right to the left.
const RANGE: f64 = 10.0;
const RAYS: usize = 9;
/// Obstacles of a map, unless there is no room for all; between two there is room for the car.
const OBSTACLES: usize = 7;
const LEAST_GAP: f64 = 1.8;
/// Attempts to place an obstacle.
const TRIES: usize = 20;
/// Rewards: for the goal, for a collision, and for every step. A metre nearer to the goal is worth 0.1.
const GOAL_REWARD: f64 = 1.0;
const COLLISION_COST: f64 = 1.0;
const STEP_COST: f64 = 0.005;
const METRE_REWARD: f64 = 0.1;

/// A round obstacle: its centre and its radius.
type Disc = [f64; 3];

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct PathPlanning {
    /// Position in metres, heading in radians, speed in metres per second.
    car: [f64; 4],
    goal: [f64; 2],
    obstacles: Vec<Disc>,
}

impl PathPlanning {
    fn goal_distance(&self) -> f64 {
        (self.goal[0] - self.car[0]).hypot(self.goal[1] - self.car[1])
    }

    fn collides(&self) -> bool {
        let [x, y, ..] = self.car;
        let outside = |at: f64| !(RADIUS..=SIDE - RADIUS).contains(&at);
        let hits = |&[a, b, radius]: &Disc| (x - a).hypot(y - b) < radius + RADIUS;
        outside(x) || outside(y) || self.obstacles.iter().any(hits)
    }

    /// Distance from the car to the first thing in a direction, at most [`RANGE`].
    fn ray(&self, direction: f64) -> f64 {
        let ([x, y, ..], [dx, dy]) = (self.car, [libm::cos(direction), libm::sin(direction)]);
        let wall = |at: f64, step: f64| match step {
            step if step > 1e-9 => (SIDE - at) / step,
            step if step < -1e-9 => -at / step,
            _ => RANGE,
        };
        let disc = |&[a, b, radius]: &Disc| {
            let [to_x, to_y] = [a - x, b - y];
            let along = to_x * dx + to_y * dy;
            let square = radius * radius - (to_x * to_x + to_y * to_y - along * along);
            (square >= 0.0 && along > 0.0).then(|| along - square.sqrt())
        };
        let nearest = wall(x, dx).min(wall(y, dy));
        let nearest = self
            .obstacles
            .iter()
            .filter_map(disc)
            .fold(nearest, f64::min);
        nearest.clamp(0.0, RANGE)
    }
}

impl Environment for PathPlanning {
    fn reset(&mut self, random: &mut Stream) {
        let mut within = |low: f64, high: f64| f64::from(random.range(low as f32, high as f32));
        let start = [within(1.5, 3.0), within(2.0, SIDE - 2.0)];
        self.car = [start[0], start[1], within(-PI / 2.0, PI / 2.0), FIRST_SPEED];
        self.goal = [within(SIDE - 3.0, SIDE - 1.5), within(2.0, SIDE - 2.0)];
        self.obstacles.clear();
        for _ in 0..OBSTACLES {
            for _ in 0..TRIES {
                let disc = [within(4.0, SIDE - 4.0), within(0.0, SIDE), within(0.7, 1.8)];
                let [x, y, radius] = disc;
                let apart =
                    |&[a, b, other]: &Disc| (x - a).hypot(y - b) > radius + other + LEAST_GAP;
                let free = |[a, b]: [f64; 2]| (x - a).hypot(y - b) > radius + 2.0;
                if self.obstacles.iter().all(apart) && free(start) && free(self.goal) {
                    self.obstacles.push(disc);
                    break;
                }
            }
        }
    }

    fn step(&mut self, action: usize) -> Outcome {
        let before = self.goal_distance();
        let [x, y, heading, speed] = self.car;
        let steering = match action {
            1 => STEERING,
            2 => -STEERING,
            _ => 0.0,
        };
        let change = match action {
            3 => ACCELERATION,
            4 => -ACCELERATION,
            _ => 0.0,
        };
        let speed = (speed + SECONDS * change).clamp(0.0, MOST_SPEED);
        let way = SECONDS * speed;
        let turned = heading + way / WHEELBASE * libm::tan(steering);
        self.car = [
            x + way * libm::cos(heading),
            y + way * libm::sin(heading),
            libm::remainder(turned, 2.0 * PI),
            speed,
        ];
        let after = self.goal_distance();
        let reward = METRE_REWARD * (before - after) - STEP_COST;
        match () {
            () if after < GOAL_RADIUS => Outcome {
                reward: reward + GOAL_REWARD,
                terminated: true,
            },
            () if self.collides() => Outcome {
                reward: reward - COLLISION_COST,
                terminated: true,
            },
            () => Outcome {
                reward,
                terminated: false,
            },
        }
    }

    /// All numbers are scaled to about 1.
    fn observe(&self, into: &mut Vec<f32>) {
        let [x, y, heading, speed] = self.car;
        let spread = |ray: usize| PI * (ray as f64 / (RAYS - 1) as f64 - 0.5);
        into.extend((0..RAYS).map(|ray| (self.ray(heading + spread(ray)) / RANGE) as f32));
        let bearing = libm::atan2(self.goal[1] - y, self.goal[0] - x) - heading;
        into.extend([
            (speed / MOST_SPEED) as f32,
            libm::cos(bearing) as f32,
            libm::sin(bearing) as f32,
            (self.goal_distance() / SIDE) as f32,
        ]);
    }

    fn state(&self) -> Vec<f64> {
        [&self.car[..], &self.goal, self.obstacles.as_flattened()].concat()
    }

    fn restore(&mut self, state: &[f64]) -> Option<()> {
        let (car, rest) = state.split_first_chunk()?;
        let (goal, rest) = rest.split_first_chunk()?;
        let (obstacles, rest) = rest.as_chunks();
        (self.car, self.goal, self.obstacles) = (*car, *goal, obstacles.to_vec());
        rest.is_empty().then_some(())
    }

    fn draw(&self) -> Canvas {
        let mut canvas = Canvas::new([0.0, SIDE], [0.0, SIDE]);
        let corners = [[0.0, 0.0], [SIDE, 0.0], [SIDE, SIDE], [0.0, SIDE]];
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            canvas.line(*from, *to, 0.3, Colour::Black);
        }
        canvas.disc(self.goal, GOAL_RADIUS, Colour::Green);
        for &[x, y, radius] in &self.obstacles {
            canvas.disc([x, y], radius, Colour::Red);
        }
        let [x, y, heading, _] = self.car;
        let place = |along: f64, across: f64| {
            let (cos, sin) = (libm::cos(heading), libm::sin(heading));
            [
                x + along * cos - across * sin,
                y + along * sin + across * cos,
            ]
        };
        let body = [
            place(0.7, 0.0),
            place(0.2, 0.4),
            place(-0.6, 0.4),
            place(-0.6, -0.4),
            place(0.2, -0.4),
        ];
        canvas.polygon(&body, Colour::Blue);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(obstacles: &[Disc]) -> PathPlanning {
        PathPlanning {
            car: [5.0, 10.0, 0.0, 1.0],
            goal: [15.0, 10.0],
            obstacles: obstacles.to_vec(),
        }
    }

    #[test]
    fn rays_measure_walls_and_obstacles() {
        let world = world(&[[9.0, 10.0, 1.0]]);
        assert!((world.ray(0.0) - 3.0).abs() < 1e-12);
        assert!((world.ray(PI) - 5.0).abs() < 1e-9);
        assert_eq!(world.ray(PI / 2.0), RANGE);
    }

    #[test]
    fn a_straight_way_ends_at_the_goal_and_an_obstacle_ends_it_before() {
        let drive = |mut world: PathPlanning| {
            let mut total = 0.0;
            for step in 0..200 {
                let outcome = world.step(if step < 10 { 3 } else { 0 });
                total += outcome.reward;
                if outcome.terminated {
                    return (total, world.car[0]);
                }
            }
            panic!("it never ended");
        };
        let (total, at) = drive(world(&[]));
        assert!(total > GOAL_REWARD && at > 14.0, "{total} {at}");
        let (total, at) = drive(world(&[[10.0, 10.0, 1.0]]));
        assert!(total < 0.0 && at < 10.0, "{total} {at}");
    }

    #[test]
    fn a_turn_follows_the_circle_of_its_steering() {
        let mut car = world(&[]);
        car.car = [10.0, 10.0, 0.0, 1.0];
        let steps = (2.0 * PI / (SECONDS * libm::tan(STEERING))).round() as usize;
        let middle = [10.0, 10.0 + WHEELBASE / libm::tan(STEERING)];
        for _ in 0..steps {
            car.step(1);
            let radius = (car.car[0] - middle[0]).hypot(car.car[1] - middle[1]);
            assert!(
                (radius - WHEELBASE / libm::tan(STEERING)).abs() < 0.3,
                "{radius}"
            );
        }
    }
}
