//! The replay buffer: the last steps of all environments, from which batches are drawn (Lin, "Self-improving reactive agents based on
//! reinforcement learning, planning and teaching", 1992).

use crate::cpu::Tensor;
use crate::data::field;
use crate::error::{Error, Result};
use crate::host_memory;
use crate::random::Stream;

/// A step of an environment.
pub(super) struct Transition<'a> {
    pub seen: &'a [f32],
    pub action: u32,
    pub reward: f32,
    pub seen_after: &'a [f32],
    /// Whether it ended in a final state.
    pub terminated: bool,
}

/// See the module. A new step takes the place of the oldest one.
pub(super) struct Replay {
    capacity: usize,
    columns: usize,
    seen: Vec<f32>,
    actions: Vec<u32>,
    rewards: Vec<f32>,
    seen_after: Vec<f32>,
    terminated: Vec<f32>,
    /// Where the next step is put.
    next: usize,
}

/// Names of what a checkpoint holds of it.
pub(super) const KEPT: [&str; 6] = [
    "replay.seen",
    "replay.actions",
    "replay.rewards",
    "replay.seen_after",
    "replay.terminated",
    "replay.next",
];

impl Replay {
    /// An empty buffer for `capacity` steps, with observations of `columns` numbers.
    ///
    /// # Errors
    /// If it would not fit the free memory.
    pub fn new(capacity: usize, columns: usize) -> Result<Replay> {
        let bytes = (capacity as u64).saturating_mul(4 * (2 * columns as u64 + 3));
        host_memory::check(bytes).map_err(|needs| {
            Error::Memory(format!(
                "a replay buffer of {capacity} steps needs {needs}; lower task.capacity"
            ))
        })?;
        Ok(Replay {
            capacity,
            columns,
            seen: Vec::new(),
            actions: Vec::new(),
            rewards: Vec::new(),
            seen_after: Vec::new(),
            terminated: Vec::new(),
            next: 0,
        })
    }

    /// Steps that it holds.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Adds a step.
    pub fn add(&mut self, step: &Transition<'_>) {
        let (at, columns) = (self.next, self.columns);
        if at == self.len() {
            self.seen.extend(step.seen);
            self.seen_after.extend(step.seen_after);
            self.actions.push(step.action);
            self.rewards.push(step.reward);
            self.terminated.push(f32::from(u8::from(step.terminated)));
        } else {
            self.seen[at * columns..][..columns].copy_from_slice(step.seen);
            self.seen_after[at * columns..][..columns].copy_from_slice(step.seen_after);
            self.actions[at] = step.action;
            self.rewards[at] = step.reward;
            self.terminated[at] = f32::from(u8::from(step.terminated));
        }
        self.next = (at + 1) % self.capacity;
    }

    /// A batch of `size` steps, each drawn by itself, as the fields of the task.
    pub fn batch(&self, size: usize, random: &mut Stream) -> [(&'static str, Tensor<f32>); 5] {
        let columns = self.columns;
        let places: Vec<usize> = (0..size)
            .map(|_| random.below(self.len() as u32) as usize)
            .collect();
        let rows = |of: &[f32]| {
            let row = |&at: &usize| of[at * columns..][..columns].iter();
            let rows = places.iter().flat_map(row).copied().collect();
            Tensor::real([size, columns], rows)
        };
        let numbers = |of: &[f32]| Tensor::real([size], places.iter().map(|&at| of[at]).collect());
        let actions = places.iter().map(|&at| self.actions[at]).collect();
        [
            (field::ROW, rows(&self.seen)),
            (field::ACTION, Tensor::index([size], actions)),
            (field::REWARD, numbers(&self.rewards)),
            (field::NEXT_ROW, rows(&self.seen_after)),
            (field::TERMINATED, numbers(&self.terminated)),
        ]
    }

    /// All of it, under the names [`KEPT`].
    pub fn kept(&self) -> Vec<(&'static str, Tensor<f32>)> {
        let (count, columns) = (self.len(), self.columns);
        let values = [
            Tensor::real([count, columns], self.seen.clone()),
            Tensor::index([count], self.actions.clone()),
            Tensor::real([count], self.rewards.clone()),
            Tensor::real([count, columns], self.seen_after.clone()),
            Tensor::real([count], self.terminated.clone()),
            Tensor::index([1], vec![self.next as u32]),
        ];
        KEPT.into_iter().zip(values).collect()
    }

    /// Continues with what [`Replay::kept`] gave; `None` if it does not fit.
    pub fn take(&mut self, kept: [Tensor<f32>; 6]) -> Option<()> {
        use crate::cpu::Data::{Index, Real};
        let data = kept.map(|tensor| tensor.data);
        let [
            Real(seen),
            Index(actions),
            Real(rewards),
            Real(after),
            Real(terminated),
            Index(next),
        ] = data
        else {
            return None;
        };
        let (count, next) = (actions.len(), *next.first()? as usize);
        let rows = [seen.len(), after.len()] == [count * self.columns; 2];
        let numbers = [rewards.len(), terminated.len()] == [count; 2];
        let fits = count <= self.capacity && next < self.capacity && next <= count;
        (self.seen, self.actions, self.rewards) = (seen, actions, rewards);
        (self.seen_after, self.terminated, self.next) = (after, terminated, next);
        (rows && numbers && fits).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_memory::tests::with_free;

    fn add(replay: &mut Replay, number: u32) {
        let x = number as f32;
        replay.add(&Transition {
            seen: &[x, x],
            action: number,
            reward: x,
            seen_after: &[x + 1.0, x + 1.0],
            terminated: number % 2 == 1,
        });
    }

    #[test]
    fn the_oldest_steps_give_way_and_a_batch_has_whole_steps() {
        let mut replay = Replay::new(4, 2).unwrap();
        (0..6).for_each(|number| add(&mut replay, number));
        assert_eq!((replay.len(), replay.next), (4, 2));
        let mut random = Stream::new(1, 1);
        let [
            (_, rows),
            (_, actions),
            (_, rewards),
            (_, after),
            (_, terminated),
        ] = replay.batch(64, &mut random);
        for (place, &action) in actions.indices().iter().enumerate() {
            assert!((2..6).contains(&action));
            let x = action as f32;
            assert_eq!(rows.reals()[2 * place..][..2], [x, x]);
            assert_eq!(after.reals()[2 * place..][..2], [x + 1.0, x + 1.0]);
            assert_eq!(rewards.reals()[place], x);
            assert_eq!(terminated.reals()[place], (action % 2) as f32);
        }
        let kept: Vec<Tensor<f32>> = replay.kept().into_iter().map(|(_, value)| value).collect();
        let kept: [Tensor<f32>; 6] = kept.try_into().unwrap();
        let mut again = Replay::new(4, 2).unwrap();
        again.take(kept.clone()).unwrap();
        add(&mut again, 6);
        add(&mut replay, 6);
        assert_eq!(again.kept(), replay.kept());
        assert!(Replay::new(4, 3).unwrap().take(kept).is_none());
    }

    #[test]
    fn a_buffer_larger_than_the_memory_is_refused() {
        let message = with_free(1 << 30, || {
            Replay::new(1 << 30, 4).err().unwrap().to_string()
        });
        assert_eq!(
            message,
            "a replay buffer of 1073741824 steps needs 44.0 GiB of memory, but only 1.0 GiB are free; lower task.capacity"
        );
    }
}
