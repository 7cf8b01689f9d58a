//! Topic patterns: MQTT's filters with one word more, `{sensor}`, which stands for the sensor's id in a level.
//!
//! `city/+/{sensor}/reading` subscribes to `city/+/+/reading` and reads the id from the third level; `water-{sensor}` takes what
//! follows the prefix.

use std::str::FromStr;

const WORD: &str = "{sensor}";

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    levels: Vec<Level>,
    filter: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    Literal(String),
    Any,
    Rest,
    Sensor { before: String, after: String },
}

/// Why a text is no topic pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; write levels between /, with + for any level, # at the end for the rest, and {{sensor}} once where the id stands"
)]
pub struct InvalidTopic(&'static str);

impl TopicPattern {
    /// The filter to subscribe to.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// True when `{sensor}` stands in it.
    pub fn names_sensor(&self) -> bool {
        self.levels.iter().any(|level| matches!(level, Level::Sensor { .. }))
    }

    /// `None` when the topic does not fit; otherwise what stands for `{sensor}`.
    pub fn matches<'t>(&self, topic: &'t str) -> Option<Option<&'t str>> {
        let mut found = None;
        let mut parts = topic.split('/');
        for level in &self.levels {
            if *level == Level::Rest {
                return Some(found);
            }
            let part = parts.next()?;
            match level {
                Level::Literal(text) if text == part => {}
                Level::Literal(_) => return None,
                Level::Sensor { before, after } => {
                    let id = part.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                    found = Some(id).filter(|id| !id.is_empty());
                    found?;
                }
                Level::Any | Level::Rest => {}
            }
        }
        parts.next().is_none().then_some(found)
    }
}

impl FromStr for TopicPattern {
    type Err = InvalidTopic;

    fn from_str(text: &str) -> Result<Self, InvalidTopic> {
        if text.is_empty() || text.len() > 1024 || text.contains('\0') {
            return Err(InvalidTopic("a topic has 1 to 1024 characters"));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let mut levels = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            levels.push(read_level(part, index + 1 == parts.len())?);
        }
        if levels.iter().filter(|level| matches!(level, Level::Sensor { .. })).count() > 1 {
            return Err(InvalidTopic("{sensor} stands twice"));
        }
        let as_filter = |(level, part): (&Level, &&str)| match level {
            Level::Sensor { .. } => "+".to_owned(),
            _ => (*part).to_owned(),
        };
        let filter: Vec<String> = levels.iter().zip(&parts).map(as_filter).collect();
        Ok(Self { filter: filter.join("/"), levels })
    }
}

fn read_level(part: &str, is_last: bool) -> Result<Level, InvalidTopic> {
    match part {
        "+" => return Ok(Level::Any),
        "#" if is_last => return Ok(Level::Rest),
        _ => {}
    }
    let level = match part.split_once(WORD) {
        Some((before, after)) => Level::Sensor { before: before.to_owned(), after: after.to_owned() },
        None => Level::Literal(part.to_owned()),
    };
    let plain = |text: &str| !text.contains(['+', '#', '{', '}']);
    let fits = match &level {
        Level::Sensor { before, after } => plain(before) && plain(after),
        _ => plain(part),
    };
    if fits {
        Ok(level)
    } else {
        Err(InvalidTopic("a level mixes text with + or #, or holds a word other than {sensor}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_the_sensor_from_the_topic() {
        let check = |pattern: &str, topic: &str, expected: Option<Option<&str>>| {
            let read: TopicPattern = pattern.parse().unwrap();
            assert_eq!(read.matches(topic), expected, "{pattern} on {topic}");
        };
        check("city/water/{sensor}/reading", "city/water/w-1/reading", Some(Some("w-1")));
        check("city/water/{sensor}/reading", "city/water/w-1", None);
        check("city/water/{sensor}/reading", "city/water//reading", None);
        check("city/water/{sensor}/reading", "city/water/w-1/reading/x", None);
        check("city/+/{sensor}/#", "city/gas/g-1/a/b", Some(Some("g-1")));
        check("city/+/{sensor}/#", "city/gas/g-1", Some(Some("g-1")));
        check("dev-{sensor}-up", "dev-7-up", Some(Some("7")));
        check("dev-{sensor}-up", "dev-up", None);
        check("one/topic", "one/topic", Some(None));
        check("#", "anything/at/all", Some(None));
    }

    #[test]
    fn the_filter_subscribes_to_every_sensor() {
        let filter = |pattern: &str| pattern.parse::<TopicPattern>().unwrap().filter().to_owned();
        assert_eq!(filter("city/water/{sensor}/reading"), "city/water/+/reading");
        assert_eq!(filter("a/x-{sensor}/#"), "a/+/#");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "a/#/b", "a/b+", "{sensor}/{sensor}", "{sensor}{sensor}", "a/{device}", "a/x#"] {
            assert!(pattern.parse::<TopicPattern>().is_err(), "{pattern:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_pattern_matches_its_filter_would_deliver(ids in "[a-zA-Z0-9._-]{1,20}", tail in "[a-z]{1,5}") {
            let pattern: TopicPattern = format!("city/{{sensor}}/{tail}").parse().unwrap();
            let topic = format!("city/{ids}/{tail}");
            proptest::prop_assert_eq!(pattern.matches(&topic), Some(Some(ids.as_str())));
        }

        #[test]
        fn any_text_is_read_or_refused(pattern in ".{0,40}", topic in ".{0,40}") {
            if let Ok(pattern) = pattern.parse::<TopicPattern>() {
                let _ = pattern.matches(&topic);
            }
        }
    }
}
