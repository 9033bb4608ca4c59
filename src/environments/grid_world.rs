//! Four rooms with doors between them, and a goal in one of them (Sutton, Precup and Singh, "Between MDPs and semi-MDPs", 1999). An
//! episode begins in any free cell; an action moves to the next cell unless there is a wall.

use super::{Canvas, Colour, Environment, Outcome, RegisteredEnvironment};
use crate::random::Stream;

/// See the module.
pub(super) static REGISTERED: RegisteredEnvironment = RegisteredEnvironment {
    name: "grid-world",
    gymnasium: None,
    about: "walk through four rooms to a goal",
    observation: &[
        "row",
        "column",
        "wall_up",
        "wall_right",
        "wall_down",
        "wall_left",
    ],
    actions: &["up", "right", "down", "left"],
    most_steps: 100,
    frames_per_second: 8,
    make: || Box::new(GridWorld::default()),
};

/// The rooms: `#` is a wall.
const ROOMS: [&[u8]; 13] = [
    b"#############",
    b"#     #     #",
    b"#     #     #",
    b"#           #",
    b"#     #     #",
    b"#     #     #",
    b"## ####     #",
    b"#     ### ###",
    b"#     #     #",
    b"#     #     #",
    b"#           #",
    b"#     #     #",
    b"#############",
];
const GOAL: [usize; 2] = [9, 9];
/// Row and column of each action.
const MOVES: [[i32; 2]; 4] = [[-1, 0], [0, 1], [1, 0], [0, -1]];
/// The cost of a step; reaching the goal is worth 1.
const STEP_COST: f64 = 0.01;

/// See the module.
#[derive(Clone, Debug)]
pub struct GridWorld {
    /// Row and column of the agent.
    place: [usize; 2],
}

impl Default for GridWorld {
    fn default() -> Self {
        GridWorld { place: [1, 1] }
    }
}

fn is_wall([row, column]: [usize; 2]) -> bool {
    let cell = ROOMS.get(row).and_then(|cells| cells.get(column));
    cell.is_none_or(|&cell| cell == b'#')
}

impl GridWorld {
    /// The cell in the direction of an action.
    fn next(&self, action: usize) -> [usize; 2] {
        let [row, column] = MOVES[action % MOVES.len()];
        let moved = |place: usize, by: i32| place.saturating_add_signed(by as isize);
        [moved(self.place[0], row), moved(self.place[1], column)]
    }
}

impl Environment for GridWorld {
    fn reset(&mut self, random: &mut Stream) {
        let size = ROOMS.len() as u32;
        loop {
            self.place = [(); 2].map(|()| random.below(size) as usize);
            if !is_wall(self.place) && self.place != GOAL {
                return;
            }
        }
    }

    fn step(&mut self, action: usize) -> Outcome {
        let next = self.next(action);
        if !is_wall(next) {
            self.place = next;
        }
        let terminated = self.place == GOAL;
        Outcome {
            reward: if terminated { 1.0 } else { -STEP_COST },
            terminated,
        }
    }

    /// Row and column from -1 to 1, and which of the next cells are walls.
    fn observe(&self, into: &mut Vec<f32>) {
        let half = (ROOMS.len() - 1) as f32 / 2.0;
        into.extend(self.place.map(|place| place as f32 / half - 1.0));
        into.extend((0..MOVES.len()).map(|action| f32::from(u8::from(is_wall(self.next(action))))));
    }

    fn state(&self) -> Vec<f64> {
        self.place.map(|place| place as f64).to_vec()
    }

    fn restore(&mut self, state: &[f64]) -> Option<()> {
        let [row, column]: [f64; 2] = state.try_into().ok()?;
        let place = [row as usize, column as usize];
        (!is_wall(place)).then(|| self.place = place)
    }

    fn draw(&self) -> Canvas {
        let size = ROOMS.len() as f64;
        let mut canvas = Canvas::new([0.0, size], [0.0, size]);
        let corner = |[row, column]: [usize; 2]| [column as f64, size - 1.0 - row as f64];
        let middle = |place| corner(place).map(|x| x + 0.5);
        for row in 0..ROOMS.len() {
            for column in (0..ROOMS.len()).filter(|&column| is_wall([row, column])) {
                let [x, y] = corner([row, column]);
                canvas.rectangle([x, y], [x + 1.0, y + 1.0], Colour::Black);
            }
        }
        let [x, y] = corner(GOAL);
        canvas.rectangle([x, y], [x + 1.0, y + 1.0], Colour::Green);
        canvas.disc(middle(self.place), 0.35, Colour::Blue);
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_stop_and_the_goal_ends() {
        let mut world = GridWorld::default();
        world.restore(&[9.0, 7.0]).unwrap();
        assert!(!world.step(3).terminated);
        assert_eq!(world.place, [9, 7]);
        let first = world.step(1);
        assert_eq!((first.reward, first.terminated), (-STEP_COST, false));
        let last = world.step(1);
        assert_eq!((last.reward, last.terminated), (1.0, true));
        assert!(world.restore(&[0.0, 0.0]).is_none());
    }

    #[test]
    fn the_goal_is_reached_from_every_free_cell_within_the_time_limit() {
        let mut distance = [[u32::MAX; 13]; 13];
        distance[GOAL[0]][GOAL[1]] = 0;
        for _ in 0..13 * 13 {
            for row in 0..13 {
                for column in (0..13).filter(|&column| !is_wall([row, column])) {
                    let world = GridWorld {
                        place: [row, column],
                    };
                    let nearest = (0..4)
                        .map(|action| world.next(action))
                        .filter(|&next| !is_wall(next));
                    let nearest = nearest.map(|[r, c]| distance[r][c]).min().unwrap();
                    distance[row][column] = distance[row][column].min(nearest.saturating_add(1));
                }
            }
        }
        let free = (0..13 * 13).filter(|at| !is_wall([at / 13, at % 13]));
        let longest = free.map(|at| distance[at / 13][at % 13]).max().unwrap();
        assert!(longest < REGISTERED.most_steps, "{longest}");
    }
}
