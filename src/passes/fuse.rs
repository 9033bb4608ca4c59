//! Groups nodes into kernels. Chains of pointwise operations become one kernel with several results, and pointwise
//! operations on the result of a matmul or convolution become its epilogue.

use crate::graph::{Graph, NodeId, NodeKind};
use crate::ops::Role;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

/// Maximum number of nodes of a group: a longer kernel is compiled slowly and gains nothing.
const MOST_MEMBERS: usize = 128;

/// Nodes that run as one kernel (or as the last one of an operation with several launches).
#[derive(Clone, Debug, PartialEq)]
pub struct FusedGroup {
    /// The operation whose epilogue the other members are; `None` for a purely pointwise group.
    pub anchor: Option<NodeId>,
    /// Pointwise members in topological order.
    pub pointwise: Vec<NodeId>,
    /// Members whose value is needed outside the group, in order.
    pub results: Vec<NodeId>,
}

impl FusedGroup {
    /// The anchor and the pointwise members.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.anchor
            .into_iter()
            .chain(self.pointwise.iter().copied())
    }

    /// Number of tensors that the group reads and writes.
    pub fn buffers(&self, graph: &Graph, in_place: &InPlace) -> usize {
        buffers(graph, &self.members().collect(), &self.results, in_place)
    }
}

/// New values that overwrite their variables in place, with the variables.
pub type InPlace = HashMap<NodeId, NodeId>;

/// Groups the operations of `graph`, in a valid execution order. Views, leaves and constants are in no group. No group
/// reads and writes more than `max_buffers` tensors in total; a variable whose new value is in `in_place` counts once
/// in a group that reads and writes it.
pub fn fuse(graph: &Graph, max_buffers: usize, in_place: &InPlace) -> Vec<FusedGroup> {
    let mut fusion = Fusion {
        graph,
        in_place,
        updates: graph.updates.iter().map(|u| u.value).collect(),
        users: users(graph),
        roots: graph.roots().collect(),
        group_of: vec![None; graph.nodes.len()],
        groups: Vec::new(),
        levels: vec![0; graph.nodes.len()],
        placed: 0,
        max_buffers,
    };
    for id in graph.ids() {
        fusion.levels[id.index()] = fusion.level_above(&graph.node(id).inputs);
        fusion.placed = id.index() + 1;
        let Some(op) = graph.node(id).op() else {
            continue;
        };
        match op.role() {
            Role::View => {}
            Role::Kernel | Role::KernelWithEpilogue => fusion.start(Some(id), vec![]),
            Role::Pointwise(_) => fusion.place(id),
        }
    }
    fusion.finish()
}

/// Tensors that `members` read from outside the group; constants become literals in the kernel.
fn operands(graph: &Graph, members: &HashSet<NodeId>) -> HashSet<NodeId> {
    members
        .iter()
        .flat_map(|m| &graph.node(*m).inputs)
        .copied()
        .filter(|i| !members.contains(i))
        .filter(|i| !matches!(graph.node(*i).kind, NodeKind::Constant(_)))
        .collect()
}

/// Tensors that a group binds.
fn buffers(
    graph: &Graph,
    members: &HashSet<NodeId>,
    results: &[NodeId],
    in_place: &InPlace,
) -> usize {
    let operands = operands(graph, members);
    let written_over = |r: &&NodeId| {
        in_place
            .get(r)
            .is_some_and(|variable| operands.contains(variable))
    };
    operands.len() + results.len() - results.iter().filter(written_over).count()
}

fn users(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut users = vec![Vec::new(); graph.nodes.len()];
    for id in graph.ids() {
        for input in &graph.node(id).inputs {
            users[input.index()].push(id);
        }
    }
    users
}

struct Candidate {
    anchor: Option<NodeId>,
    pointwise: Vec<NodeId>,
}

struct Fusion<'a> {
    graph: &'a Graph,
    in_place: &'a InPlace,
    /// New values of variables.
    updates: HashSet<NodeId>,
    users: Vec<Vec<NodeId>>,
    roots: HashSet<NodeId>,
    group_of: Vec<Option<usize>>,
    /// `None` after a group has been merged into another.
    groups: Vec<Option<Candidate>>,
    /// A number for every node that is higher than those of all nodes that it, or another member of its group, depends on. Members
    /// of a group have the same.
    levels: Vec<u32>,
    /// Number of nodes that have a level.
    placed: usize,
    max_buffers: usize,
}

impl Fusion<'_> {
    fn start(&mut self, anchor: Option<NodeId>, pointwise: Vec<NodeId>) {
        let index = self.groups.len();
        for member in anchor.iter().chain(&pointwise) {
            self.group_of[member.index()] = Some(index);
        }
        self.groups.push(Some(Candidate { anchor, pointwise }));
    }

    /// Adds the pointwise node `id` to the largest set of its operands' groups that can be merged with it.
    fn place(&mut self, id: NodeId) {
        let mut producers: Vec<usize> = self
            .graph
            .node(id)
            .inputs
            .iter()
            .filter_map(|i| self.group_of[i.index()])
            .filter(|&g| self.fits(g, id))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        // An epilogue saves the most memory traffic: try groups with an anchor first, then later groups before earlier
        // ones.
        producers.sort_by_key(|&g| {
            let anchored = self.groups[g].as_ref().is_some_and(|c| c.anchor.is_some());
            (!anchored, Reverse(g))
        });
        self.start(None, vec![id]);
        for producer in producers {
            if let Some(own) = self.group_of[id.index()] {
                self.try_merge(producer, own);
            }
        }
    }

    /// Whether group `g` computes values of the shape of `id` and can take pointwise members.
    fn fits(&self, g: usize, id: NodeId) -> bool {
        let Some(candidate) = &self.groups[g] else {
            return false;
        };
        let shape = &self.graph.ty(id).shape;
        match candidate.anchor {
            Some(anchor) => {
                let role = self.graph.node(anchor).op().map(|op| op.role());
                role == Some(Role::KernelWithEpilogue) && self.graph.ty(anchor).shape == *shape
            }
            None => candidate
                .pointwise
                .iter()
                .all(|&p| self.graph.ty(p).shape == *shape),
        }
    }

    /// The lowest level of a node that depends on `inputs`.
    fn level_above(&self, inputs: &[NodeId]) -> u32 {
        let levels = inputs.iter().map(|input| self.levels[input.index()] + 1);
        levels.max().unwrap_or(0)
    }

    /// The members of the group of `id`, or `id` alone.
    fn together(&self, id: NodeId) -> Vec<NodeId> {
        match self.group_of[id.index()].and_then(|g| self.groups[g].as_ref()) {
            Some(c) => c.anchor.iter().chain(&c.pointwise).copied().collect(),
            None => vec![id],
        }
    }

    /// Raises the level of `members`, which became one group, and of what depends on them, as far as needed.
    fn raise(&mut self, members: &[NodeId], level: u32) {
        let mut pending = vec![(members.to_vec(), level)];
        while let Some((members, level)) = pending.pop() {
            for member in &members {
                self.levels[member.index()] = level;
            }
            let users = members.iter().flat_map(|m| &self.users[m.index()]);
            let low = |user: &&NodeId| {
                user.index() < self.placed
                    && !members.contains(user)
                    && self.levels[user.index()] <= level
            };
            let low: Vec<NodeId> = users.filter(low).copied().collect();
            for user in low {
                pending.push((self.together(user), level + 1));
            }
        }
    }

    fn try_merge(&mut self, a: usize, b: usize) {
        let (Some(first), Some(second)) = (&self.groups[a], &self.groups[b]) else {
            return;
        };
        if first.anchor.is_some() && second.anchor.is_some() {
            return;
        }
        let anchor = first.anchor.or(second.anchor);
        if first.pointwise.len() + second.pointwise.len() > MOST_MEMBERS {
            return;
        }
        let mut pointwise: Vec<NodeId> = first
            .pointwise
            .iter()
            .chain(&second.pointwise)
            .copied()
            .collect();
        pointwise.sort();
        let members: HashSet<NodeId> = anchor.iter().chain(&pointwise).copied().collect();
        // The operands of the anchor must be ready before it runs.
        if anchor.is_some_and(|a| {
            self.graph
                .node(a)
                .inputs
                .iter()
                .any(|i| members.contains(i))
        }) {
            return;
        }
        let results = self.results(&members);
        // An epilogue writes one tensor, the last of its chain, and never overwrites one that it reads: otherwise the
        // new value of a variable would have to be copied.
        if anchor.is_some()
            && (results.len() != 1
                || results.last() != pointwise.last()
                || results.iter().any(|r| self.updates.contains(r)))
        {
            return;
        }
        if buffers(self.graph, &members, &results, self.in_place) > self.max_buffers {
            return;
        }
        if self.reaches_itself(&members) {
            return;
        }
        self.groups[a] = None;
        for member in &members {
            self.group_of[member.index()] = Some(b);
        }
        self.groups[b] = Some(Candidate { anchor, pointwise });
        let operands = operands(self.graph, &members);
        let operands: Vec<NodeId> = operands.into_iter().collect();
        let members: Vec<NodeId> = members.into_iter().collect();
        let own = members.iter().map(|m| self.levels[m.index()]).max();
        let level = self.level_above(&operands).max(own.unwrap_or(0));
        self.raise(&members, level);
    }

    fn results(&self, members: &HashSet<NodeId>) -> Vec<NodeId> {
        let mut results: Vec<NodeId> = members
            .iter()
            .copied()
            .filter(|m| {
                self.roots.contains(m)
                    || self.users[m.index()]
                        .iter()
                        .any(|user| !members.contains(user))
            })
            .collect();
        results.sort();
        results
    }

    /// Whether some outside operand depends, through whole groups, on a member; the group could then not run as one
    /// kernel.
    fn reaches_itself(&self, members: &HashSet<NodeId>) -> bool {
        // A way back to a member ends with a user of it outside of the group, whose level is the lowest on the way.
        let users = members.iter().flat_map(|m| &self.users[m.index()]);
        let outside = users.filter(|u| u.index() < self.placed && !members.contains(u));
        let Some(lowest) = outside.map(|user| self.levels[user.index()]).min() else {
            return false;
        };
        let mut seen = operands(self.graph, members);
        // The lowest first, which is the nearest: a path that exists is found soon.
        let with_level = |id: NodeId| Reverse((self.levels[id.index()], id));
        let mut pending: BinaryHeap<_> = seen.iter().map(|&id| with_level(id)).collect();
        while let Some(Reverse((level, id))) = pending.pop() {
            if members.contains(&id) {
                return true;
            }
            if level < lowest {
                continue;
            }
            for member in self.together(id) {
                for &input in &self.graph.node(member).inputs {
                    if seen.insert(input) {
                        pending.push(with_level(input));
                    }
                }
            }
        }
        false
    }

    /// The groups in a valid execution order.
    fn finish(self) -> Vec<FusedGroup> {
        let groups: Vec<Option<FusedGroup>> = self
            .groups
            .iter()
            .map(|candidate| {
                let c = candidate.as_ref()?;
                let members: HashSet<NodeId> =
                    c.anchor.iter().chain(&c.pointwise).copied().collect();
                let results = self.results(&members);
                Some(FusedGroup {
                    anchor: c.anchor,
                    pointwise: c.pointwise.clone(),
                    results,
                })
            })
            .collect();
        let mut order: Vec<usize> = (0..groups.len()).filter(|&g| groups[g].is_some()).collect();
        order.sort_by_key(|&g| groups[g].as_ref().and_then(|group| group.members().max()));
        let mut sorted = Sorted {
            fusion: &self,
            groups: &groups,
            done: vec![false; groups.len()],
            order: Vec::new(),
        };
        for g in order {
            sorted.visit(g);
        }
        let order = sorted.order;
        order
            .into_iter()
            .filter_map(|g| groups[g].clone())
            .collect()
    }
}

/// Depth-first topological order over groups.
struct Sorted<'a> {
    fusion: &'a Fusion<'a>,
    groups: &'a [Option<FusedGroup>],
    done: Vec<bool>,
    order: Vec<usize>,
}

impl Sorted<'_> {
    /// Appends `start` after all groups that it depends on. Not recursive, because graphs can be deep.
    fn visit(&mut self, start: usize) {
        let mut stack = vec![(start, false)];
        while let Some((g, expanded)) = stack.pop() {
            if self.done[g] {
                continue;
            }
            if expanded {
                self.done[g] = true;
                self.order.push(g);
                continue;
            }
            stack.push((g, true));
            let Some(group) = &self.groups[g] else {
                continue;
            };
            for member in group.members() {
                for &input in &self.fusion.graph.node(member).inputs {
                    if let Some(needed) = self.producer(input)
                        && needed != g
                        && !self.done[needed]
                    {
                        stack.push((needed, false));
                    }
                }
            }
        }
    }

    /// The group that computes `id`, looking through views.
    fn producer(&self, mut id: NodeId) -> Option<usize> {
        loop {
            if let Some(g) = self.fusion.group_of[id.index()] {
                return Some(g);
            }
            let node = self.fusion.graph.node(id);
            node.op()?;
            id = *node.inputs.first()?;
        }
    }
}
