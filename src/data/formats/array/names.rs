//! What the names of files and arrays say: whether they hold inputs or labels, and of which part.

use crate::data::Part;

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data::formats) enum Role {
    /// Images, or rows of numbers.
    Inputs,
    Labels,
}

impl Role {
    const ALL: [Role; 2] = [Role::Inputs, Role::Labels];

    fn words(self) -> &'static [&'static str] {
        match self {
            Role::Inputs => &[
                "images", "image", "imgs", "img", "x", "data", "pixels", "features", "inputs",
            ],
            Role::Labels => &["labels", "label", "lbls", "y", "targets", "target"],
        }
    }
}

const PARTS: [Part; 3] = [Part::Train, Part::Validation, Part::Test];

fn words_of(part: Part) -> &'static [&'static str] {
    match part {
        Part::Train => &["train", "training"],
        Part::Validation => &["val", "valid", "validation", "dev"],
        Part::Test => &["test", "testing", "t10k", "test10k"],
    }
}

/// A name, as far as it is known what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data::formats) struct Named {
    pub role: Option<Role>,
    pub part: Option<Part>,
    /// The other words, such as the name of the set.
    pub rest: Vec<String>,
}

impl Named {
    /// Reads a name such as `x_train`, `trainX` or `kannada-test-images`.
    pub fn of(name: &str) -> Named {
        let mut named = Named {
            role: None,
            part: None,
            rest: Vec::new(),
        };
        for word in words(name) {
            let part = PARTS
                .into_iter()
                .find(|&part| words_of(part).contains(&&*word));
            let role = Role::ALL
                .into_iter()
                .find(|role| role.words().contains(&&*word));
            match (part, role) {
                (Some(part), _) if named.part.is_none() => named.part = Some(part),
                (_, Some(role)) if named.role.is_none() => named.role = Some(role),
                (None, None) => named.rest.push(word),
                _ => {}
            }
        }
        named
    }
}

/// The words of a name in lower case; `xtrain` and `trainX` are two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_uppercase() && before.is_lowercase();
        if (begins || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.push(word);
    let is_part = |word: &str| PARTS.iter().any(|&part| words_of(part).contains(&word));
    let parted = words
        .into_iter()
        .flat_map(|word| match word.split_at_checked(1) {
            Some((first @ ("x" | "y"), rest)) if is_part(rest) => {
                vec![first.to_string(), rest.to_string()]
            }
            _ => vec![word],
        });
    parted.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_role_and_part() {
        use Role::{Inputs, Labels};
        for (name, role, part, rest) in [
            ("x_train", Some(Inputs), Some(Part::Train), ""),
            ("ytest", Some(Labels), Some(Part::Test), ""),
            ("trainX", Some(Inputs), Some(Part::Train), ""),
            ("X", Some(Inputs), None, ""),
            ("train_data", Some(Inputs), Some(Part::Train), ""),
            ("val_labels", Some(Labels), Some(Part::Validation), ""),
            ("k49-test-imgs", Some(Inputs), Some(Part::Test), "k49"),
            ("kannada_MNIST", None, None, "kannada mnist"),
            ("arr_0", None, None, "arr 0"),
        ] {
            let named = Named::of(name);
            let found = (named.role, named.part, &*named.rest.join(" "));
            assert_eq!(found, (role, part, rest), "{name}");
        }
    }
}
