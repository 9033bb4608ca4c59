//! Entities in sequences of tags, and how well predicted ones agree with the known ones: counted as seqeval does in its default mode,
//! which is that of the CoNLL 2000 evaluation (`conlleval`).

use std::collections::{BTreeSet, HashMap};

/// What a tag says of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// `O`: it belongs to no entity.
    Outside,
    /// `B-`, `I-`, `E-` and `S-`: it is the first word of an entity, one within, the last, or the only one.
    Begin,
    Inside,
    End,
    Single,
    /// A tag without such a mark, such as a part of speech: the word is an entity of its own.
    Word,
}

/// The tags of a set: mark and type of each.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    /// The mark, and the type as an index into `types`; that of `O` has no meaning.
    tags: Vec<(Mark, usize)>,
    /// Names of the types, sorted.
    pub types: Vec<String>,
}

/// The words from `first` to `last` are an entity of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entity {
    pub first: usize,
    pub last: usize,
    /// An index into [`Tags::types`].
    pub kind: usize,
}

impl Tags {
    /// The tags called `names`. If none has a mark, each word is an entity.
    pub fn of(names: &[String]) -> Tags {
        let split = names.iter().map(|name| match &**name {
            "O" => (Mark::Outside, ""),
            name => match name.split_once('-') {
                Some(("B", kind)) => (Mark::Begin, kind),
                Some(("I", kind)) => (Mark::Inside, kind),
                Some(("E", kind)) => (Mark::End, kind),
                Some(("S", kind)) => (Mark::Single, kind),
                _ => (Mark::Word, name),
            },
        });
        let split: Vec<(Mark, &str)> = split.collect();
        let types = split.iter().filter(|(mark, _)| *mark != Mark::Outside);
        let types: BTreeSet<&str> = types.map(|(_, kind)| *kind).collect();
        let places: HashMap<&str, usize> = types.iter().copied().zip(0..).collect();
        let place = |kind: &str| places.get(kind).copied().unwrap_or(usize::MAX);
        Tags {
            tags: split
                .iter()
                .map(|&(mark, kind)| (mark, place(kind)))
                .collect(),
            types: types.into_iter().map(str::to_string).collect(),
        }
    }

    /// The entities in a sequence of tags. Tags that are none count as `O`.
    pub fn entities(&self, sequence: impl Iterator<Item = usize>) -> Vec<Entity> {
        const OUTSIDE: (Mark, usize) = (Mark::Outside, usize::MAX);
        let tags = sequence.map(|tag| self.tags.get(tag).copied().unwrap_or(OUTSIDE));
        let (mut found, mut before, mut first) = (Vec::new(), OUTSIDE, 0);
        for (place, tag) in tags.chain([OUTSIDE]).enumerate() {
            if ends(before, tag) {
                found.push(Entity {
                    first,
                    last: place - 1,
                    kind: before.1,
                });
            }
            if begins(before, tag) {
                first = place;
            }
            before = tag;
        }
        found
    }
}

/// Whether an entity ends between two words with these tags.
fn ends((before, kind): (Mark, usize), (tag, next): (Mark, usize)) -> bool {
    match before {
        Mark::Outside => false,
        Mark::End | Mark::Single | Mark::Word => true,
        Mark::Begin | Mark::Inside => kind != next || !matches!(tag, Mark::Inside | Mark::End),
    }
}

/// Whether an entity begins with the second of two words with these tags.
fn begins((before, kind): (Mark, usize), (tag, next): (Mark, usize)) -> bool {
    match tag {
        Mark::Outside => false,
        Mark::Begin | Mark::Single | Mark::Word => true,
        Mark::Inside | Mark::End => kind != next || !matches!(before, Mark::Begin | Mark::Inside),
    }
}

/// How well predicted entities agree with the known ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Predicted entities with the words and the type of a known one.
    pub right: u64,
    /// Predicted entities.
    pub predicted: u64,
    /// Known entities.
    pub known: u64,
}

impl Agreement {
    /// Share of the predicted entities that are right; 0 without predicted ones.
    pub fn precision(&self) -> f64 {
        share(self.right, self.predicted)
    }

    /// Share of the known entities that were found; 0 without known ones.
    pub fn recall(&self) -> f64 {
        share(self.right, self.known)
    }

    /// The harmonic mean of precision and recall; 0 if both are.
    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        match precision + recall > 0.0 {
            true => 2.0 * precision * recall / (precision + recall),
            false => 0.0,
        }
    }

    /// The agreement of the entities of all types together.
    pub fn total(types: &[Agreement]) -> Agreement {
        let sum = |of: fn(&Agreement) -> u64| types.iter().map(of).sum();
        Agreement {
            right: sum(|each| each.right),
            predicted: sum(|each| each.predicted),
            known: sum(|each| each.known),
        }
    }
}

fn share(part: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => part as f64 / all as f64,
    }
}

/// Adds a sentence with these entities to the agreement of each type.
pub(super) fn compare(types: &mut [Agreement], known: &[Entity], predicted: &[Entity]) {
    let mut add = |entity: &Entity, to: fn(&mut Agreement) -> &mut u64| {
        if let Some(of_type) = types.get_mut(entity.kind) {
            *to(of_type) += 1;
        }
    };
    known
        .iter()
        .for_each(|entity| add(entity, |each| &mut each.known));
    let all: BTreeSet<&Entity> = known.iter().collect();
    for entity in predicted {
        add(entity, |each| &mut each.predicted);
        if all.contains(entity) {
            add(entity, |each| &mut each.right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    /// `tests/fixtures/tagging.json`, which `make_tagging.py` recorded: random sequences, most of which no scheme allows.
    #[test]
    fn scores_are_those_of_seqeval() {
        let recorded = include_str!("../../../tests/fixtures/tagging.json");
        let cases: Vec<Value> = serde_json::from_str(recorded).unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let sequences = |key: &str| -> Vec<Vec<String>> {
                let lines = case[key].as_array().unwrap().iter();
                lines
                    .map(|line| names(&line.as_str().unwrap().split(' ').collect::<Vec<_>>()))
                    .collect()
            };
            let (truth, predicted) = (sequences("truth"), sequences("predicted"));
            let all: BTreeSet<&String> = truth.iter().chain(&predicted).flatten().collect();
            let all: Vec<String> = all.into_iter().cloned().collect();
            let tags = Tags::of(&all);
            let mut types = vec![Agreement::default(); tags.types.len()];
            let index = |tag: &String| all.iter().position(|name| name == tag).unwrap();
            for (truth, predicted) in truth.iter().zip(&predicted) {
                let [truth, predicted] =
                    [truth, predicted].map(|sequence| tags.entities(sequence.iter().map(index)));
                compare(&mut types, &truth, &predicted);
            }
            let near = |found: f64, wanted: &Value| {
                let wanted = wanted.as_f64().unwrap();
                assert!(
                    (found - wanted).abs() < 1e-12,
                    "{found} is not {wanted} in {}",
                    case["name"]
                );
            };
            let total = Agreement::total(&types);
            near(total.precision(), &case["precision"]);
            near(total.recall(), &case["recall"]);
            near(total.f1(), &case["f1"]);
            assert_eq!(case["types"].as_object().unwrap().len(), types.len());
            for (name, found) in tags.types.iter().zip(&types) {
                let wanted = &case["types"][name];
                near(found.precision(), &wanted[0]);
                near(found.recall(), &wanted[1]);
                near(found.f1(), &wanted[2]);
                assert_eq!(Some(found.known), wanted[3].as_u64());
            }
        }
    }

    #[test]
    fn words_without_marks_are_entities_of_their_own() {
        let tags = Tags::of(&names(&["O", "NOUN", "VERB"]));
        assert_eq!(tags.types, ["NOUN", "VERB"]);
        let found = tags.entities([1, 1, 0, 2, 9].into_iter());
        let entity = |place, kind| Entity {
            first: place,
            last: place,
            kind,
        };
        assert_eq!(found, [entity(0, 0), entity(1, 0), entity(3, 1)]);
        assert!(tags.entities(std::iter::empty()).is_empty());
        assert_eq!(Agreement::default().f1(), 0.0);
    }
}
