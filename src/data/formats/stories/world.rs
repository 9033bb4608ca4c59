//! The world of the stories: people who walk between places and carry things.

use super::StoryKind;
use crate::random::Stream;

const PEOPLE: [&str; 4] = ["Mary", "John", "Daniel", "Sandra"];
const PLACES: [&str; 6] = [
    "bathroom", "bedroom", "garden", "hallway", "kitchen", "office",
];
const THINGS: [&str; 3] = ["apple", "football", "milk"];
const NUMBERS: [&str; 4] = ["none", "one", "two", "three"];
const TRUTHS: [&str; 2] = ["no", "yes"];
const MOVES: [&str; 4] = ["moved to", "went to", "journeyed to", "travelled to"];
const TAKES: [&str; 3] = ["took", "got", "picked up"];
const DROPS: [&str; 3] = ["dropped", "discarded", "put down"];
/// People in stories of counting, so that some carry several things.
const FEW_PEOPLE: usize = 2;
/// Facts of a story, at least and at most.
const FACTS: [u32; 2] = [2, 10];

/// All answers to questions of this `kind`.
pub(super) fn answers(kind: StoryKind) -> &'static [&'static str] {
    match kind {
        StoryKind::OneFact | StoryKind::TwoFacts => &PLACES,
        StoryKind::YesNo => &TRUTHS,
        StoryKind::Counting => &NUMBERS,
    }
}

/// A story with its question.
pub(super) struct Story {
    /// The question and the facts.
    pub text: String,
    /// Index of its answer.
    pub answer: usize,
}

/// Where everybody and everything is, as far as the story has told.
struct World {
    /// How many of the people are in the story.
    count: usize,
    people: [Option<usize>; PEOPLE.len()],
    things: [Thing; THINGS.len()],
    text: String,
}

/// Where a thing is.
#[derive(Clone, Copy, PartialEq)]
enum Thing {
    Unknown,
    With(usize),
    At(usize),
}

fn one_of(words: &[&'static str], random: &mut Stream) -> &'static str {
    words[random.below(words.len() as u32) as usize]
}

fn index(count: usize, random: &mut Stream) -> usize {
    random.below(count as u32) as usize
}

impl World {
    /// Before anything is told, with the first `count` people.
    fn of(count: usize) -> World {
        World {
            count,
            people: [None; PEOPLE.len()],
            things: [Thing::Unknown; THINGS.len()],
            text: String::new(),
        }
    }

    fn say(&mut self, fact: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text += fact;
    }

    /// Somebody walks to a place where they are not.
    fn walk(&mut self, random: &mut Stream) {
        let person = index(self.count, random);
        let mut place = index(PLACES.len(), random);
        if self.people[person] == Some(place) {
            place = (place + 1) % PLACES.len();
        }
        self.people[person] = Some(place);
        let verb = one_of(&MOVES, random);
        self.say(&format!("{} {verb} the {}.", PEOPLE[person], PLACES[place]));
    }

    /// Somebody takes a thing that nobody carries and that is where they are or was not yet told of, or drops one; if nobody can,
    /// somebody walks.
    fn handle(&mut self, random: &mut Stream) {
        let (person, thing) = (index(self.count, random), index(THINGS.len(), random));
        match (self.things[thing], self.people[person]) {
            (Thing::With(owner), _) => {
                self.things[thing] = match self.people[owner] {
                    Some(place) => Thing::At(place),
                    None => Thing::Unknown,
                };
                let verb = one_of(&DROPS, random);
                self.say(&format!("{} {verb} the {}.", PEOPLE[owner], THINGS[thing]));
            }
            (Thing::At(place), Some(own)) if place != own => self.walk(random),
            (Thing::At(_), None) => self.walk(random),
            (Thing::Unknown | Thing::At(_), _) => {
                self.things[thing] = Thing::With(person);
                let verb = one_of(&TAKES, random);
                self.say(&format!("{} {verb} the {}.", PEOPLE[person], THINGS[thing]));
            }
        }
    }

    /// The place of a thing, if it is known.
    fn place_of(&self, thing: usize) -> Option<usize> {
        match self.things[thing] {
            Thing::Unknown => None,
            Thing::At(place) => Some(place),
            Thing::With(person) => self.people[person],
        }
    }
}

impl Story {
    /// A story of this `kind`.
    pub fn of(kind: StoryKind, random: &mut Stream) -> Story {
        loop {
            let mut world = World::of(match kind {
                StoryKind::Counting => FEW_PEOPLE,
                _ => PEOPLE.len(),
            });
            let facts = FACTS[0] + random.below(FACTS[1] - FACTS[0] + 1);
            for _ in 0..facts {
                let walks = match kind {
                    StoryKind::OneFact | StoryKind::YesNo => true,
                    StoryKind::TwoFacts => random.below(2) == 0,
                    StoryKind::Counting => random.below(4) == 0,
                };
                match walks {
                    true => world.walk(random),
                    false => world.handle(random),
                }
            }
            // A story without anything to ask is written anew.
            if let Some((question, answer)) = world.question(kind, random) {
                let text = format!("{question} {}", world.text);
                return Story { text, answer };
            }
        }
    }
}

impl World {
    /// A question that the story answers, and the index of the answer; `None` if there is none.
    fn question(&self, kind: StoryKind, random: &mut Stream) -> Option<(String, usize)> {
        let told: Vec<usize> = (0..PEOPLE.len())
            .filter(|&person| self.people[person].is_some())
            .collect();
        match kind {
            StoryKind::OneFact => {
                let person = told.get(index(told.len().max(1), random))?;
                Some((
                    format!("Where is {}?", PEOPLE[*person]),
                    self.people[*person]?,
                ))
            }
            StoryKind::YesNo => {
                let person = *told.get(index(told.len().max(1), random))?;
                let place = self.people[person]?;
                // As often yes as no.
                let is_there = random.below(2) == 1;
                let other = (place + 1 + index(PLACES.len() - 1, random)) % PLACES.len();
                let asked = if is_there { place } else { other };
                let question = format!("Is {} in the {}?", PEOPLE[person], PLACES[asked]);
                Some((question, usize::from(is_there)))
            }
            StoryKind::TwoFacts => {
                let known: Vec<usize> = (0..THINGS.len())
                    .filter(|&thing| self.place_of(thing).is_some())
                    .collect();
                let thing = *known.get(index(known.len().max(1), random))?;
                Some((
                    format!("Where is the {}?", THINGS[thing]),
                    self.place_of(thing)?,
                ))
            }
            StoryKind::Counting => {
                let person = index(self.count, random);
                let carried = |thing: &&Thing| **thing == Thing::With(person);
                let count = self.things.iter().filter(carried).count();
                // Many carry nothing or one thing: of those, a few are asked about.
                if count < 2 && random.below(3) > 0 {
                    return None;
                }
                let question = format!("How many things does {} carry?", PEOPLE[person]);
                Some((question, count))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn stories(kind: StoryKind) -> Vec<Story> {
        let random = |n| Stream::new(5, Purpose::TrainStories.stream(n));
        (0..300).map(|n| Story::of(kind, &mut random(n))).collect()
    }

    /// The words of the facts, and those of the question.
    fn read(story: &Story) -> (Vec<Vec<&str>>, Vec<&str>) {
        let (question, facts) = story.text.split_once("? ").unwrap();
        let words = |text| str::split_whitespace(text).collect::<Vec<&str>>();
        let facts = facts
            .split(". ")
            .map(|fact| words(fact.trim_end_matches('.')));
        (facts.collect(), words(question))
    }

    /// The last word of the last fact about a walk of `person`.
    fn place<'s>(facts: &[Vec<&'s str>], person: &str) -> Option<&'s str> {
        let walks = facts.iter().rev().filter(|fact| fact.contains(&"to"));
        walks
            .filter(|fact| fact[0] == person)
            .map(|fact| fact[fact.len() - 1])
            .next()
    }

    #[test]
    fn the_last_walk_of_somebody_says_where_they_are() {
        for story in stories(StoryKind::OneFact) {
            let (facts, question) = read(&story);
            assert_eq!(
                place(&facts, question[2]),
                Some(PLACES[story.answer]),
                "{}",
                story.text
            );
        }
        let mut yes = 0;
        for story in stories(StoryKind::YesNo) {
            let (facts, question) = read(&story);
            let is_there = place(&facts, question[1]) == question.last().copied();
            assert_eq!(is_there, story.answer == 1, "{}", story.text);
            yes += story.answer;
        }
        assert!((110..190).contains(&yes), "{yes}");
    }

    /// Plays a story of things back from its words: who carries each thing, or where it lies.
    fn played<'s>(facts: &[Vec<&'s str>], thing: &str) -> (Option<&'s str>, Option<&'s str>) {
        let (mut owner, mut lies) = (None, None);
        for (at, fact) in facts.iter().enumerate() {
            if fact[fact.len() - 1] != thing {
                continue;
            }
            match DROPS
                .iter()
                .any(|verb| fact[1] == verb.split(' ').next().unwrap())
            {
                true => (owner, lies) = (None, place(&facts[..at], fact[0])),
                false => (owner, lies) = (Some(fact[0]), None),
            }
        }
        (owner, lies)
    }

    #[test]
    fn things_are_with_those_who_took_them_or_where_they_were_dropped() {
        for story in stories(StoryKind::TwoFacts) {
            let (facts, question) = read(&story);
            let found = match played(&facts, question[3]) {
                (Some(owner), _) => place(&facts, owner),
                (None, lies) => lies,
            };
            assert_eq!(found, Some(PLACES[story.answer]), "{}", story.text);
        }
        let mut seen = [0; NUMBERS.len()];
        for story in stories(StoryKind::Counting) {
            let (facts, question) = read(&story);
            let carried = THINGS
                .iter()
                .filter(|thing| played(&facts, thing).0 == Some(question[4]));
            assert_eq!(carried.count(), story.answer, "{}", story.text);
            seen[story.answer] += 1;
        }
        assert!(seen[..3].iter().all(|&count| count > 20), "{seen:?}");
    }
}
