//! What a detector may find: a class of a closed list (RULES P09), how sure it is, and where. Nothing that tells one
//! person or vehicle from another.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::geometry::BBox;

/// The closed list of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person on foot, or a rider.
    Person,
    /// A bicycle.
    Bicycle,
    /// A motorcycle, or a scooter.
    Motorcycle,
    /// A car.
    Car,
    /// A bus.
    Bus,
    /// A truck.
    Truck,
}

/// One object in one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// What it is.
    pub class: Class,
    /// How sure the model is, 0..1.
    pub confidence: f32,
    /// Where it is in the frame, normalised.
    pub bbox: BBox,
}

/// Which classes a zone or line looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSet {
    bits: u8,
}

/// A class name that is not on the list.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("class {0:?} is not one of person, bicycle, motorcycle, car, bus, truck")]
pub struct UnknownClass(String);

impl Class {
    /// All of them, in the order of their [`Class::index`].
    pub const ALL: [Self; 6] = [Self::Person, Self::Bicycle, Self::Motorcycle, Self::Car, Self::Bus, Self::Truck];

    /// The name used in settings and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bicycle => "bicycle",
            Self::Motorcycle => "motorcycle",
            Self::Car => "car",
            Self::Bus => "bus",
            Self::Truck => "truck",
        }
    }

    /// Whether it can carry a number plate.
    pub fn is_vehicle(self) -> bool {
        self != Self::Person
    }

    /// Position in [`Class::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

impl ClassSet {
    /// Every class.
    pub fn all() -> Self {
        Self::of(&Class::ALL)
    }

    /// These classes.
    pub fn of(classes: &[Class]) -> Self {
        Self { bits: classes.iter().fold(0, |bits, class| bits | 1 << class.index()) }
    }

    /// Whether the class is in the set.
    pub fn contains(self, class: Class) -> bool {
        self.bits & 1 << class.index() != 0
    }

    /// Whether no class is in the set.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == name);
        found.ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indexes_agree_with_the_list() {
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), index);
            assert_eq!(class.as_str().parse(), Ok(class));
        }
        assert!("face".parse::<Class>().is_err());
        assert!("number_plate".parse::<Class>().is_err());
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = ClassSet::of(&[Class::Car, Class::Truck]);
        assert!(set.contains(Class::Car) && !set.contains(Class::Person));
        assert!(ClassSet::of(&[]).is_empty() && !ClassSet::all().is_empty());
    }
}
