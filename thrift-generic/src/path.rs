use std::fmt;

/// Where in a message something is: `Order.items[3].price`.
///
/// Built from the inside out: whoever sees an error pass adds its own step in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath {
    /// Innermost first.
    steps: Vec<Step>,
}

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A member of a struct, by its effective name.
    Field(Box<str>),
    /// An element of a list or set, counted from 0.
    Index(usize),
    /// A key of a map, as text.
    Key(Box<str>),
    /// The value under a key of a map, the key as text.
    Entry(Box<str>),
}

impl FieldPath {
    /// Adds the step outside of what is there.
    pub fn push_outer(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Whether it points at the whole message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The last step.
    #[must_use]
    pub fn innermost(&self) -> Option<&Step> {
        self.steps.first()
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().rev()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps().enumerate() {
            match step {
                Step::Field(name) if at == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[key {key:?}]")?,
                Step::Entry(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_outside_in() {
        let mut path = FieldPath::default();
        path.push_outer(Step::Field("price".into()));
        path.push_outer(Step::Index(3));
        path.push_outer(Step::Field("items".into()));
        path.push_outer(Step::Field("Order".into()));
        assert_eq!(path.to_string(), "Order.items[3].price");
    }

    #[test]
    fn keys_and_their_values_are_told_apart() {
        let mut path = FieldPath::default();
        path.push_outer(Step::Entry("a".into()));
        path.push_outer(Step::Field("m".into()));
        assert_eq!(path.to_string(), "m[\"a\"]");
        let mut path = FieldPath::default();
        path.push_outer(Step::Key("a".into()));
        path.push_outer(Step::Field("m".into()));
        assert_eq!(path.to_string(), "m[key \"a\"]");
    }
}
